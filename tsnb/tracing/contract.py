"""What a trace promises: the names, shapes and versions that belong to it, as data.

An axis is a fixed size, or what a dimension follows: the batch size or the sequence length.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

Axis = int | str  # a fixed size, or what it follows: "batch", "length" or "other"
Shape = tuple[int, int]
MATRIX = 2  # dimensions of a batch of token ids


@dataclass(frozen=True)
class Contract:
    """What a caller must know of a trace; saved inside the `.pt` file.

    Taught in notebooks 02 and 03.

    Attributes
    ----------
    input_names
        In the order of the model's `forward`.
    output_names
        One for each tensor that the trace returns.
    dtypes
        Of each input, such as `int64`.
    batch_size, length
        The shape that was traced; `None` where the inputs have no such dimension.
    input_axes
        For each input, each dimension's size, or what it follows (`"batch"`, `"length"`).
    output_axes
        For each output, each dimension's size, or what it follows (`"batch"`, `"length"`,
        `"other"`), found by running the model at a second shape.
    pad_token_id, max_positions
        Of the model's configuration; `None` where it has none.
    model_id
        What the model was loaded from, or the name of its class.
    versions
        Of Python and of the packages that made the trace.
    verified
        Shapes `(batch, length)` at which trace and model were compared and agreed.
    fixed_shape
        Whether only the traced shape is accepted, as in a Neuron graph.
    target
        What a Neuron graph was compiled for, such as `inf2`; `stand-in` for one that behaves like
        it on the CPU; empty for a plain trace.
    devices
        On which the graph itself makes tensors or moves them, whatever device it is loaded onto.
    known
        Whether tsnb made the trace; a contract read off somebody else's file says `False`.
    """

    input_names: tuple[str, ...]
    output_names: tuple[str, ...] = ()
    dtypes: Mapping[str, str] = field(default_factory=dict)
    batch_size: int | None = None
    length: int | None = None
    input_axes: Mapping[str, tuple[Axis, ...]] = field(default_factory=dict)
    output_axes: tuple[tuple[Axis, ...], ...] = ()
    pad_token_id: int | None = None
    max_positions: int | None = None
    model_id: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    verified: tuple[Shape, ...] = ()
    fixed_shape: bool = False
    target: str = ""
    devices: tuple[str, ...] = ()
    known: bool = True

    def to_json(self) -> str:
        """Return the contract as JSON text, readable by C++ and by people.

        >>> Contract.from_json(Contract(("input_ids",)).to_json()).input_names
        ('input_ids',)
        """
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Contract:
        """Return the contract that `to_json` wrote.

        Raises
        ------
        ValueError, TypeError
            The text is not such JSON.
        """
        return cls(**{name: _tuples(value) for name, value in json.loads(text).items()})

    def with_verified(self, shapes: Sequence[Shape]) -> Contract:
        """Return the same contract with more shapes recorded as verified."""
        return replace(self, verified=tuple(sorted({*self.verified, *shapes})))

    def rows(self) -> list[tuple[str, str]]:
        """Return every field but `known` with its value as text; `-` where it is not set.

        >>> Contract(("input_ids",), length=16).rows()[4]
        ('length', '16')
        """
        fields = asdict(self).items()
        return [(name, _readable(value)) for name, value in fields if name != "known"]

    def __str__(self) -> str:
        lines = [f"{name:<13} {value}" for name, value in self.rows()]
        if not self.known:
            lines.append("This file was not made by tsnb: only its input names are known, read off the graph.")
        return "\n".join(lines)


def versions() -> dict[str, str]:
    """Return the versions that decide what a trace does; looks nothing up that is not installed.

    >>> sorted(versions())
    ['python', 'torch', 'transformers', 'tsnb']
    """
    packages = {name: version(name) for name in ("torch", "transformers", "tsnb")}
    return {"python": platform.python_version(), **packages}


def batch_and_length(inputs: Mapping[str, torch.Tensor]) -> tuple[int | None, int | None]:
    """Return the size of the first two dimensions, read off the first input that has them.

    >>> import torch
    >>> batch_and_length({"input_ids": torch.zeros(2, 7)})
    (2, 7)
    """
    shapes = [tensor.shape for tensor in inputs.values()]
    batch = next((shape[0] for shape in shapes if shape), None)
    return next(((shape[0], shape[1]) for shape in shapes if len(shape) >= MATRIX), (batch, None))


def input_axes(inputs: Mapping[str, torch.Tensor]) -> dict[str, tuple[Axis, ...]]:
    """Return what each dimension of each input follows.

    The first dimension follows the batch where it has its size, the second the length.

    >>> import torch
    >>> input_axes({"input_ids": torch.zeros(2, 7), "scale": torch.zeros(5)})
    {'input_ids': ('batch', 'length'), 'scale': (5,)}
    """
    sizes = batch_and_length(inputs)
    return {name: axes_by_size(tuple(tensor.shape), *sizes) for name, tensor in inputs.items()}


def axes_by_size(shape: tuple[int, ...], batch: int | None, length: int | None) -> tuple[Axis, ...]:
    """Return what each dimension of a shape follows, by its place and size.

    >>> axes_by_size((2, 7, 7), 2, 7)
    ('batch', 'length', 7)
    """
    following: dict[tuple[int, int | None], Axis] = {(0, batch): "batch", (1, length): "length"}
    return tuple(following.get(dimension, dimension[1]) for dimension in enumerate(shape))


def resolve(axes: Sequence[Axis], batch: int, length: int) -> tuple[int, ...]:
    """Return the shape that axes have at a batch size and a length.

    >>> resolve(("batch", "length", 128), 2, 9)
    (2, 9, 128)
    """
    sizes = {"batch": batch, "length": length}
    return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in axes)


def _tuples(value: Any) -> Any:
    """Turn JSON's lists into tuples, at every depth."""
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _readable(value: Any) -> str:
    def size(item: Any) -> str:
        return " × ".join(map(str, item)) if isinstance(item, tuple) else str(item)

    if isinstance(value, dict):
        value = tuple(f"{name} {size(item)}" for name, item in value.items())
    text = ", ".join(map(size, value)) if isinstance(value, tuple) else str(value)
    return text if value is not None and text else "-"
