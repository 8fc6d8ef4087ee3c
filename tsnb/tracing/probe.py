"""Which shapes of a trace can be trusted: run trace and model side by side on a grid of shapes.

Taught in notebook 02.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tsnb.base.errors import InputError, TraceError
from tsnb.base.tables import TableReport
from tsnb.tracing.compare import SYMBOLS, TOLERANCE, Verdict, compare
from tsnb.tracing.explain import ShapeError, dissect
from tsnb.tracing.inputs import checked_tensors, rising
from tsnb.tracing.outputs import equal
from tsnb.tracing.traced import check_eval, checked_module, checked_traced

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Contract, Shape
    from tsnb.tracing.traced import Traced

SHOW_AFTER = 2.0  # seconds until the progress bar appears


@dataclass(frozen=True, repr=False)
class ShapeMap(TableReport, Mapping[tuple[int, int], Verdict]):
    """Verdicts by `(batch, length)`; prints as text and shows as a table.

    Attributes
    ----------
    cells
        A `Verdict` for each shape.
    contract
        Of the trace: the shape that was traced, the position limit.
    tolerance
        Largest absolute difference that counted as the same.
    """

    cells: Mapping[tuple[int, int], Verdict]
    contract: Contract
    tolerance: float = TOLERANCE

    def __getitem__(self, shape: tuple[int, int]) -> Verdict:
        return self.cells[shape]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def traced(self) -> tuple[int | None, int | None]:
        """The shape that was traced, where it is known."""
        return self.contract.batch_size, self.contract.length

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes, in order."""
        return sorted({batch for batch, _ in self.cells})

    @property
    def lengths(self) -> list[int]:
        """The lengths, in order."""
        return sorted({length for _, length in self.cells})

    def of_kind(self, kind: str) -> list[Shape]:
        """Return the shapes that got a verdict."""
        return [shape for shape, verdict in self.cells.items() if verdict.kind == kind]

    def explain(self, shape: Shape) -> ShapeError:
        """Take apart the error of a shape that raises or is unsupported; see `tsnb.explain`.

        Raises
        ------
        InputError
            A shape that was not probed.
        """
        if shape not in self.cells:
            raise InputError(f"The shape {shape} was not probed. Give one of the map, as (batch, length).")
        return dissect(self[shape].error, self.contract, dict(self[shape].shapes))

    def table(self) -> list[list[str]]:
        """Return the table: a row a batch size, a symbol a length; the traced one in brackets."""
        symbols = {shape: verdict.symbol for shape, verdict in self.cells.items()}
        if self.traced in symbols:
            symbols[self.traced] = f"[{symbols[self.traced]}]"
        return [["batch \\ length", *map(str, self.lengths)]] + [
            [str(batch), *(symbols.get((batch, length), " ") for length in self.lengths)] for batch in self.batch_sizes
        ]

    def legend(self) -> str:
        """Return what the symbols mean, with the number of shapes of each kind."""
        counts = {kind: len(self.of_kind(kind)) for kind in SYMBOLS}
        return ", ".join(f"{symbol} {kind} {counts[kind]}" for kind, symbol in SYMBOLS.items())

    def notes(self) -> list[str]:
        """Return what stands below the table: the legend, the position limit where it matters, a doubt."""
        limit = self.contract.max_positions
        note = f"The model has embeddings for {limit} positions; it cannot run longer texts itself."
        beyond = limit is not None and any(length > limit for _, length in self.of_kind("unsupported"))
        unverified = self.contract.unverified and f"NOT VERIFIED at the traced shape: {self.contract.unverified}"
        return [self.legend(), *[note] * beyond, *filter(None, [unverified])]


def probe(  # noqa: PLR0913, PLR0917, the shapes are two lists
    traced: Traced,
    model: nn.Module,
    lengths: Sequence[int],
    batch_sizes: Sequence[int] = (1, 2),
    tolerance: float = TOLERANCE,
    example: Mapping[str, torch.Tensor] | None = None,
) -> ShapeMap:
    r"""Run a trace and its model on seeded inputs of many shapes and compare.

    Inputs have real padding in the mask. A progress bar appears if it takes longer than 2 s.

    Parameters
    ----------
    traced
        The trace.
    model
        The model it was made from, in eval mode.
    lengths, batch_sizes
        The shapes, each list rising; every batch size is tried at every length.
    tolerance
        Largest absolute difference that counts as the same.
    example
        Inputs that the model takes, for a trace from a file whose model does not take any ids.

    Returns
    -------
    ShapeMap
        A `Verdict` for each `(batch, length)`.

    Raises
    ------
    InputError
        No trace or no model; an empty list, one that does not rise, or a tolerance of zero or less.
    TraceError
        The trace was not made from this model, or the model is in training mode.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> print(tsnb.probe(traced, model, lengths=[8, 16, 600], batch_sizes=[1]))
    batch \ length  8   16  600
    1               ✓  [✓]    ·
    ✓ same 2, ✗ raises 0, ≠ wrong 0, · unsupported 1
    The model has embeddings for 512 positions; it cannot run longer texts itself.

    Taught in notebook 02.
    """
    from tqdm.auto import tqdm

    shapes = grid(lengths, batch_sizes)
    checked_traced(traced)
    traced = traced if example is None else replace(traced, example=checked_tensors(example))
    cells = probe_each(traced, model, shapes, tolerance)
    bar = tqdm(cells, total=len(shapes), unit="shape", delay=SHOW_AFTER, leave=False)
    return ShapeMap(dict(bar), traced.contract, tolerance)


def probe_each(
    traced: Traced, model: nn.Module, shapes: Sequence[Shape], tolerance: float = TOLERANCE
) -> Iterator[tuple[Shape, Verdict]]:
    """Yield shapes and their verdicts one at a time, so that a caller can show them and stop.

    Raises what `probe` raises, before the first shape.
    """
    checked_traced(traced)
    checked_module(model)
    if not tolerance or not tolerance > 0:
        raise InputError(f"The tolerance must be a number above zero, such as 1e-4; got {tolerance}.")
    check_eval(model)
    check_belongs(traced, model, tolerance)
    for shape in shapes:
        yield shape, compare(traced, model, shape, tolerance)


def grid(lengths: Sequence[int], batch_sizes: Sequence[int]) -> list[Shape]:
    """Return every `(batch, length)` of two rising lists.

    Raises
    ------
    InputError
        A list is empty, does not rise, or holds something else than positive whole numbers.

    Examples
    --------
    >>> grid([8, 16], [1])
    [(1, 8), (1, 16)]
    """
    columns = rising("lengths", lengths)
    return [(batch, length) for batch in rising("batch_sizes", batch_sizes) for length in columns]


def check_belongs(traced: Traced, model: nn.Module, tolerance: float = TOLERANCE) -> None:
    """Raise a TraceError where a trace was not made from a model.

    Their weights are compared by name; a frozen trace, or a program, shows none, so its results at the
    traced shape are compared.
    """
    own = dict(model.named_parameters(remove_duplicate=False))
    named = getattr(traced.module, "named_parameters", None)
    weights = dict(named(remove_duplicate=False)) if named else {}
    if weights:
        belongs = weights.keys() == own.keys() and all(
            weight.shape == own[name].shape and bool(equal(weight.cpu(), own[name].cpu()).all())
            for name, weight in weights.items()
        )
    else:
        shape = (traced.contract.batch_size or 1, traced.contract.length or 1)
        verdict = compare(traced, model, shape, max(tolerance, TOLERANCE))
        belongs = verdict.kind == "same" or not verdict.sound or bool(traced.contract.unverified)
    if not belongs:
        raise TraceError(
            f"The trace was not made from this {type(model).__name__}: weights or results differ. Give the "
            "model that was traced, unchanged since."
        )
