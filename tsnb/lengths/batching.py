"""Plan batches by length, so that little padding is computed. Taught in notebook 04."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tsnb.base.errors import InputError

if TYPE_CHECKING:
    from tsnb.tracing.contract import Shape


MAX_TOKENS = 512  # of a batch, padding included; on two cores more of them gained nothing and padded more
WINDOW = 2048  # texts that a plan sees at once


@dataclass(frozen=True)
class Batch:
    """Which texts run together, and the shape they are padded to.

    Attributes
    ----------
    indices
        Of the texts, in the order of their rows.
    rows
        Rows that are computed; more than there are texts where a static shape is filled up.
    length
        What each row is padded to, in tokens.
    """

    indices: tuple[int, ...]
    rows: int
    length: int

    @property
    def tokens(self) -> int:
        """Tokens that are computed, padding and filler rows included."""
        return self.rows * self.length


def plan_dynamic(lengths: Sequence[int], max_tokens: int) -> list[Batch]:
    """Plan batches for a dynamic trace, one that takes any shape: neighbours in length run together.

    A batch grows, from the shortest text to the longest, as long as its rows times its longest row
    are no more than `max_tokens`.

    Parameters
    ----------
    lengths
        Tokens of each text.
    max_tokens
        Most tokens, rows × length, that one batch may compute.

    Raises
    ------
    InputError
        A text alone is longer than `max_tokens`.

    Examples
    --------
    >>> [(batch.indices, batch.length) for batch in plan_dynamic([9, 2, 3, 8], max_tokens=18)]
    [((1, 2), 3), ((3, 0), 9)]
    """
    check_max_tokens(lengths, max_tokens)
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    groups: list[list[int]] = []
    for index in order:
        if groups and (len(groups[-1]) + 1) * lengths[index] <= max_tokens:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [Batch(tuple(group), len(group), lengths[group[-1]]) for group in groups]


def check_max_tokens(lengths: Sequence[int], max_tokens: int, first: int = 0) -> None:
    """Raise an InputError that names a text which alone has more tokens than a batch may have.

    >>> check_max_tokens([5, 30], 32)
    """
    for index, length in enumerate(lengths, first):
        if length > max_tokens:
            raise InputError(
                f"Text {index} has {length} tokens, and a batch may have {max_tokens}, padding included. "
                f"Raise max_tokens to {length} or more."
            )


def plan_static(lengths: Sequence[int], shapes: Iterable[Shape]) -> list[Batch]:
    """Plan batches for static traces, each of one shape: a text goes to the shortest that it fits.

    Parameters
    ----------
    lengths
        Tokens of each text, none longer than the longest shape.
    shapes
        `(batch, length)` of the traces.

    Examples
    --------
    >>> [(batch.indices, batch.rows) for batch in plan_static([9, 2, 3], [(2, 4), (2, 16)])]
    [((1, 2), 2), ((0,), 2)]
    """
    groups: dict[Shape, list[int]] = {shape: [] for shape in sorted(shapes, key=lambda shape: shape[1])}
    for index, length in enumerate(lengths):
        groups[next(shape for shape in groups if shape[1] >= length)].append(index)
    return [
        Batch(tuple(group[start : start + rows]), rows, length)
        for (rows, length), group in groups.items()
        for start in range(0, len(group), rows)
    ]
