"""Which dimensions follow the batch size and the length, found by running the model. Taught in notebook 02."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tsnb.tracing.outputs import run
from tsnb.tracing.samples import sample_inputs

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Axis, Contract, Shape

    Tensors = Mapping[str, torch.Tensor]
    Sizes = list[tuple[int, ...]]

MATRIX = 2  # dimensions of a batch of token ids


def with_axes(contract: Contract, model: nn.Module, example: Tensors, outputs: list[torch.Tensor]) -> Contract:
    """Return a contract with the axes of inputs and outputs, and the batch size and length.

    The model is run with one row more, with half the length, and with one token fewer. A dimension of an
    output follows what it equals at every shape; if it changes otherwise it is `"other"`. What the model
    takes in one length only has none, unless it is token ids. Where it cannot run other shapes, a
    dimension of an output is told by its place and size.

    Parameters
    ----------
    contract
        With the names and dtypes of the inputs.
    model
        The model.
    example
        What it was run on.
    outputs
        What it returned for `example`, flattened.
    """
    base = [tuple(tensor.shape) for tensor in outputs]

    def sizes(axes: Mapping[str, tuple[Axis, ...]], shape: Shape) -> Sizes | None:
        try:
            drawn = sample_inputs(
                replace(contract, input_axes=axes), model, shape, padded=False, example=example, own=True
            )
            shapes = [tuple(tensor.shape) for tensor in run(model, drawn).values()]
        except Exception:  # noqa: BLE001, a model may raise anything at a shape that it does not take
            return None
        return shapes if [*map(len, shapes)] == [*map(len, base)] else None

    candidates = [axes for axes, before in pairwise([*_candidates(example), {}]) if axes != before]
    for axes in candidates:
        batch, length = _batch_and_length(example, axes)
        near = (length // 2, length - 1) if length > MATRIX else (2 * length, length + 1)
        tried = {(batch, other): sizes(axes, (batch, other)) for other in near if length}
        if length and not any(tried.values()):
            tried[batch, 2 * length] = sizes(axes, (batch, 2 * length))
        if any(tried.values()):
            break
    else:
        of_ids = (each for each in candidates if any("length" in each[name] for name in each if name.endswith("ids")))
        axes = next(of_ids, candidates[-1])
        batch, length = _batch_and_length(example, axes)
        tried = {}
    tried[batch + 1, length] = sizes(axes, (batch + 1, length)) if batch else None
    ran = {shape: each for shape, each in tried.items() if each is not None}
    told = {"batch": any(shape[0] != batch for shape in ran), "length": any(shape[1] != length for shape in ran)}

    def axis(number: int, dimension: int) -> Axis:
        size = base[number][dimension]
        others = {shape: each[number][dimension] for shape, each in ran.items()}
        for place, name in enumerate(("batch", "length")):
            if told[name] and all(shape[place] == other for shape, other in {**others, (batch, length): size}.items()):
                return name
        if set(others.values()) - {size}:
            return "other"
        guess = {(0, batch): "batch", (1, length): "length"}.get((dimension, size), "")
        return guess if guess and not told[guess] else size

    followed = tuple(tuple(axis(number, place) for place in range(len(each))) for number, each in enumerate(base))
    return replace(contract, input_axes=axes, output_axes=followed, batch_size=batch or None, length=length or None)


def _candidates(inputs: Tensors) -> Iterator[dict[str, tuple[Axis, ...]]]:
    """Yield what the axes of inputs may be: a length for each input that may have one, at last none.

    Every dimension of that size may follow the length, or those at the same place, or those of whole numbers.
    """
    batch = next((tensor.shape[0] for tensor in inputs.values() if tensor.dim()), None)

    def axis(tensor: torch.Tensor, dimension: int, length: int | None, place: int | None, *, whole: bool) -> Axis:
        size = tensor.shape[dimension]
        if (dimension, size) == (0, batch):
            return "batch"
        follows = size == length and dimension > 0 and place in {dimension, None}
        return "length" if follows and not (whole and tensor.is_floating_point()) else size

    def axes(*told: int | None, whole: bool = False) -> dict[str, tuple[Axis, ...]]:
        return {
            name: tuple(axis(tensor, dimension, *told, whole=whole) for dimension in range(tensor.dim()))
            for name, tensor in inputs.items()
        }

    for tensor in inputs.values():
        if tensor.dim() >= MATRIX:
            place = 1 if tensor.is_floating_point() else tensor.dim() - 1
            length = tensor.shape[place]
            yield axes(length, None)
            yield axes(length, place)
            yield axes(length, place, whole=True)
    yield axes(None, None)


def _batch_and_length(inputs: Tensors, axes: Mapping[str, Sequence[Axis]]) -> Shape:
    """Return the batch size and the length that inputs have; 0 for what they do not have."""
    sizes = {
        axis: size for name, tensor in inputs.items() for axis, size in zip(axes[name], tensor.shape, strict=True)
    }
    return sizes.get("batch", 0), sizes.get("length", 0)
