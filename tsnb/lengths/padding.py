"""What padding costs: tokens computed against real ones, by how texts are put into batches.

Taught in notebook 04.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from tsnb.base.tables import as_html, as_text, listed
from tsnb.base.words import say
from tsnb.lengths.batching import MAX_TOKENS, WINDOW
from tsnb.lengths.batching import Batch, check_max_tokens, plan_dynamic, plan_static
from tsnb.lengths.lengths import checked, flops, plan_buckets
from tsnb.tracing.inputs import positive_int

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tsnb.lengths.lengths import Geometry, Lengths

    Given = tuple[int, ...]

PlanName = Literal["max", "arrival", "buckets", "sorted"]
STEP = 8  # the longest text, rounded up to a multiple of it, is what texts are padded to at first
COLUMNS = ("plan", "computed", "real", "padding", "tokens-ratio", "flops-ratio")


@dataclass(frozen=True)
class PlanCost:
    """What one way to put texts into batches computes.

    Attributes
    ----------
    label
        The plan in words.
    batches
        Every batch: its texts, its rows and the length they are padded to.
    real
        Tokens of the texts.
    computed
        Places that the model computes: rows × length, padding and filler rows included.
    flops_ratio
        Floating-point operations, relative to the same texts without padding; `None` without a
        geometry.
    """

    label: str
    batches: tuple[Batch, ...] = field(repr=False)
    real: int
    computed: int
    flops_ratio: float | None = None

    @property
    def padding_share(self) -> float:
        """Share of the computed places, 0 to 1, that is padding."""
        return 1 - self.real / self.computed

    @property
    def tokens_ratio(self) -> float:
        """Tokens computed for each real one: 1 is the least."""
        return self.computed / self.real


@dataclass(frozen=True, repr=False)
class PaddingReport:
    """What four ways to put texts into batches compute; prints as a table.

    Attributes
    ----------
    lengths
        Tokens of each text, in the order of arrival, after the cut at the max length.
    max_length
        Longer texts are cut to it.
    edges
        The lengths of the buckets, rising.
    cut_texts, cut_tokens
        How many texts are longer than the max length, and how many of their tokens are cut off.
    plans
        The cost of each plan by its name, from `max` to `sorted`.
    """

    lengths: tuple[int, ...]
    max_length: int
    edges: tuple[int, ...]
    cut_texts: int
    cut_tokens: int
    plans: dict[PlanName, PlanCost]

    @property
    def computed(self) -> dict[PlanName, int]:
        """Tokens that each plan computes, by its name."""
        return {name: plan.computed for name, plan in self.plans.items()}

    def cut(self) -> str:
        """Return in words what the max length cuts; nothing where every text fits."""
        if not self.cut_texts:
            return ""
        gaps = {"cut": self.cut_texts, "texts": len(self.lengths), "tokens": self.cut_tokens}
        numbers = {name: f"{number:,}" for name, number in gaps.items()}
        return say("padding.cut", length=f"{self.max_length:,}", **numbers)

    def __str__(self) -> str:
        return "\n".join([as_text(self._rows()), *self._notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self._rows(), self._notes())

    def _rows(self) -> list[tuple[str, ...]]:
        """Return the table with its head, without a column that is empty."""
        rows = [[say(f"padding.column-{name}") for name in COLUMNS]]
        rows += [_cells(plan) for plan in self.plans.values()]
        columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
        return list(zip(*columns, strict=True))

    def _notes(self) -> list[str]:
        edges = f"bucket edges: {listed(self.edges)}"
        return list(filter(None, [edges, self.cut()]))


def padding_cost(  # noqa: PLR0913, each choice is to be seen in the signature
    lengths: Lengths,
    max_length: int | None = None,
    *,
    batch_size: int = 8,
    buckets: int = 4,
    max_tokens: int = MAX_TOKENS,
    geometry: Geometry | None = None,
) -> PaddingReport:
    """Count the tokens that four ways to put texts into batches compute.

    `max`
        Every text is padded to the max length: the usual advice for a trace.
    `arrival`
        Texts are taken in the order in which they come, and each batch is padded to its longest:
        what `pipeline(batch_size=…)` does.
    `buckets`
        A text is padded to the smallest bucket that holds it, and each bucket's last batch is
        filled up with rows: `tsnb.Runner` with one trace of a fixed shape a bucket.
    `sorted`
        Texts of like length share a batch, padded to its longest: `tsnb.Runner` with a dynamic
        trace. The last two are counted with the planners of the Runner itself.

    Parameters
    ----------
    lengths
        Tokens of each text in the order of arrival, special tokens included.
    max_length
        Longer texts are cut to it; by default the longest, rounded up to a multiple of 8.
    batch_size
        Rows of a batch, in arrival order and in a bucket.
    buckets
        How many, with the best edges; see `tsnb.plan_buckets`. There are fewer if there are fewer
        distinct lengths.
    max_tokens
        Most tokens, rows × length, that a batch of the sorted plan computes.
    geometry
        The model's sizes, for the cost in floating-point operations too; the bucket edges are then
        the best ones for that cost.

    Raises
    ------
    InputError
        Lengths that are none, a number below 1, or a budget that is smaller than the longest text.

    Examples
    --------
    >>> padding_cost([5, 30, 6, 9, 12, 31], batch_size=2, buckets=2, max_tokens=64)
    plan                                               computed  real  padding  no padding = 1
    padded to 32                                            192    93    51.6%            2.06
    batches of 2 in arrival order                           140    93    33.6%            1.51
    2 buckets, batches of 2                                 110    93    15.5%            1.18
    Runner: sorted by length, up to 64 tokens a batch       110    93    15.5%            1.18
    bucket edges: 12, 31

    Taught in notebook 04.
    """
    held = checked(lengths)
    limit = default_length(held) if max_length is None else positive_int("max_length", max_length)
    size, most = positive_int("batch_size", batch_size), positive_int("max_tokens", max_tokens)
    kept = np.minimum(held, limit)
    check_max_tokens(kept.tolist(), most)
    edges = tuple(plan_buckets(kept, positive_int("buckets", buckets), geometry=geometry))
    given, shapes = tuple(kept.tolist()), [(size, edge) for edge in edges]
    batches: dict[PlanName, tuple[Batch, ...]] = {
        "max": _in_order(given, size, limit),
        "arrival": _in_order(given, size),
        "buckets": _by_window(given, partial(plan_static, shapes=shapes)),
        "sorted": _by_window(given, partial(plan_dynamic, max_tokens=most)),
    }
    labels = {
        "max": f"padded to {limit:,}",
        "arrival": f"batches of {size} in arrival order",
        "buckets": _bucket_label(len(edges), size),
        "sorted": f"Runner: sorted by length, up to {most:,} tokens a batch",
    }
    plans = {name: _cost(labels[name], part, kept, geometry) for name, part in batches.items()}
    cut, lost = int(np.count_nonzero(held > limit)), int((held - kept).sum())
    return PaddingReport(given, limit, edges, cut, lost, plans)


def default_length(lengths: Lengths) -> int:
    """Return the longest length, rounded up to a multiple of 8.

    >>> default_length([5, 30, 127])
    128
    """
    return -(-int(checked(lengths).max()) // STEP) * STEP


def _in_order(lengths: Given, size: int, length: int | None = None) -> tuple[Batch, ...]:
    """Return batches in the order of arrival, padded to a length or to the longest of each."""
    starts = range(0, len(lengths), size)
    parts = [(first, lengths[first : first + size]) for first in starts]
    return tuple(
        Batch(tuple(range(first, first + len(part))), len(part), length or max(part)) for first, part in parts
    )


def _by_window(lengths: Given, plan: Callable[[Given], list[Batch]]) -> tuple[Batch, ...]:
    """Return the batches of a plan that sees so many texts at once, as the Runner does."""
    return tuple(
        Batch(tuple(first + index for index in batch.indices), batch.rows, batch.length)
        for first in range(0, len(lengths), WINDOW)
        for batch in plan(lengths[first : first + WINDOW])
    )


def _cost(
    label: str, batches: tuple[Batch, ...], lengths: NDArray[np.int64], geometry: Geometry | None
) -> PlanCost:
    """Count what batches compute for texts."""
    ratio = None
    if geometry is not None:
        spent = sum(batch.rows * flops(batch.length, geometry) for batch in batches)
        ratio = spent / float(flops(lengths, geometry).sum())
    computed = sum(batch.tokens for batch in batches)
    return PlanCost(label, batches, int(lengths.sum()), computed, ratio)


def _bucket_label(count: int, size: int) -> str:
    if count == 1:
        return f"1 bucket, batches of {size}"
    return f"{count} buckets, batches of {size}"


def _cells(plan: PlanCost) -> list[str]:
    """Return a row of the table; the last cell is empty where there is no geometry."""
    flops_ratio = "" if plan.flops_ratio is None else f"{plan.flops_ratio:.2f}"
    counts = [f"{plan.computed:,}", f"{plan.real:,}", f"{plan.padding_share:.1%}"]
    return [plan.label, *counts, f"{plan.tokens_ratio:.2f}", flops_ratio]
