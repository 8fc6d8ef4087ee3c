"""Which dimensions of a model's inputs and outputs follow the batch size and the length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsnb.models import tuple_outputs
from tsnb.outputs import flatten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

    from tsnb.contract import Axis

    Tensors = Mapping[str, torch.Tensor]

FLAT = 2  # dimensions of a batch of token ids


def batch_and_length(inputs: Tensors) -> tuple[int | None, int | None]:
    """Return the size of the first two dimensions, read off the first input that has them.

    >>> import torch
    >>> batch_and_length({"input_ids": torch.zeros(2, 7)})
    (2, 7)
    """
    shapes = [tensor.shape for tensor in inputs.values()]
    batch = next((shape[0] for shape in shapes if shape), None)
    return next(((shape[0], shape[1]) for shape in shapes if len(shape) >= FLAT), (batch, None))


def input_axes(inputs: Tensors) -> dict[str, tuple[Axis, ...]]:
    """Return what each dimension of each input follows.

    The first dimension follows the batch where it has its size, the second the length.

    >>> import torch
    >>> input_axes({"input_ids": torch.zeros(2, 7), "scale": torch.zeros(5)})
    {'input_ids': ('batch', 'length'), 'scale': (5,)}
    """
    batch, length = batch_and_length(inputs)

    def axis(place: int, size: int) -> Axis:
        following = {(0, batch): "batch", (1, length): "length"}
        return following.get((place, size), size)

    return {
        name: tuple(map(axis, *zip(*enumerate(tensor.shape), strict=True))) if tensor.ndim else ()
        for name, tensor in inputs.items()
    }


def resolve(axes: Sequence[Axis], batch: int, length: int) -> tuple[int, ...]:
    """Return the shape that axes have at a batch size and a length.

    >>> resolve(("batch", "length", 128), 2, 9)
    (2, 9, 128)
    """
    sizes = {"batch": batch, "length": length}
    return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in axes)


def output_axes(
    model: nn.Module, inputs: Tensors, eager: list[torch.Tensor]
) -> tuple[tuple[Axis, ...], ...]:
    """Run a model with one row more and one token fewer, and see which dimensions follow.

    Parameters
    ----------
    eager
        What the model returned for `inputs`, flattened.
    """
    import torch

    try:
        with torch.no_grad(), tuple_outputs(model):
            other = flatten(model(**_resized(inputs)))
    except Exception:  # noqa: BLE001, whatever a model raises at a shape it cannot run
        other = eager
    if [tensor.ndim for tensor in other] != [tensor.ndim for tensor in eager]:
        other = eager
    pairs = zip(eager, other, strict=True)
    return tuple(tuple(map(_axis, before.shape, after.shape)) for before, after in pairs)


def _resized(inputs: Tensors) -> dict[str, torch.Tensor]:
    """Return inputs with their last row twice and, where there are two tokens, one token fewer."""
    import torch

    axes = input_axes(inputs)
    shorter = {
        name: tensor[:, :-1] if axes[name][1:2] == ("length",) and tensor.shape[1] > 1 else tensor
        for name, tensor in inputs.items()
    }
    return {
        name: torch.cat([tensor, tensor[-1:]]) if axes[name][:1] == ("batch",) else tensor
        for name, tensor in shorter.items()
    }


def _axis(before: int, after: int) -> Axis:
    following: dict[int, Axis] = {0: before, 1: "batch", -1: "length"}
    return following.get(after - before, "other")
