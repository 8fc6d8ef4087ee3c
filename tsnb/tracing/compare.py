"""Trace and model on the same inputs, and what that says about a shape."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tsnb.models.load import quiet_transformers
from tsnb.tracing.outputs import agree, flatten, largest_difference, run
from tsnb.tracing.samples import sample_inputs

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

Kind = Literal["same", "raises", "wrong", "unsupported"]
SYMBOLS: dict[Kind, str] = {"same": "✓", "raises": "✗", "wrong": "≠", "unsupported": "·"}
ORDER: tuple[Kind, ...] = ("same", "wrong", "raises", "unsupported")  # the graver comes later
TOLERANCE = 1e-4
DRAWS = ((0, True), (1, False), (2, True))  # seed, and whether rows are padded; all for the traced shape


@dataclass(frozen=True)
class Verdict:
    """What became of one shape.

    Attributes
    ----------
    kind
        `same`: trace and model agree within the tolerance; `raises`: the trace raises where the
        model does not; `wrong`: it runs, but differs beyond the tolerance or has another shape;
        `unsupported`: the model itself raises.
    difference
        Largest absolute difference, where both ran; infinite where the output's shape differs.
    error
        The whole message of the trace (`raises`) or of the model (`unsupported`).
    shapes
        Of the inputs by name, for the explanation of an error.
    sound
        False where the inputs were drawn with no example at hand, so that the model may raise at them
        and take others of the shape.
    """

    kind: Kind
    difference: float | None = None
    error: str = ""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    sound: bool = True

    @property
    def symbol(self) -> str:
        """One character for the kind: ✓ ✗ ≠ ·."""
        return SYMBOLS[self.kind]

    @property
    def reason(self) -> str:
        """The last line of the error."""
        return (self.error.strip().splitlines() or [""])[-1]

    def __str__(self) -> str:
        reason = self.reason
        if self.difference == float("inf"):
            return "runs, and differs from the model in shape, or in what is NaN or infinite"
        return {
            "same": f"same as the model (largest difference {self.difference or 0:.2g})",
            "raises": f"the trace raises: {reason}",
            "unsupported": f"the model itself cannot run it: {reason}"
            if self.sound
            else f"not compared, since the model raises at inputs drawn without an example: {reason}",
            "wrong": f"runs, and differs from the model by {self.difference or 0:.2g}",
        }[self.kind]


def compare(traced: Traced, model: nn.Module, shape: Shape, tolerance: float = TOLERANCE) -> Verdict:
    """Run a trace and its model on the same seeded inputs of one shape and compare.

    The inputs have a padded row and a full one; for a batch of one that takes two runs. The traced shape
    takes three. Runs quietly, and leaves torch's random state as it was.

    Parameters
    ----------
    traced
        The trace and its contract.
    model
        The model it was made from.
    shape
        `(batch, length)`.
    tolerance
        Largest absolute difference that counts as the same, where rounding is not more.
    """
    contract = traced.contract
    own = shape == (contract.batch_size or 1, contract.length or 0)
    draws = DRAWS if own or contract.unverified else DRAWS[:2] if shape[0] == 1 else DRAWS[:1]
    example = traced.example

    def drawn(seed: int, *, padded: bool, own: bool) -> Verdict:
        inputs = sample_inputs(traced.contract, model, shape, padded=padded, seed=seed, example=example, own=own)
        return compare_on(traced, model, inputs, tolerance)

    verdicts = []
    for seed, padded in draws:
        verdict = drawn(seed, padded=padded, own=False)
        if verdict.kind == "unsupported":  # not every model takes every id of its vocabulary
            verdict = drawn(seed, padded=padded, own=True) if example else replace(verdict, sound=False)
        verdicts.append(verdict)
    return max(verdicts, key=lambda verdict: (ORDER.index(verdict.kind), verdict.difference or 0.0))


def compare_on(traced: Traced, model: nn.Module, inputs: Mapping[str, torch.Tensor], tolerance: float) -> Verdict:
    """Run a trace and its model on the same inputs and compare. Runs quietly, as `compare` does."""
    import torch

    shapes = tuple((name, tuple(tensor.shape)) for name, tensor in inputs.items())
    kind: Kind = "unsupported"
    with torch.inference_mode(), torch.random.fork_rng(devices=[]), quiet_transformers(), no_warnings():
        try:
            expected = list(run(model, inputs).values())
            kind = "raises"
            actual = flatten(traced.module(*inputs.values()))
        except Exception as error:  # noqa: BLE001, a shape may raise anything; it is the result
            return Verdict(kind, error=str(error) or type(error).__name__, shapes=shapes)
        same = agree(expected, actual, tolerance)
        return Verdict("same" if same else "wrong", largest_difference(expected, actual), shapes=shapes)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Drop warnings within the block: what a model warns of is not repeated for every shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
