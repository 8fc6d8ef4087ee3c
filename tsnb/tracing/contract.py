"""What a trace promises: the names, shapes and versions that belong to it, as data.

An axis is a fixed size, or what a dimension follows: the batch size or the sequence length.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

Axis = int | str  # a fixed size, or what it follows
Shape = tuple[int, int]  # batch size and length; the length is 0 where inputs have none
FOLLOWED = ("batch", "length", "other")
DTYPE = re.compile(r"bool|u?int\d+|b?float\d+\w*|complex\d+")
LABELS_SHOWN = 8


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
        For each output, each dimension's size, or what it follows (`"batch"`, `"length"`, or
        `"other"` where it is neither), found by running the model at other shapes.
    device, dtype
        Of the model's weights when it was traced, such as `cpu` and `float32`; empty where it has none.
    id2label
        The names of a classifier's labels, by their place in the last dimension of an output.
    pad_token_id, max_positions
        Of the model's configuration; `None` where it has none.
    model_id
        What the model was loaded from, or the name of its class.
    versions
        Of Python and of the packages that made the trace.
    verified
        Shapes `(batch, length)` at which trace and model were compared on other values than those that
        were traced, and agreed.
    verified_inputs
        The same for inputs that have no length, and for tensors that the caller gave: each input's shape.
    unverified
        Why the traced shape itself is not verified; empty where it is.
    ranges
        The sizes of `batch` and `length` that `torch.export` recorded the program for, by its own account: the
        least, and the largest where there is one. It says 2 for what runs at 1 too.
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
    device: str = ""
    dtype: str = ""
    id2label: Mapping[int, str] = field(default_factory=dict)
    pad_token_id: int | None = None
    max_positions: int | None = None
    model_id: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    verified: tuple[Shape, ...] = ()
    verified_inputs: tuple[Mapping[str, tuple[int, ...]], ...] = ()
    unverified: str = ""
    ranges: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
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
        ValueError
            The text is not such JSON; the sentence names the field.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or "input_names" not in data:
            raise ValueError("it is no JSON object with input_names")
        known, values = get_type_hints(cls), {name: _tuples(value) for name, value in data.items()}
        unknown = values.keys() - known.keys()
        if unknown:
            raise ValueError(f"it has {', '.join(sorted(unknown))}, which this version of tsnb does not know")
        labels = values.get("id2label")
        if isinstance(labels, dict) and all(map(str.isdecimal, labels)):  # JSON's keys are texts
            values["id2label"] = {int(number): label for number, label in labels.items()}
        for name, value in values.items():
            if not _is_a(value, known[name]):
                raise ValueError(f"{name} is {json.dumps(data[name])}, which is not what belongs there")
        contract = cls(**values)
        names = {*contract.input_axes, *contract.dtypes} - {*contract.input_names}
        axes = [axis for each in (*contract.input_axes.values(), *contract.output_axes) for axis in each]
        if names or not contract.input_names:
            raise ValueError(f"input_names lacks {', '.join(sorted(names)) or 'every input'}")
        if len(contract.output_axes) not in {0, len(contract.output_names)}:
            raise ValueError("output_names and output_axes differ in number")
        if any(axis not in FOLLOWED if isinstance(axis, str) else axis < 0 for axis in axes):
            raise ValueError(f"an axis is neither a size nor {', '.join(FOLLOWED)}")
        if not all(map(DTYPE.fullmatch, contract.dtypes.values())):
            raise ValueError(f"dtypes is {json.dumps(data['dtypes'])}, which torch does not have")
        return contract

    def with_verified(self, shapes: Sequence[Shape]) -> Contract:
        """Return the same contract with more shapes recorded as verified."""
        return replace(self, verified=tuple(sorted({*self.verified, *shapes})))

    def rows(self) -> list[tuple[str, str]]:
        """Return every field but `known` with its value as text; `-` where it is not set.

        >>> Contract(("input_ids",), length=16).rows()[4]
        ('length', '16')
        """
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "known"}
        more = len(self.id2label) - LABELS_SHOWN
        values["id2label"] = dict([*self.id2label.items()][:LABELS_SHOWN])
        values["id2label"] |= {"and": f"{more} more"} if more > 0 else {}
        return [(name, _readable(value)) for name, value in values.items()]

    def __str__(self) -> str:
        lines = [f"{name:<15} {value}" for name, value in self.rows()]
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


def _is_a(value: Any, kind: Any) -> bool:
    """Tell whether a value read from JSON is of a type, at every depth.

    >>> _is_a(((1, 16), (2, 8)), tuple[Shape, ...]), _is_a(((1, 16), 5), tuple[Shape, ...])
    (True, False)
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_is_a(value, each) for each in arguments)
    if origin is Mapping:
        return isinstance(value, dict) and all(
            _is_a(item, each) for pair in value.items() for item, each in zip(pair, arguments, strict=True)
        )
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        return len(value) == len(kinds) and all(map(_is_a, value, kinds))
    return type(value) is kind


def _readable(value: Any) -> str:
    def text(item: Any) -> str:
        if isinstance(item, Mapping):
            return ", ".join(f"{name} {text(each)}" for name, each in item.items())
        return " × ".join(map(str, item)) if isinstance(item, tuple) else str(item)

    result = ", ".join(map(text, value)) if isinstance(value, tuple) else text(value)
    return result if value is not None and result else "-"
