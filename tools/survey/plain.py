"""The second judge: model and trace side by side in plain torch, with nothing of tsnb in it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Tensors = Mapping[str, torch.Tensor]

TOLERANCE = 1e-4  # times the largest number expected, where that is above one
NO_CACHE = {"return_dict": True, "use_cache": False}


class Tuples(torch.nn.Module):
    """A model that returns its tensors in a tuple."""

    def __init__(self, model: torch.nn.Module, names: Iterable[str]) -> None:
        super().__init__()
        self.model, self.names = model, tuple(names)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the model on tensors in the order of `names`."""
        return tuple(run(self.model, dict(zip(self.names, tensors, strict=True))).values())


def run(model: torch.nn.Module, inputs: Tensors) -> dict[str, torch.Tensor]:
    """Return a model's tensors by name, without a cache where it runs so; parts of an output are numbered."""
    known = inspect.signature(model.forward).parameters
    options = {name: value for name, value in NO_CACHE.items() if name in known}
    with torch.no_grad():
        try:
            return dict(tensors(model(**inputs, **options)))
        except Exception:  # some run only with a cache, as ImageGPT of 4.57 does
            if options.pop("use_cache", None) is None:
                raise
            return dict(tensors(model(**inputs, **options)))


def tensors(output: Any, name: str = "") -> Iterable[tuple[str, torch.Tensor]]:
    """Yield the tensors of an output with their names."""
    if isinstance(output, torch.Tensor):
        yield name, output
    elif isinstance(output, dict):
        for key, value in output.items():
            yield from tensors(value, f"{name}.{key}" if name else key)
    elif isinstance(output, (tuple, list)):
        for place, value in enumerate(output):
            yield from tensors(value, f"{name}.{place}")


def difference(expected: list[torch.Tensor], actual: list[torch.Tensor]) -> float:
    """Return how far two outputs are apart, over the largest number expected where that is above one.

    Infinite where shapes differ, or what is infinite or not a number.
    """
    if [each.shape for each in expected] != [each.shape for each in actual]:
        return float("inf")
    apart = 0.0
    for first, second in zip(expected, actual, strict=True):
        left, right = first.detach().double(), second.detach().double()
        finite = left.isfinite()
        if not torch.equal(left[~finite].nan_to_num(0.5), right[~finite].nan_to_num(0.5)):
            return float("inf")
        if finite.any():
            scale = max(1.0, float(left[finite].abs().max()))
            apart = max(apart, float((left[finite] - right[finite]).abs().max()) / scale)
    return float("inf") if apart != apart else apart  # noqa: PLR0124, not a number in `actual` alone


def matching(expected: dict[str, torch.Tensor], names: Iterable[str]) -> list[torch.Tensor]:
    """Return the tensors that a trace with outputs of these names should give."""
    wanted = tuple(names)
    return [expected[name] for name in wanted] if set(wanted) <= expected.keys() else list(expected.values())


def traces(model: torch.nn.Module, inputs: Tensors) -> bool:
    """Whether torch alone traces a model, and the trace equals it on the same inputs."""
    wrapped, values = Tuples(model, inputs).eval(), tuple(inputs.values())
    try:
        with torch.no_grad():
            actual = torch.jit.trace(wrapped, values, check_trace=False)(*values)
            return difference(list(wrapped(*values)), list(actual)) <= TOLERANCE
    except Exception:  # noqa: BLE001, whatever torch says when it cannot
        return False
