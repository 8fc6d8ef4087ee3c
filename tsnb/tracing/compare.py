"""Trace and model on the same inputs, and what that says about a shape."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tsnb.models.load import quiet_transformers
from tsnb.tracing.inputs import sample_inputs
from tsnb.tracing.outputs import flatten, largest_difference, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

Kind = Literal["same", "raises", "wrong", "unsupported"]
SYMBOLS: dict[Kind, str] = {"same": "✓", "raises": "✗", "wrong": "≠", "unsupported": "·"}
ORDER: tuple[Kind, ...] = ("same", "wrong", "raises", "unsupported")  # the graver comes later
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Verdict:
    """What became of one shape.

    Attributes
    ----------
    kind
        `same`: trace and model agree within the tolerance; `raises`: the trace raises where the
        model does not; `wrong`: it runs, but differs beyond the tolerance or has another shape;
        `unsupported`: the model itself cannot run the shape.
    difference
        Largest absolute difference, where both ran; infinite where the output's shape differs.
    error
        The whole message of the trace (`raises`) or of the model (`unsupported`).
    shapes
        Of the inputs by name, for the explanation of an error.
    """

    kind: Kind
    difference: float | None = None
    error: str = ""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def symbol(self) -> str:
        """One character for the kind: ✓ ✗ ≠ ·."""
        return SYMBOLS[self.kind]

    def __str__(self) -> str:
        reason = (self.error.strip().splitlines() or [""])[-1]
        if self.difference == float("inf"):
            return "runs, and differs from the model in shape, or in what is NaN or infinite"
        return {
            "same": f"same as the model (largest difference {self.difference or 0:.2g})",
            "raises": f"the trace raises: {reason}",
            "unsupported": f"the model itself cannot run it: {reason}",
            "wrong": f"runs, and differs from the model by {self.difference or 0:.2g}",
        }[self.kind]


def compare(traced: Traced, model: nn.Module, shape: Shape, tolerance: float = TOLERANCE) -> Verdict:
    """Run a trace and its model on the same seeded inputs of one shape and compare.

    The inputs have a padded row and a full one; for a batch of one that takes two runs. Runs quietly,
    and leaves torch's random state as it was.

    Parameters
    ----------
    traced
        The trace and its contract.
    model
        The model it was made from.
    shape
        `(batch, length)`.
    tolerance
        Largest absolute difference that counts as the same.
    """
    import torch

    ways = (True, False) if shape[0] == 1 else (True,)
    with torch.inference_mode(), torch.random.fork_rng(devices=[]), quiet_transformers(), no_warnings():
        verdicts = [_compare_once(traced, model, shape, tolerance, padded=way) for way in ways]
    return max(verdicts, key=lambda verdict: (ORDER.index(verdict.kind), verdict.difference or 0.0))


def _compare_once(traced: Traced, model: nn.Module, shape: Shape, tolerance: float, *, padded: bool) -> Verdict:
    inputs = sample_inputs(traced.contract, model, shape, padded=padded)
    shapes = tuple((name, tuple(tensor.shape)) for name, tensor in inputs.items())
    kind: Kind = "unsupported"
    try:
        expected = list(run(model, inputs).values())
        kind = "raises"
        actual = flatten(traced.module(*inputs.values()))
    except Exception as error:  # noqa: BLE001, a shape may raise anything; it is the result
        return Verdict(kind, error=str(error) or type(error).__name__, shapes=shapes)
    difference = largest_difference(expected, actual)
    return Verdict("same" if difference <= tolerance else "wrong", difference, shapes=shapes)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Drop warnings within the block: what a model warns of is not repeated for every shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
