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

from tsnb.base.errors import InputError, TraceError, suggest
from tsnb.base.words import say
from tsnb.models.load import quiet_transformers, tuple_outputs
from tsnb.tracing.axes import batch_and_length, input_axes, output_axes, resolve
from tsnb.tracing.compare import TOLERANCE, Verdict, compare
from tsnb.tracing.contract import Contract, model_id, versions
from tsnb.tracing.graphs import fixed_devices
from tsnb.tracing.inputs import PAIR, check_both_ways, in_forward_order, is_positive_int, max_positions
from tsnb.tracing.outputs import flatten, largest_difference, named_outputs

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Shape

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
        raise TraceError(
            f"The trace differs from the model by {difference:.2g} on the very inputs that "
            f"were traced (allowed: {TOLERANCE}). Something random runs in the model's "
            "forward, or Python state changes there."
        )
    shapes = asked or neighbours(contract)
    traced = Traced(module, contract)
    verdicts = {shape: compare(traced, model, shape) for shape in shapes}
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


def mark(noted: tuple[TraceWarning, ...], verdicts: Mapping[Shape, Verdict]) -> tuple[TraceWarning, ...]:
    """Mark warnings as harmless, or as a possible cause, by what became of other shapes.

    An error names the line it came from; where a warning stands at that line, only that warning is
    the cause. Wrong numbers name no line, so that every warning may be.
    """
    ran = {shape: found for shape, found in verdicts.items() if found.kind != "unsupported"}
    bad = tuple(shape for shape, found in ran.items() if found.kind != "same")
    if not bad:
        return tuple(replace(note, harmless=True if ran else None, shapes=tuple(ran)) for note in noted)
    named = {note.source for note in noted for shape in bad if _frame(note) in ran[shape].error}
    wrong = any(ran[shape].kind == "wrong" for shape in bad)
    causes = named if named and not wrong else {note.source for note in noted}
    return tuple(
        replace(note, harmless=False if note.source in causes else None, shapes=bad) for note in noted
    )


def device_warnings(module: torch.jit.ScriptModule) -> tuple[TraceWarning, ...]:
    """Return a warning for each line that a fresh trace ties to a device."""
    return tuple(
        TraceWarning(
            found.source,
            found.code,
            (
                f"The trace puts this tensor on {found.device}, whatever device it is loaded "
                f"onto. That is harmless while it runs on {found.device}; for another device, "
                "move model and inputs there and trace again."
            ),
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
        raise TraceError(
            f"The trace does not agree with the model at every shape to verify: {told}. No "
            "trace is returned; tsnb.probe shows which shapes can be trusted."
        )


def check_inputs(contract: Contract, inputs: Tensors) -> None:
    """Raise an InputError where inputs do not have the contract's names, dtypes or fixed shapes."""
    _check_tensors(inputs)
    for name, tensor in inputs.items():
        if name not in contract.input_names:
            near = suggest(name, contract.input_names)
            raise InputError(f"The model's forward has no input called {name}. {near}")
        found, expected = dtype_name(tensor), contract.dtypes.get(name)
        if expected not in (None, found):
            raise InputError(
                f"The input {name} is {found}; the trace was recorded with {expected}. Convert it first."
            )
    missing = [name for name in contract.input_names if name not in inputs]
    if missing:
        raise InputError(f"These inputs are missing: {', '.join(missing)}. Given: {', '.join(inputs)}.")
    if contract.fixed_shape:
        _check_shapes(contract, inputs)


def _check_shapes(contract: Contract, inputs: Tensors) -> None:
    """Raise an InputError where an input does not have the one shape that a graph takes."""
    for name, axes in contract.input_axes.items():
        expected = list(resolve(axes, contract.batch_size or 1, contract.length or 1))
        given = list(inputs[name].shape)
        if given != expected:
            raise InputError(
                f"The input {name} has the shape {given}; this graph takes {expected} and no "
                "other. Pad or cut to that shape, or make a graph for each of several lengths "
                "and let tsnb.Runner choose."
            )


def dtype_name(tensor: torch.Tensor) -> str:
    """Return a tensor's dtype without the prefix: `int64`."""
    return str(tensor.dtype).removeprefix("torch.")


def check_eval(model: nn.Module, key: str) -> None:
    """Raise a TraceError, in the words of a key, where a part of a model is in training mode."""
    training = [name or type(model).__name__ for name, part in model.named_modules() if part.training]
    if training:
        raise TraceError(key, first=training[0], count=len(training))


def checked_shapes(verify: Iterable[Any]) -> list[Shape]:
    """Return shapes to verify as pairs of whole numbers, or raise an InputError."""
    if not isinstance(verify, Iterable):
        raise InputError(
            "verify takes shapes as (batch, length), both whole numbers of at least 1, such "
            f"as [(1, 64)]; got {verify}."
        )
    shapes = list(verify)
    for shape in shapes:
        pair = tuple(shape) if isinstance(shape, (tuple, list)) else ()
        if len(pair) != PAIR or not all(map(is_positive_int, pair)):
            raise InputError(
                "verify takes shapes as (batch, length), both whole numbers of at least 1, such "
                f"as [(1, 64)]; got {shape}."
            )
    return [(int(batch), int(length)) for batch, length in shapes]


def checked_tensors(inputs: object) -> Tensors:
    """Return inputs if they are tensors by name, or raise an InputError."""
    if not isinstance(inputs, Mapping) or not inputs:
        raise InputError(
            'Expected inputs by name, such as {"input_ids": tensor}; got '
            f"{type(inputs).__name__}. Names keep tensors from landing in the wrong place."
        )
    _check_tensors(inputs)
    for name, tensor in inputs.items():
        if 0 in tensor.shape:
            raise InputError(
                f"The input {name} is empty: its shape is {tuple(tensor.shape)}. Give at least "
                "one row of at least one token."
            )
    return inputs


def _check_tensors(inputs: Mapping[str, object]) -> None:
    import torch

    for name, tensor in inputs.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"The input {name} is a {type(tensor).__name__}; expected a torch.Tensor.")


def checked_traced(given: object) -> Traced:
    """Return a trace with its contract, or raise an InputError that names what was given.

    >>> checked_traced(5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tsnb.base.errors.InputError: Expected what tsnb.trace or tsnb.load_traced returns; got int. ...
    """
    if not isinstance(given, Traced):
        raise InputError(
            "Expected what tsnb.trace or tsnb.load_traced returns; got "
            f"{type(given).__name__}. What torch.jit.trace made has no contract: call "
            "tsnb.trace(model, inputs) instead."
        )
    return given


def checked_module(given: object) -> nn.Module:
    """Return a module, or raise an InputError that names what was given.

    >>> checked_module(5)
    Traceback (most recent call last):
        ...
    tsnb.base.errors.InputError: Expected a torch.nn.Module, as tsnb.load(name) returns first; got int.
    """
    import torch

    if not isinstance(given, torch.nn.Module):
        raise InputError(
            f"Expected a torch.nn.Module, as tsnb.load(name) returns first; got {type(given).__name__}."
        )
    return given


def _check_untraced(model: object) -> None:
    import torch

    if isinstance(model, (Traced, torch.jit.ScriptModule)):
        raise TraceError(
            f"Expected a model; got a trace already ({type(model).__name__}). Give the model "
            "that it was made from; a file is loaded with tsnb.load_traced(path)."
        )


def _run(model: nn.Module, inputs: Tensors) -> Any:
    """Run a model; where it cannot, that is said before anything is traced."""
    try:
        return model(**inputs)
    except Exception as error:  # whatever a model raises at inputs that it cannot run
        why = f"{type(error).__name__}: {error}"
        raise TraceError(
            f"The {type(model).__name__} itself cannot run these inputs, asked for a tuple; "
            f"nothing was traced. It said: {why} Run model(**inputs) to see at which line; "
            "check names, shapes, and that ids are within the vocabulary."
        ) from error


def _record(model: nn.Module, inputs: Tensors) -> tuple[Any, tuple[TraceWarning, ...]]:
    """Let torch trace; return the module and the tracer's warnings."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module = torch.jit.trace(model, example_kwarg_inputs=dict(inputs), check_trace=False)
        except (RuntimeError, ValueError, TypeError) as error:
            raise TraceError(
                f"torch.jit.trace could not trace the model. It said: {_why(str(error))}"
            ) from error
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


def _contract(model: nn.Module, inputs: Tensors, eager: list[torch.Tensor], devices: set[str]) -> Contract:
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
