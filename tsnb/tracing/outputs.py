"""A model's outputs as named tensors, and how far two of them are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsnb.base.errors import TraceError

if TYPE_CHECKING:
    import torch


def flatten(output: Any) -> list[torch.Tensor]:
    """Return the tensors of a model's output, however they are nested, in order.

    Raises
    ------
    TraceError
        Something in it is neither a tensor, nor None, nor holds them in a list, tuple or dict.
    """
    import torch

    if isinstance(output, torch.Tensor):
        return [output]
    if output is None:
        return []
    if not isinstance(output, (list, tuple, dict)):
        given = type(output).__name__
        key = "tracing.a-cache" if given.endswith("Cache") else "tracing.not-tensors"
        raise TraceError(key, given=given)
    parts = output.values() if isinstance(output, dict) else output
    return [tensor for part in parts for tensor in flatten(part)]


def named_outputs(output: Any, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Return the tensors of an output by name; those beyond the names are numbered."""
    tensors = flatten(output)
    numbered = (f"output_{number}" for number in range(len(names), len(tensors)))
    return dict(zip((*names, *numbered), tensors, strict=False))


def largest_difference(first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
    """Return the largest absolute difference between two outputs.

    Infinite where shapes differ, or where only one of the two is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> largest_difference([torch.zeros(2)], [torch.ones(2)])
    1.0
    """
    if [tensor.shape for tensor in first] != [tensor.shape for tensor in second]:
        return float("inf")
    pairs = zip(first, second, strict=True)
    return max((_difference(a, b) for a, b in pairs if a.numel()), default=0.0)


def relative_difference(expected: list[torch.Tensor], found: list[torch.Tensor]) -> float:
    """Return the largest difference of two outputs, as a part of the largest number expected.

    >>> import torch
    >>> relative_difference([torch.tensor([4.0, -8.0])], [torch.tensor([4.0, -6.0])])
    0.25
    """
    tops = (float(tensor.double().abs().max()) for tensor in expected if tensor.numel())
    largest = max(tops, default=0.0)
    return largest_difference(expected, found) / (largest or 1.0)


def equal(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return where two tensors hold the same; NaN equals NaN.

    >>> import torch
    >>> equal(torch.tensor([1.0, float("nan")]), torch.tensor([2.0, float("nan")])).tolist()
    [False, True]
    """
    return (first == second) | (first.isnan() & second.isnan())


def _difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the largest absolute difference of two tensors; NaN equals NaN at the same place."""
    import torch

    wide = torch.promote_types(first.dtype, torch.float64)  # holds bool and uint8 without overflow
    apart = (first.to(wide) - second.to(wide)).abs().masked_fill(equal(first, second), 0.0)
    return float(apart.nan_to_num(nan=float("inf"), posinf=float("inf")).max())
