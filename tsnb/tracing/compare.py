"""Trace and model on the same inputs, and what that says about a shape."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tsnb.base.words import say
from tsnb.models.load import quiet_transformers, tuple_outputs
from tsnb.tracing.outputs import flatten, largest_difference
from tsnb.tracing.samples import sample_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from torch import nn

    from tsnb.tracing.trace import Traced

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
        if self.difference == float("inf"):
            return "runs, and differs from the model in shape, or in what is NaN or infinite"
        last = self.error.strip().splitlines()[-1:] or [""]
        return say(f"shapes.verdict-{self.kind}", difference=f"{self.difference or 0:.2g}", error=last[0])


def compare(
    traced: Traced, model: nn.Module, shape: tuple[int, int], tolerance: float = TOLERANCE
) -> Verdict:
    """Run a trace and its model on the same seeded inputs of one shape and compare.

    The inputs have a padded row and a full one; for a batch of one that takes two runs.

    Parameters
    ----------
    traced
        The trace and its contract.
    shape
        `(batch, length)`.
    tolerance
        Largest absolute difference that counts as the same.
    """
    ways = (True, False) if shape[0] == 1 else (True,)
    verdicts = [_judge_once(traced, model, shape, tolerance, padded=way) for way in ways]
    return max(verdicts, key=lambda found: (ORDER.index(found.kind), found.difference or 0.0))


def _judge_once(
    traced: Traced, model: nn.Module, shape: tuple[int, int], tolerance: float, *, padded: bool
) -> Verdict:
    inputs = sample_inputs(traced.contract, model, shape, padded=padded)
    shapes = tuple((name, tuple(tensor.shape)) for name, tensor in inputs.items())
    with _judging(model):
        eager = _try(lambda: flatten(model(**inputs)))
        if isinstance(eager, Exception):
            return Verdict("unsupported", error=_message(eager), shapes=shapes)
        found = _try(lambda: flatten(traced.module(*inputs.values())))
    if isinstance(found, Exception):
        return Verdict("raises", error=_message(found), shapes=shapes)
    difference = largest_difference(eager, found)
    return Verdict("same" if difference <= tolerance else "wrong", difference, shapes=shapes)


@contextmanager
def _judging(model: nn.Module) -> Iterator[None]:
    """Run quietly, without gradients, and leave the model and torch's random state as they were."""
    import torch

    with (
        torch.inference_mode(),
        torch.random.fork_rng(devices=[]),
        tuple_outputs(model),
        quiet_transformers(),
        no_warnings(),
    ):
        yield


def _try(run: Callable[[], list[torch.Tensor]]) -> list[torch.Tensor] | Exception:
    try:
        return run()
    except Exception as error:  # noqa: BLE001, a shape may raise anything; it is the result
        return error


@contextmanager
def no_warnings() -> Iterator[None]:
    """Keep what a model warns of from being said again for every shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _message(error: Exception) -> str:
    return str(error) or type(error).__name__
