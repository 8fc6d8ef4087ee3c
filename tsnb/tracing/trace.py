"""Trace a model by the names of its inputs, check the trace, and keep what belongs to it.

Prepare, record, compare, write the contract. Taught in notebook 02.
"""

from __future__ import annotations

import linecache
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import InputError, TraceError
from tsnb.base.versions import warn_of_ignored_flag
from tsnb.models.load import quiet_transformers
from tsnb.tracing.compare import TOLERANCE, Verdict, compare
from tsnb.tracing.contract import Contract, axes_by_size, batch_and_length, input_axes, versions
from tsnb.tracing.graphs import fixed_devices
from tsnb.tracing.inputs import PAIR, checked_tensors, in_forward_order, is_positive_int, max_positions
from tsnb.tracing.outputs import flatten, largest_difference, run, traceable
from tsnb.tracing.traced import Traced, TraceWarning, check_eval, checked_module, dtype_name

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Axis, Shape

    Tensors = Mapping[str, torch.Tensor]


def trace(model: nn.Module, inputs: Tensors, verify: Iterable[Shape] = ()) -> Traced:
    """Trace a model and check that the trace agrees with it.

    The tracer runs the model once on `inputs` and records every tensor operation; what Python
    decides on the way is not recorded. The tensors of a dict, which a Transformers model returns, are
    traced as a tuple, in the dict's order; their names are kept in the contract.

    Parameters
    ----------
    model
        Any module in eval mode.
    inputs
        Tensors by the names of `forward`, in any order.
    verify
        Shapes `(batch, length)` at which trace and model must agree, on seeded inputs with real
        padding; they are recorded in the contract. Where none is requested, three neighbours of
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

    requested = checked_shapes(verify)
    with torch.no_grad(), quiet_transformers():
        example, outputs = _prepared(model, inputs)
        warn_of_ignored_flag(model, stacklevel=2)
        module, notes = _record(traceable(model), example)
        difference = largest_difference(list(outputs.values()), flatten(module(**example)))
        if not difference <= TOLERANCE:
            raise TraceError(
                f"The trace differs from the model by {difference:.2g} on the very inputs that were traced (allowed: "
                f"{TOLERANCE}). Something random runs in the model's forward, or Python state changes there."
            )
        bound = _device_warnings(module)
        batch, length = batch_and_length(example)
        contract = Contract(
            input_names=tuple(example),
            output_names=tuple(outputs),
            dtypes={name: dtype_name(tensor) for name, tensor in example.items()},
            batch_size=batch,
            length=length,
            input_axes=input_axes(example),
            output_axes=output_axes(model, example, list(outputs.values())),
            pad_token_id=getattr(getattr(model, "config", None), "pad_token_id", None),
            max_positions=max_positions(model),
            model_id=str(getattr(model, "name_or_path", "") or type(model).__name__),
            versions=versions(),
            verified=((batch, length),) if batch is not None and length is not None else (),
            devices=tuple(sorted({note.device for note in bound})),
        )
    traced = Traced(module, contract)
    verdicts = {shape: compare(traced, model, shape) for shape in requested or neighbours(contract)}
    if requested:
        check_verified(verdicts)
    same = [shape for shape, verdict in verdicts.items() if verdict.kind == "same"]
    others = {shape: verdict for shape, verdict in verdicts.items() if shape != (batch, length)}
    return Traced(module, contract.with_verified(same), (*_marked(notes, others), *bound))


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


def check_verified(verdicts: Mapping[Shape, Verdict]) -> None:
    """Raise a TraceError that names the shapes at which trace and model do not agree."""
    bad = [f"{rows} × {length}: {verdict}" for (rows, length), verdict in verdicts.items() if verdict.kind != "same"]
    if bad:
        raise TraceError(
            f"The trace does not agree with the model at every shape to verify: {'; '.join(bad)}. No "
            "trace is returned; tsnb.probe shows which shapes can be trusted."
        )


def checked_shapes(verify: Any) -> list[Shape]:
    """Return shapes to verify as pairs of whole numbers, or raise an InputError."""
    shapes = list(verify) if isinstance(verify, Iterable) else [verify]
    for shape in shapes:
        pair = tuple(shape) if isinstance(shape, (tuple, list)) else ()
        if len(pair) != PAIR or not all(map(is_positive_int, pair)):
            raise InputError(
                "verify takes shapes as (batch, length), both whole numbers of at least 1, such "
                f"as [(1, 64)]; got {shape}."
            )
    return [(int(batch), int(length)) for batch, length in shapes]


def _prepared(model: object, inputs: object) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Check model and inputs; return copies of the inputs in the order of forward, and the outputs."""
    import torch

    if isinstance(model, (Traced, torch.jit.ScriptModule)):
        raise TraceError(
            f"Expected a model; got a trace already ({type(model).__name__}). Give the model "
            "that it was made from; a file is loaded with tsnb.load_traced(path)."
        )
    module = checked_module(model)
    check_eval(module)
    ordered = in_forward_order(module, checked_tensors(inputs))
    # copies: the tracer takes one tensor under two names for one input
    example = {name: tensor.detach().clone() for name, tensor in ordered.items()}
    try:
        return example, run(module, example)
    except TraceError:  # outputs that no trace holds
        raise
    except Exception as error:  # whatever a model raises at inputs that it cannot run
        raise TraceError(
            f"The {type(model).__name__} itself cannot run these inputs; nothing was traced. It said: "
            f"{type(error).__name__}: {error} Run model(**inputs) to see at which line; check names, "
            "shapes, and that ids are within the vocabulary."
        ) from error


def _record(model: nn.Module, inputs: Tensors) -> tuple[Any, list[TraceWarning]]:
    """Let torch trace; return the module and the tracer's warnings, grouped by line of source."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module = torch.jit.trace(model, example_kwarg_inputs=dict(inputs), check_trace=False)
        except Exception as error:  # torch says in many kinds of errors what it cannot trace
            message = re.sub(r"tensor\([^()]*\)", "tensor(…)", str(error)).partition("\nTensor:\n")[0]
            if "unordered_map::at" in message:
                message += (
                    "\nThe tracer does not record torch.vmap, with which transformers 4.57 makes a decoder's "
                    "mask. torch.export.export takes such a model; or give a four-dimensional attention mask."
                )
            raise TraceError(f"torch.jit.trace could not trace the model. It said: {message}") from error
    counts = Counter(
        (warning.filename, warning.lineno, str(warning.message))
        for warning in caught
        if warning.category is torch.jit.TracerWarning
    )
    return module, [
        TraceWarning(f"{file}:{line}", linecache.getline(file, line).strip(), message, count)
        for (file, line, message), count in counts.items()
    ]


def _device_warnings(module: torch.jit.ScriptModule) -> list[TraceWarning]:
    """Return a warning for each line that a fresh trace ties to a device."""
    message = (
        "The trace puts this tensor on {0}, whatever device it is loaded onto. For another device, move "
        "model and inputs there and trace again."
    )
    return [
        TraceWarning(line.source, line.code, message.format(line.device), count, device=line.device)
        for line, count in fixed_devices(module).items()
    ]


def _marked(notes: list[TraceWarning], verdicts: Mapping[Shape, Verdict]) -> list[TraceWarning]:
    """Mark warnings as harmless, or as a possible cause, by what became of other shapes.

    An error names the line it came from, as `file(line)`; where a warning stands at that line, only that
    warning is the cause. Wrong numbers name no line, so that every warning may be.
    """
    ran = {shape: verdict for shape, verdict in verdicts.items() if verdict.kind != "unsupported"}
    bad = tuple(shape for shape, verdict in ran.items() if verdict.kind != "same")
    if not bad:
        return [replace(note, harmless=True if ran else None, shapes=tuple(ran)) for note in notes]
    frames = {note.source: "{0}({2})".format(*note.source.rpartition(":")) for note in notes}
    named = {source for source, frame in frames.items() if any(frame in ran[shape].error for shape in bad)}
    wrong = any(ran[shape].kind == "wrong" for shape in bad)
    causes = named if named and not wrong else frames.keys()
    return [replace(note, harmless=False if note.source in causes else None, shapes=bad) for note in notes]


def output_axes(model: nn.Module, inputs: Tensors, outputs: list[torch.Tensor]) -> tuple[tuple[Axis, ...], ...]:
    """Run a model with one row more, then with one token fewer, and see which dimensions follow.

    Where it cannot run both, a dimension is told by its place and size, as for inputs.

    Parameters
    ----------
    model
        The model.
    inputs
        What it was run on.
    outputs
        What it returned for `inputs`, flattened.
    """
    import torch

    axes, sizes = input_axes(inputs), batch_and_length(inputs)
    more = {
        name: torch.cat([tensor, tensor[-1:]]) if axes[name][:1] == ("batch",) else tensor
        for name, tensor in inputs.items()
    }
    fewer = {
        name: tensor[:, :-1] if axes[name][1:2] == ("length",) and tensor.shape[1] > 1 else tensor
        for name, tensor in inputs.items()
    }
    shapes: list[list[tuple[int, ...]]] = [[tuple(tensor.shape) for tensor in outputs]]
    try:
        with torch.no_grad():
            variants = [run(model, variant).values() for variant in (more, fewer)]
        shapes += [[tuple(tensor.shape) for tensor in tensors] for tensors in variants]
        dimensions = [list(zip(*output, strict=True)) for output in zip(*shapes, strict=True)]
    except Exception:  # noqa: BLE001, the model cannot run both, or returns tensors of another number or rank
        return tuple(axes_by_size(shape, *sizes) for shape in shapes[0])

    def axis(size: int, with_more: int, with_fewer: int) -> Axis:
        following: dict[tuple[int, int], Axis] = {(0, 0): size, (1, 0): "batch", (0, -1): "length"}
        return following.get((with_more - size, with_fewer - size), "other")

    return tuple(tuple(axis(*each) for each in output) for output in dimensions)
