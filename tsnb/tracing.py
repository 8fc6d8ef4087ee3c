"""Trace a model by the names of its inputs, check the trace, and keep what belongs to it.

Taught in notebook 02.
"""

from __future__ import annotations

import linecache
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tsnb.axes import batch_and_length, input_axes, output_axes, resolve
from tsnb.contract import Contract, model_id, versions
from tsnb.errors import InputError, TraceError, suggest
from tsnb.graphs import fixed_devices
from tsnb.inputs import PAIR, check_both_ways, in_forward_order, is_whole, max_positions
from tsnb.models import quiet_transformers, tuple_outputs
from tsnb.outputs import flatten, largest_difference, named_outputs
from tsnb.verdicts import TOLERANCE, Verdict, judge
from tsnb.words import say

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.contract import Shape

    Tensors = Mapping[str, torch.Tensor]

KNOWN = {  # what to do, by the words of the tracer
    "dict": "strict=False",
    "vmap": "unordered_map::at",
}


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
        Whether the trace equals the model at other shapes all the same: found by running both,
        not by knowing the message. `False` for a line that may be the cause of a difference;
        `None` where no other shape could be tried, or the error came from another line.
    shapes
        The shapes `(batch, length)` that showed it; none where no other was tried.
    device
        Where the line was recorded with a device, that one: it matters on other devices only, and
        says nothing of shapes.
    """

    source: str
    code: str
    message: str
    count: int
    harmless: bool | None = None
    shapes: tuple[Shape, ...] = ()
    device: str = ""

    def __str__(self) -> str:
        head = (f"{self.source} ({self.count} ×)", self.code, self.message)
        return "\n    ".join(head if self.device else (*head, self._verdict()))

    def _verdict(self) -> str:
        shapes = ", ".join(f"{batch} × {length}" for batch, length in self.shapes)
        unclear = self.harmless is None and self.shapes
        ending = "unclear" if unclear else str(self.harmless).lower()
        return say(f"tracing.harmless-{ending}", shapes=shapes)


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
        What the tracer warned of, grouped by line of source; then the lines that were recorded with
        a device.
    """

    module: torch.jit.ScriptModule
    contract: Contract
    warnings: tuple[TraceWarning, ...] = ()

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


def trace(model: nn.Module, inputs: Tensors, verify: Iterable[Shape] = ()) -> Traced:
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
    verify
        Shapes `(batch, length)` at which trace and model must agree, on seeded inputs with real
        padding; they are recorded in the contract. Where nothing is asked, three neighbours of
        the traced shape are tried, and recorded where they agree; they mark the warnings too.

    Returns
    -------
    Traced
        The trace, its contract (with the shapes that were verified) and the warnings.

    Raises
    ------
    InputError
        Something else than a module, or names that `forward` does not have, or that are missing.
    TraceError
        The model is a trace already, is in training mode, cannot run the inputs itself, could not
        be traced, or disagrees with its trace by more than 1e-4, on `inputs` or at a shape to
        verify.

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

    _check_untraced(model)
    check_eval(checked_module(model), "tracing.training")
    asked = checked_shapes(verify)
    held = in_forward_order(model, checked_tensors(inputs))
    check_both_ways(model, held)
    # copies: the tracer takes one tensor under two names for one input
    ordered = {name: tensor.detach().clone() for name, tensor in held.items()}
    with torch.no_grad(), quiet_transformers(), tuple_outputs(model):
        eager = flatten(_run(model, ordered))
        module, noted = _record(model, ordered)
        difference = largest_difference(eager, flatten(module(**ordered)))
    bound = device_warnings(module)
    with quiet_transformers():
        contract = _contract(model, ordered, eager, {warning.device for warning in bound})
    if not difference <= TOLERANCE:
        raise TraceError("tracing.disagrees", difference=f"{difference:.2g}", tolerance=TOLERANCE)
    shapes = asked or neighbours(contract)
    traced = Traced(module, contract)
    verdicts = {shape: judge(traced, model, shape) for shape in shapes}
    if asked:
        check_verified(verdicts)
    same = [shape for shape, verdict in verdicts.items() if verdict.kind == "same"]
    others = {shape: verdicts[shape] for shape in verdicts if shape != batch_and_length(ordered)}
    return Traced(module, contract.with_verified(same), (*mark(noted, others), *bound))


def neighbours(contract: Contract) -> list[Shape]:
    """Return three shapes near the traced one: a row more, half the length, twice the length.

    >>> neighbours(Contract(("input_ids",), batch_size=1, length=16, max_positions=24))
    [(1, 8), (1, 24), (2, 16)]
    """
    batch, length = contract.batch_size, contract.length
    if batch is None or length is None:
        return []
    longest = min(2 * length, contract.max_positions or 2 * length)
    shapes = {(batch + 1, length), (batch, max(1, length // 2)), (batch, longest)}
    return sorted(shapes - {(batch, length)})


def mark(
    noted: tuple[TraceWarning, ...], verdicts: Mapping[Shape, Verdict]
) -> tuple[TraceWarning, ...]:
    """Mark warnings as harmless, or as a possible cause, by what became of other shapes.

    An error names the line it came from; where a warning stands at that line, only that warning is
    the cause. Wrong numbers name no line, so that every warning may be.
    """
    ran = {shape: found for shape, found in verdicts.items() if found.kind != "unsupported"}
    bad = tuple(shape for shape, found in ran.items() if found.kind != "same")
    if not bad:
        return tuple(
            replace(note, harmless=True if ran else None, shapes=tuple(ran)) for note in noted
        )
    named = {note.source for note in noted for shape in bad if _frame(note) in ran[shape].error}
    wrong = any(ran[shape].kind == "wrong" for shape in bad)
    causes = named if named and not wrong else {note.source for note in noted}
    return tuple(
        replace(note, harmless=False if note.source in causes else None, shapes=bad)
        for note in noted
    )


def device_warnings(module: torch.jit.ScriptModule) -> tuple[TraceWarning, ...]:
    """Return a warning for each line that a fresh trace ties to a device."""
    return tuple(
        TraceWarning(
            found.source,
            found.code,
            say("tracing.device", device=found.device),
            count,
            device=found.device,
        )
        for found, count in fixed_devices(module).items()
    )


def _frame(note: TraceWarning) -> str:
    """Return a warning's line as TorchScript's tracebacks write it: `file(line)`."""
    file, _, line = note.source.rpartition(":")
    return f"{file}({line})"


def check_verified(verdicts: Mapping[Shape, Verdict]) -> None:
    """Raise a TraceError that names the shapes at which trace and model do not agree."""
    bad = {shape: found for shape, found in verdicts.items() if found.kind != "same"}
    if bad:
        told = "; ".join(f"{batch} × {length}: {found}" for (batch, length), found in bad.items())
        raise TraceError("tracing.not-verified", shapes=told)


def check_inputs(contract: Contract, inputs: Tensors) -> None:
    """Raise an InputError where inputs do not have the contract's names, dtypes or fixed shapes."""
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
    if contract.fixed_shape:
        _check_shapes(contract, inputs)


def _check_shapes(contract: Contract, inputs: Tensors) -> None:
    """Raise an InputError where an input does not have the one shape that a graph takes."""
    for name, axes in contract.input_axes.items():
        expected = list(resolve(axes, contract.batch_size or 1, contract.length or 1))
        given = list(inputs[name].shape)
        if given != expected:
            raise InputError("inputs.wrong-shape", name=name, given=given, expected=expected)


def dtype_name(tensor: torch.Tensor) -> str:
    """Return a tensor's dtype without the prefix: `int64`."""
    return str(tensor.dtype).removeprefix("torch.")


def check_eval(model: nn.Module, key: str) -> None:
    """Raise a TraceError, in the words of a key, where a part of a model is in training mode."""
    training = [
        name or type(model).__name__ for name, part in model.named_modules() if part.training
    ]
    if training:
        raise TraceError(key, first=training[0], count=len(training))


def checked_shapes(verify: Iterable[Any]) -> list[Shape]:
    """Return shapes to verify as pairs of whole numbers, or raise an InputError."""
    if not isinstance(verify, Iterable):
        raise InputError("tracing.bad-verify", given=verify)
    shapes = list(verify)
    for shape in shapes:
        pair = tuple(shape) if isinstance(shape, (tuple, list)) else ()
        if len(pair) != PAIR or not all(map(is_whole, pair)):
            raise InputError("tracing.bad-verify", given=shape)
    return [(int(batch), int(length)) for batch, length in shapes]


def checked_tensors(inputs: object) -> Tensors:
    """Return inputs if they are tensors by name, or raise an InputError."""
    if not isinstance(inputs, Mapping) or not inputs:
        raise InputError("inputs.not-named", given=type(inputs).__name__)
    _check_tensors(inputs)
    for name, tensor in inputs.items():
        if 0 in tensor.shape:
            raise InputError("inputs.empty-tensor", name=name, given=tuple(tensor.shape))
    return inputs


def _check_tensors(inputs: Mapping[str, object]) -> None:
    import torch

    for name, tensor in inputs.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError("inputs.not-tensor", name=name, given=type(tensor).__name__)


def checked_traced(given: object) -> Traced:
    """Return a trace with its contract, or raise an InputError that names what was given.

    >>> checked_traced(5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tsnb.errors.InputError: Expected what tsnb.trace or tsnb.load_traced returns; got int. ...
    """
    if not isinstance(given, Traced):
        raise InputError("tracing.not-a-trace", given=type(given).__name__)
    return given


def checked_module(given: object) -> nn.Module:
    """Return a module, or raise an InputError that names what was given.

    >>> checked_module(5)
    Traceback (most recent call last):
        ...
    tsnb.errors.InputError: Expected a torch.nn.Module, as tsnb.load(name) returns first; got int.
    """
    import torch

    if not isinstance(given, torch.nn.Module):
        raise InputError("tracing.not-a-model", given=type(given).__name__)
    return given


def _check_untraced(model: object) -> None:
    import torch

    if isinstance(model, (Traced, torch.jit.ScriptModule)):
        raise TraceError("tracing.already-traced", given=type(model).__name__)


def _run(model: nn.Module, inputs: Tensors) -> Any:
    """Run a model; where it cannot, that is said before anything is traced."""
    try:
        return model(**inputs)
    except Exception as error:  # whatever a model raises at inputs that it cannot run
        why = f"{type(error).__name__}: {error}"
        raise TraceError("tracing.model-raises", model=type(model).__name__, why=why) from error


def _record(model: nn.Module, inputs: Tensors) -> tuple[Any, tuple[TraceWarning, ...]]:
    """Let torch trace; return the module and the tracer's warnings."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module = torch.jit.trace(model, example_kwarg_inputs=dict(inputs), check_trace=False)
        except (RuntimeError, ValueError, TypeError) as error:
            raise TraceError("tracing.failed", why=_why(str(error))) from error
    return module, _grouped(caught)


def _why(text: str) -> str:
    """Return the tracer's words without pages of numbers, and what to do where that is known."""
    short = re.sub(r"tensor\([^()]*\)", "tensor(…)", text).partition("\nTensor:\n")[0]
    todo = next((say(f"tracing.do-{key}") for key, words in KNOWN.items() if words in text), "")
    return f"{short}\n{todo}".strip()


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


def _contract(
    model: nn.Module, inputs: Tensors, eager: list[torch.Tensor], devices: set[str]
) -> Contract:
    batch, length = batch_and_length(inputs)
    return Contract(
        input_names=tuple(inputs),
        output_names=_output_names(model, inputs, len(eager)),
        dtypes={name: dtype_name(tensor) for name, tensor in inputs.items()},
        batch_size=batch,
        length=length,
        input_axes=input_axes(inputs),
        output_axes=output_axes(model, inputs, eager),
        pad_token_id=getattr(getattr(model, "config", None), "pad_token_id", None),
        max_positions=max_positions(model),
        model_id=model_id(model),
        versions=versions(),
        verified=((batch, length),) if batch is not None and length is not None else (),
        devices=tuple(sorted(devices)),
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
    except Exception:  # noqa: BLE001, whatever a forward raises that is not asked this way
        return []
    pairs = named.items() if isinstance(named, Mapping) else ()
    return [name for name, value in pairs for _ in flatten(value)]
