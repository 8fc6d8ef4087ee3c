"""Trace a model by the names of its inputs, check the trace, and keep what belongs to it.

Taught in notebook 02.
"""

from __future__ import annotations

import linecache
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsnb.contract import Axis, Contract, model_id, versions
from tsnb.errors import InputError, TraceError, suggest
from tsnb.inputs import in_forward_order, max_positions
from tsnb.models import quiet_transformers, tuple_outputs

if TYPE_CHECKING:
    import torch
    from torch import nn

    Tensors = Mapping[str, torch.Tensor]

TOLERANCE = 1e-4
FLAT = 2  # dimensions of a batch of token ids


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
    """

    source: str
    code: str
    message: str
    count: int

    def __str__(self) -> str:
        return f"{self.source} ({self.count} ×)\n    {self.code}\n    {self.message}"


@dataclass(frozen=True)
class Traced:
    """A trace with its contract; call it with inputs by name. Taught in notebooks 02 and 04.

    Attributes
    ----------
    module
        The `torch.jit.ScriptModule`; it runs without tsnb.
    contract
        Names, shapes and versions that belong to it.
    warnings
        What the tracer warned of, grouped by line of source.
    """

    module: torch.jit.ScriptModule
    contract: Contract
    warnings: tuple[TraceWarning, ...] = ()

    def __call__(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run the trace and return its outputs by name.

        Raises
        ------
        InputError
            A name that the contract does not have, one that is missing, or another dtype.
        """
        import torch

        check_inputs(self.contract, inputs)
        ordered = [inputs[name] for name in self.contract.input_names]
        with torch.inference_mode():
            return named_outputs(self.module(*ordered), self.contract.output_names)


def trace(model: nn.Module, inputs: Tensors) -> Traced:
    """Trace a model and check that the trace agrees with it.

    The tracer runs the model once on `inputs` and records every tensor operation; what Python
    decides on the way is not recorded. A Transformers model returns a tuple while it is traced,
    with or without the `torchscript` flag.

    Parameters
    ----------
    model
        Any module in eval mode.
    inputs
        Tensors by the names of `forward`, in any order.

    Returns
    -------
    Traced
        The trace, its contract (the traced shape is recorded as verified) and the warnings.

    Raises
    ------
    InputError
        Names that `forward` does not have, or that are missing.
    TraceError
        The model is in training mode, could not be traced, or disagrees with its trace by more
        than 1e-4.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> traced.contract.output_names
    ('logits',)

    Taught in notebook 02.
    """
    import torch

    _check_eval(model)
    ordered = in_forward_order(model, _checked_tensors(inputs))
    with torch.no_grad(), quiet_transformers(), tuple_outputs(model):
        eager = flatten(model(**ordered))
        module, noted = _record(model, ordered)
        difference = largest_difference(eager, flatten(module(**ordered)))
    if not difference <= TOLERANCE:
        raise TraceError("tracing.disagrees", difference=f"{difference:.2g}", tolerance=TOLERANCE)
    return Traced(module, _contract(model, ordered, eager), noted)


def flatten(output: Any) -> list[torch.Tensor]:
    """Return the tensors of a model's output, however they are nested, in order."""
    import torch

    if isinstance(output, torch.Tensor):
        return [output]
    if output is None:
        return []
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

    >>> import torch
    >>> largest_difference([torch.zeros(2)], [torch.ones(2)])
    1.0
    """
    if [tensor.shape for tensor in first] != [tensor.shape for tensor in second]:
        return float("inf")
    pairs = zip(first, second, strict=True)
    return max((_difference(a, b) for a, b in pairs if a.numel()), default=0.0)


def _difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the largest absolute difference of two tensors; NaN equals NaN at the same place."""
    import torch

    wide = torch.promote_types(first.dtype, torch.float64)  # holds bool and uint8 without overflow
    equal = (first == second) | (first.isnan() & second.isnan())
    apart = (first.to(wide) - second.to(wide)).abs().masked_fill(equal, 0.0)
    return float(apart.nan_to_num(nan=float("inf"), posinf=float("inf")).max())


def check_inputs(contract: Contract, inputs: Tensors) -> None:
    """Raise an InputError where inputs do not have the contract's names and dtypes."""
    _check_tensors(inputs)
    for name, tensor in inputs.items():
        if name not in contract.input_names:
            near = suggest(name, contract.input_names)
            raise InputError("inputs.misnamed", given=name, near=near)
        found, expected = dtype_name(tensor), contract.dtypes.get(name)
        if expected not in (None, found):
            raise InputError("inputs.wrong-dtype", name=name, given=found, expected=expected)
    missing = [name for name in contract.input_names if name not in inputs]
    if missing:
        raise InputError("inputs.missing", names=", ".join(missing), given=", ".join(inputs))


def dtype_name(tensor: torch.Tensor) -> str:
    """Return a tensor's dtype without the prefix: `int64`."""
    return str(tensor.dtype).removeprefix("torch.")


def batch_and_length(inputs: Tensors) -> tuple[int | None, int | None]:
    """Return the size of the first two dimensions, read off the first input that has them."""
    shapes = [tensor.shape for tensor in inputs.values()]
    batch = next((shape[0] for shape in shapes if shape), None)
    return next(((shape[0], shape[1]) for shape in shapes if len(shape) >= FLAT), (batch, None))


def _check_eval(model: nn.Module) -> None:
    training = [
        name or type(model).__name__ for name, part in model.named_modules() if part.training
    ]
    if training:
        raise TraceError("tracing.training", first=training[0], count=len(training))


def _checked_tensors(inputs: object) -> Tensors:
    if not isinstance(inputs, Mapping) or not inputs:
        raise InputError("inputs.not-named", given=type(inputs).__name__)
    _check_tensors(inputs)
    return inputs


def _check_tensors(inputs: Mapping[str, object]) -> None:
    import torch

    for name, tensor in inputs.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError("inputs.not-tensor", name=name, given=type(tensor).__name__)


def _record(model: nn.Module, inputs: Tensors) -> tuple[Any, tuple[TraceWarning, ...]]:
    """Let torch trace; return the module and the tracer's warnings."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module = torch.jit.trace(model, example_kwarg_inputs=dict(inputs), check_trace=False)
        except (RuntimeError, ValueError, TypeError) as error:
            raise TraceError("tracing.failed", why=_without_numbers(str(error))) from error
    return module, _grouped(caught)


def _without_numbers(text: str) -> str:
    """Leave out the elements of tensors, of which the tracer prints pages."""
    return re.sub(r"tensor\([^()]*\)", "tensor(…)", text)


def _grouped(caught: list[warnings.WarningMessage]) -> tuple[TraceWarning, ...]:
    """Group the tracer's warnings by line of source and drop those of others."""
    import torch

    counts = Counter(
        (warning.filename, warning.lineno, str(warning.message))
        for warning in caught
        if warning.category is torch.jit.TracerWarning
    )
    return tuple(
        TraceWarning(f"{file}:{line}", linecache.getline(file, line).strip(), message, count)
        for (file, line, message), count in counts.items()
    )


def _contract(model: nn.Module, inputs: Tensors, eager: list[torch.Tensor]) -> Contract:
    batch, length = batch_and_length(inputs)
    return Contract(
        input_names=tuple(inputs),
        output_names=_output_names(model, inputs, len(eager)),
        dtypes={name: dtype_name(tensor) for name, tensor in inputs.items()},
        batch_size=batch,
        length=length,
        output_axes=_output_axes(model, inputs, eager),
        pad_token_id=getattr(getattr(model, "config", None), "pad_token_id", None),
        max_positions=max_positions(model),
        model_id=model_id(model),
        versions=versions(),
        verified=((batch, length),) if batch is not None and length is not None else (),
    )


def _output_names(model: nn.Module, inputs: Tensors, count: int) -> tuple[str, ...]:
    """Return the names a Transformers model gives its outputs, or numbers."""
    from transformers import PreTrainedModel

    names: list[str] = []
    if isinstance(model, PreTrainedModel):
        names = _named_by(model, inputs)
    fitting = len(names) == count == len(set(names))
    return tuple(names) if fitting else tuple(f"output_{number}" for number in range(count))


def _named_by(model: nn.Module, inputs: Tensors) -> list[str]:
    """Ask a Transformers model for a dict of outputs; one of the reader's own may not give any."""
    import torch

    try:
        with torch.no_grad():
            named = model(**inputs, return_dict=True)
    except TypeError:
        return []
    pairs = named.items() if isinstance(named, Mapping) else ()
    return [name for name, value in pairs for _ in flatten(value)]


def _output_axes(
    model: nn.Module, inputs: Tensors, eager: list[torch.Tensor]
) -> tuple[tuple[Axis, ...], ...]:
    """Run the model with one row more and one token fewer, and see which dimensions follow."""
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

    _, length = batch_and_length(inputs)
    longer = {name: torch.cat([tensor, tensor[-1:]]) for name, tensor in inputs.items()}
    if length is None or length < 2:  # noqa: PLR2004, no token can be spared
        return longer
    return {
        name: tensor[:, :-1] if tensor.ndim >= FLAT and tensor.shape[1] == length else tensor
        for name, tensor in longer.items()
    }


def _axis(before: int, after: int) -> Axis:
    following: dict[int, Axis] = {0: before, 1: "batch", -1: "length"}
    return following.get(after - before, "other")
