"""A trace with its contract and the tracer's warnings. Taught in notebooks 02 and 04."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import InputError, TraceError
from tsnb.tracing.contract import Contract, resolve
from tsnb.tracing.inputs import check_names, check_tensors
from tsnb.tracing.outputs import named_outputs

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Shape

KINDS = {"export": "Program by torch.export", "aotinductor": "Package by AOTInductor", "onnx": "ONNX model"}


@dataclass(frozen=True)
class TraceWarning:
    """What the tracer said about one line of source, however often it said it.

    Attributes
    ----------
    source
        `file:line` of the code that was traced.
    code
        That line of code.
    message
        The tracer's words.
    count
        How often the line was met.
    harmless
        Whether the trace equals the model at other shapes all the same: seen by running both,
        not by knowing the message. `False` for a line that may be the cause of a difference;
        `None` where no other shape could be tried, or the error came from another line.
    shapes
        The shapes `(batch, length)` that showed it; none where no other was tried.
    device
        Where the line was recorded with a device, that one: it matters on other devices only, and
        says nothing of shapes.
    output
        Where the model returns what no trace holds (a cache, a text), its name; it says nothing of
        shapes either.
    """

    source: str
    code: str
    message: str
    count: int
    harmless: bool | None = None
    shapes: tuple[Shape, ...] = ()
    device: str = ""
    output: str = ""

    def __str__(self) -> str:
        lines = [f"{self.source} ({self.count} ×)", self.code, self.message]
        shapes = ", ".join(f"{batch} × {length}" for batch, length in self.shapes)
        if self.harmless:
            lines.append(f"harmless here: the trace equals the model at {shapes} too")
        elif self.harmless is False:
            lines.append(f"may be the cause: trace and model part at {shapes}")
        elif shapes:
            lines.append(f"unknown: trace and model part at {shapes}, and the error names another line")
        elif not (self.device or self.output):
            lines.append("not tried at another shape")
        return "\n    ".join(lines)


@dataclass(frozen=True, repr=False)
class Traced:
    """A trace with its contract; call it with inputs by name. Prints where it was compared with its model.

    Taught in notebooks 02 and 04.

    Attributes
    ----------
    module
        The `torch.jit.ScriptModule`, which runs without tsnb; or, of `tsnb.export`, a `Program`.
    contract
        Names, shapes and versions that belong to it.
    warnings
        What the tracer warned of, grouped by line of source; then the lines that were recorded with
        a device, and what of the output is left out.
    example
        The inputs that were traced, to draw others like them; none for a trace from a file.
    """

    module: torch.jit.ScriptModule
    contract: Contract
    warnings: tuple[TraceWarning, ...] = ()
    example: Mapping[str, torch.Tensor] = field(default_factory=dict, compare=False)

    def __call__(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run the trace and return its outputs by name.

        Raises
        ------
        InputError
            A name that the contract does not have, one that is missing, another dtype, or another
            shape where the graph takes only the traced one.
        """
        import torch

        check_inputs(self.contract, inputs)
        ordered = [inputs[name] for name in self.contract.input_names]
        with torch.inference_mode():
            return named_outputs(self.module(*ordered), self.contract.output_names)

    @property
    def device(self) -> torch.device:
        """Where its weights are; for a graph without any of its own, where it was traced."""
        import torch

        weights: Any = getattr(self.module, "parameters", tuple)()  # a benchmark puts functions in the module's place
        return next((weight.device for weight in weights), torch.device(self.contract.device or "cpu"))

    def __str__(self) -> str:
        contract = self.contract
        sizes = (contract.batch_size or 1, contract.length or 1)
        inputs = {name: resolve(contract.input_axes.get(name, ()), *sizes) for name in contract.input_names}
        kind = KINDS.get(getattr(self.module, "format", ""), "Trace")
        lines = [f"{kind} of {contract.model_id or 'an unknown model'}: {shapes_as_text(inputs)}"]
        shapes = [" × ".join(map(str, shape)) for shape in contract.verified]
        shapes += [shapes_as_text(named) for named in contract.verified_inputs]
        if shapes:
            lines.append(f"verified: equals the model on other values at {', '.join(shapes)}")
        if contract.unverified:
            lines.append(f"NOT VERIFIED at the traced shape: {contract.unverified}")
        lines += [note.message for note in self.warnings if note.output]
        notes = [note for note in self.warnings if not note.output]
        if notes:
            lines.append(f"The tracer warned of {len(notes)} lines of code: see .warnings")
        return "\n".join(lines)

    __repr__ = __str__


def shapes_as_text(shapes: Mapping[str, Iterable[int]]) -> str:
    """Return the shapes of inputs as text.

    >>> shapes_as_text({"pixel_values": (2, 3, 30, 30)})
    'pixel_values 2 × 3 × 30 × 30'
    """
    return ", ".join(f"{name} {' × '.join(map(str, shape))}" for name, shape in shapes.items())


def check_inputs(contract: Contract, inputs: Mapping[str, torch.Tensor]) -> None:
    """Raise an InputError where inputs do not have the contract's names, dtypes or fixed shapes."""
    check_tensors(inputs)
    check_names(inputs, contract.input_names, contract.input_names)
    for name, tensor in inputs.items():
        dtype, expected = dtype_name(tensor), contract.dtypes.get(name)
        if expected not in (None, dtype):
            raise InputError(f"The input {name} is {dtype}; the trace was recorded with {expected}. Convert it first.")
    for name, axes in contract.input_axes.items() if contract.ranges else ():
        for axis, size in zip(axes, inputs[name].shape, strict=False):
            _, most = contract.ranges.get(str(axis), (1, None))
            if most is not None and size > most:
                raise InputError(
                    f"The input {name} has a {axis} of {size}; it was recorded for {most} at most. Cut it."
                )
    for name, axes in contract.input_axes.items() if contract.fixed_shape else ():
        shape = list(inputs[name].shape)
        fixed = list(resolve(axes, contract.batch_size or 1, contract.length or 1))
        if shape != fixed:
            raise InputError(
                f"The input {name} has the shape {shape}; this graph takes {fixed} and no other. Pad or cut "
                "to that shape; tsnb.Runner does, and chooses among graphs of several lengths."
            )


def dtype_name(tensor: torch.Tensor) -> str:
    """Return a tensor's dtype without the prefix: `int64`."""
    return str(tensor.dtype).removeprefix("torch.")


def checked_traced(value: object) -> Traced:
    """Return a trace with its contract, or raise an InputError that names what was passed.

    >>> checked_traced(5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tsnb.base.errors.InputError: Expected what tsnb.trace or tsnb.load_traced returns; got int. ...
    """
    if not isinstance(value, Traced):
        raise InputError(
            f"Expected what tsnb.trace or tsnb.load_traced returns; got {type(value).__name__}. What "
            "torch.jit.trace made has no contract: call tsnb.trace(model, inputs) instead."
        )
    return value


def checked_module(value: object) -> nn.Module:
    """Return a module, or raise an InputError that names what was passed.

    >>> checked_module(5)
    Traceback (most recent call last):
        ...
    tsnb.base.errors.InputError: Expected a torch.nn.Module, as tsnb.load(name) returns first; got int.
    """
    import torch

    if not isinstance(value, torch.nn.Module):
        raise InputError(f"Expected a torch.nn.Module, as tsnb.load(name) returns first; got {type(value).__name__}.")
    return value


def check_eval(model: nn.Module) -> None:
    """Raise a TraceError where a part of a model is in training mode."""
    training = [name or type(model).__name__ for name, part in model.named_modules() if part.training]
    if training:
        raise TraceError(
            f"The model is in training mode ({len(training)} modules, first {training[0]}), so that its "
            "results are random, and dropout would be baked into a trace. Call model.eval() first."
        )


@contextmanager
def quiet_jit() -> Iterator[Any]:
    """Give `torch.jit` within the block, without the note that it is deprecated.

    Notebook 00 says it once, in full, and what to use for new work.
    """
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        yield torch.jit
