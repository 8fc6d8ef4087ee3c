"""Which dimensions of a model's inputs and outputs follow the batch size and the length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsnb.models.load import tuple_outputs
from tsnb.tracing.outputs import flatten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

    from tsnb.tracing.contract import Axis

    Tensors = Mapping[str, torch.Tensor]
    Sizes = tuple[int, ...]

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


def output_axes(model: nn.Module, inputs: Tensors, eager: list[torch.Tensor]) -> tuple[tuple[Axis, ...], ...]:
    """Run a model with one row more, then with one token fewer, and see which dimensions follow.

    Where it cannot run one of them, that is told by place and size, as for inputs.

    Parameters
    ----------
    eager
        What the model returned for `inputs`, flattened.
    """
    batch, length = batch_and_length(inputs)
    shapes = [tuple(tensor.shape) for tensor in eager]
    more = _shapes(model, _one_more(inputs), shapes) or [_resized(shape, 0, batch, 1) for shape in shapes]
    fewer = _shapes(model, _one_fewer(inputs), shapes) or [_resized(shape, 1, length, -1) for shape in shapes]
    return tuple(tuple(map(_axis, *sizes)) for sizes in zip(shapes, more, fewer, strict=True))


def _shapes(model: nn.Module, inputs: Tensors, like: list[Sizes]) -> list[Sizes]:
    """Return the shapes of a model's outputs; none where it cannot run, or returns others."""
    import torch

    try:
        with torch.no_grad(), tuple_outputs(model):
            found = [tuple(tensor.shape) for tensor in flatten(model(**inputs))]
    except Exception:  # noqa: BLE001, whatever a model raises at a shape it cannot run
        return []
    return found if list(map(len, found)) == list(map(len, like)) else []


def _one_more(inputs: Tensors) -> dict[str, torch.Tensor]:
    """Return inputs with their last row twice."""
    import torch

    axes = input_axes(inputs)
    return {
        name: torch.cat([tensor, tensor[-1:]]) if axes[name][:1] == ("batch",) else tensor
        for name, tensor in inputs.items()
    }


def _one_fewer(inputs: Tensors) -> dict[str, torch.Tensor]:
    """Return inputs with, where there are two tokens, one fewer."""
    axes = input_axes(inputs)
    return {
        name: tensor[:, :-1] if axes[name][1:2] == ("length",) and tensor.shape[1] > 1 else tensor
        for name, tensor in inputs.items()
    }


def _resized(shape: Sizes, place: int, size: int | None, change: int) -> Sizes:
    """Return a shape in which the dimension at a place is changed, if it has that size."""
    return tuple(held + change if (at, held) == (place, size) else held for at, held in enumerate(shape))


def _axis(before: int, more: int, fewer: int) -> Axis:
    following: dict[tuple[int, int], Axis] = {(0, 0): before, (1, 0): "batch", (0, -1): "length"}
    return following.get((more - before, fewer - before), "other")
