"""Trace a model by the names of its inputs, check the trace, and keep what belongs to it.

Prepare, record, compare, write the contract. Taught in notebook 02.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from tsnb.base.errors import InputError, TraceError
from tsnb.base.versions import warn_of_ignored_flag
from tsnb.models.load import quiet_transformers
from tsnb.tracing.axes import with_axes
from tsnb.tracing.compare import TOLERANCE, Verdict, compare, compare_on
from tsnb.tracing.contract import Contract, versions
from tsnb.tracing.graphs import fixed_devices
from tsnb.tracing.inputs import PAIR, checked_tensors, in_forward_order, is_positive_int, max_positions
from tsnb.tracing.outputs import agree, elsewhere, flatten, largest_difference, run_whole
from tsnb.tracing.recording import left_out_warnings, record
from tsnb.tracing.traced import Traced, TraceWarning, check_eval, checked_module, dtype_name, shapes_as_text

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Shape

    Tensors = Mapping[str, torch.Tensor]
    Recorder = Callable[[nn.Module, Tensors, Contract], "Recording"]


class Recording(NamedTuple):
    """What a recorder makes: a callable, what is known of it, and what it warned of (by line, and by device)."""

    module: Any
    contract: Contract
    notes: Sequence[TraceWarning] = ()
    bound: Sequence[TraceWarning] = ()


class UnverifiedWarning(UserWarning):
    """A trace that does not equal its model on other values of its own shape, or was not compared there."""


def trace(model: nn.Module, inputs: Tensors, verify: Iterable[Shape | Tensors] = ()) -> Traced:
    """Trace a model and check that the trace agrees with it.

    The tracer runs the model once on `inputs` and records every tensor operation; what Python
    decides on the way is not recorded. The tensors of a dict, which a Transformers model returns, are
    traced as a tuple, in the dict's order; their names are kept in the contract. Then trace and model run
    side by side on other values: three times at the traced shape, and at other shapes. Where they differ
    at the traced shape, or could not be compared, an `UnverifiedWarning` says so.

    Parameters
    ----------
    model
        Any module in eval mode.
    inputs
        Tensors by the names of `forward`, in any order.
    verify
        Shapes `(batch, length)` at which trace and model must agree, on seeded inputs with real
        padding, and inputs by name on which they must agree too, such as pictures of another size; both
        are recorded in the contract. Where no shape is requested, neighbours of the traced one are
        tried, and recorded where they agree; they mark the warnings too.

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
    return recorded(model, inputs, verify, torchscript)


def torchscript(model: nn.Module, example: Tensors, contract: Contract) -> Recording:
    """Let `torch.jit.trace` record a model; the contract then names the devices that the graph is tied to."""
    module, notes = record(model, example)
    bound = _device_warnings(module)
    devices = tuple(sorted({note.device for note in bound}))
    return Recording(module, replace(contract, devices=devices), notes, bound)


def recorded(model: nn.Module, inputs: Tensors, verify: Iterable[Shape | Tensors], recorder: Recorder) -> Traced:
    """Prepare, let a recorder record, and compare; what `trace` and `export` share. See `trace` for the rest."""
    import torch

    shapes, named = checked_verify(verify)
    with torch.no_grad(), quiet_transformers():
        example, outputs, left_out = _prepared(model, inputs)
        warn_of_ignored_flag(model, stacklevel=3)
        others = [in_forward_order(model, checked_tensors(each)) for each in named]
        module, contract, notes, bound = recorder(model, example, _contract(model, example, outputs))
        tensors = list(outputs.values())
        own_outputs = flatten(module(*example.values()))
        if not agree(tensors, own_outputs, TOLERANCE):
            difference = largest_difference(tensors, own_outputs)
            raise TraceError(
                f"The trace differs from the model by {difference:.2g} on the very inputs that were traced (allowed: "
                f"{TOLERANCE}). Something random runs in the model's forward, or Python state changes there."
            )
    traced = Traced(module, contract, example=example)
    own = (contract.batch_size or 1, contract.length or 0)
    if not contract.length and shapes:
        raise InputError(
            "The inputs of this model have no length, so verify takes no shapes (batch, length) for it. Give "
            "inputs of other sizes by name: verify=[inputs, …]."
        )
    near = [] if contract.fixed_shape else neighbours(contract)
    verdicts = {shape: compare(traced, model, shape) for shape in dict.fromkeys([own, *(shapes or near)])}
    given = [compare_on(traced, model, each, TOLERANCE) for each in others]
    if shapes or named:
        check_verified({shape: verdicts[shape] for shape in shapes}, given)
    contract = _verified(contract, verdicts, given)
    if contract.unverified:
        warnings.warn(f"The traced shape is not verified. {contract.unverified}", UnverifiedWarning, stacklevel=3)
    shown = {
        shape: verdict for shape, verdict in verdicts.items() if shape != own or verdict.kind in {"wrong", "raises"}
    }
    return replace(traced, contract=contract, warnings=(*_marked(notes, shown), *bound, *left_out))


def _contract(model: nn.Module, example: Tensors, outputs: Tensors) -> Contract:
    """Return what is known of a recording before it is made: names, dtypes, axes."""
    config = getattr(model, "config", None)
    weight = next(model.parameters(), None)
    contract = Contract(
        input_names=tuple(example),
        output_names=tuple(outputs),
        dtypes={name: dtype_name(tensor) for name, tensor in example.items()},
        device="" if weight is None else str(weight.device),
        dtype="" if weight is None else dtype_name(weight),
        pad_token_id=getattr(config, "pad_token_id", None),
        max_positions=max_positions(model),
        model_id=str(getattr(model, "name_or_path", "") or type(model).__name__),
        versions=versions(),
    )
    contract = with_axes(contract, model, example, list(outputs.values()))
    labels = getattr(config, "id2label", None) or {}
    classifies = len(labels) in {axes[-1] for axes in contract.output_axes if axes}
    return replace(contract, id2label=dict(labels) if classifies else {})


def _verified(contract: Contract, verdicts: Mapping[Shape, Verdict], given: list[Verdict]) -> Contract:
    """Return a contract with what was compared and agreed, or why the traced shape did not."""
    own = next(iter(verdicts.values()))  # of the traced shape
    reason, agreed = "", {shape: verdict for shape, verdict in verdicts.items() if verdict.kind == "same"}
    same = [dict(verdict.shapes) for verdict in given if verdict.kind == "same"]
    if not contract.length:
        same = [dict(verdict.shapes) for verdict in agreed.values()] + same
    if own.kind == "unsupported" and dict(own.shapes) not in same:
        reason = (
            f"It could not be compared on other values: the model raised at those that tsnb drew ({own.reason}). "
            "Give other inputs of this shape to compare on: tsnb.trace(model, inputs, verify=[other_inputs])."
        )
    elif own.kind in {"wrong", "raises"}:  # then other shapes have values of that kind too
        agreed, same = {}, []
        reason = (
            f"On other values than those that were traced: {own}. What Python decided while tracing stands in the "
            "graph as it was then, so its results cannot be trusted."
        )
    contract = contract.with_verified(list(agreed)) if contract.length else contract
    return replace(
        contract,
        verified_inputs=tuple(each for place, each in enumerate(same) if each not in same[:place]),
        unverified=reason,
    )


def neighbours(contract: Contract) -> list[Shape]:
    """Return shapes near the traced one: a row more, and where there is a length, half and twice of it.

    A program of `torch.export` is tried with one row too, which it says it was not recorded for.

    >>> neighbours(Contract(("input_ids",), batch_size=1, length=16, max_positions=24))
    [(1, 8), (1, 24), (2, 16)]
    """
    batch, length = contract.batch_size, contract.length
    if batch is None:
        return []
    if length is None:
        return [(batch + 1, 0)]
    longest = min(2 * length, contract.max_positions or 2 * length)
    shapes = {(batch + 1, length), (batch, max(1, length // 2)), (batch, longest)}
    shapes |= {(1, length)} if contract.ranges else set()
    return sorted(shapes - {(batch, length)})


def check_verified(verdicts: Mapping[Shape, Verdict], given: Sequence[Verdict] = ()) -> None:
    """Raise a TraceError that names the shapes at which trace and model do not agree."""
    tried = [(f"{rows} × {length}", verdict) for (rows, length), verdict in verdicts.items()]
    tried += [(shapes_as_text(dict(verdict.shapes)), verdict) for verdict in given]
    bad = [f"{shape}: {verdict}" for shape, verdict in tried if verdict.kind != "same"]
    if bad:
        raise TraceError(
            f"The trace does not agree with the model at every shape to verify: {'; '.join(bad)}. No "
            "trace is returned; tsnb.probe shows which shapes can be trusted."
        )


def checked_verify(verify: Any) -> tuple[list[Shape], list[Tensors]]:
    """Return the shapes to verify as pairs of whole numbers, and the inputs; or raise an InputError."""
    shapes, named = [], []
    for item in verify if isinstance(verify, Iterable) and not isinstance(verify, Mapping) else [verify]:
        pair = tuple(item) if isinstance(item, (tuple, list)) else ()
        if isinstance(item, Mapping):
            named.append(item)
        elif len(pair) == PAIR and all(map(is_positive_int, pair)):
            shapes.append((int(pair[0]), int(pair[1])))
        else:
            raise InputError(
                "verify takes shapes as (batch, length), both whole numbers of at least 1, such "
                f"as [(1, 64)], or inputs by name; got {item}."
            )
    return shapes, named


def _prepared(
    model: object, inputs: object
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], list[TraceWarning]]:
    """Check model and inputs; return copies of the inputs in the order of forward, the outputs, what is left out."""
    import torch

    if isinstance(model, (Traced, torch.jit.ScriptModule)):
        raise TraceError(
            f"Expected a model; got a trace already, or another TorchScript module ({type(model).__name__}). Give the "
            "model that it was made from; a file is loaded with tsnb.load_traced(path)."
        )
    module = checked_module(model)
    parallel = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    inside = "_orig_mod" if hasattr(module, "_orig_mod") else "module" if isinstance(module, parallel) else ""
    if inside:
        raise TraceError(
            f"This {type(module).__name__} passes its inputs on to a model, and has no names for them. Give the model "
            f"inside: tsnb.trace(model.{inside}, inputs)."
        )
    check_eval(module)
    empty = [name for name, weight in chain(module.named_parameters(), module.named_buffers()) if weight.is_meta]
    if empty:
        raise TraceError(
            f"{len(empty)} weights of the model are on the device meta and hold no numbers (first {empty[0]}). Load "
            "them: from_pretrained(folder) outside torch.device, or load_state_dict(weights, assign=True)."
        )
    ordered = in_forward_order(module, checked_tensors(inputs))
    # copies: the tracer takes one tensor under two names for one input
    example = {name: tensor.detach().clone() for name, tensor in ordered.items()}
    try:
        outputs, left_out = run_whole(module, example)
    except Exception as error:  # whatever a model raises at inputs that it cannot run
        advice = elsewhere(module, example) or (
            "Run model(**inputs) to see at which line; check names, shapes, and that ids are within the vocabulary."
        )
        if getattr(getattr(module, "config", None), "return_dict", True) is False:
            advice = "Set model.config.return_dict = True, as its own parts may expect; a trace returns tuples anyway."
        cannot = "itself cannot run these inputs"
        with suppress(Exception):
            module(**example)
            cannot, advice = "runs these inputs with its cache only, and a trace has none", ""
        said = f"{type(error).__name__}: {error}"
        raise TraceError(
            f"The {type(model).__name__} {cannot}; nothing was traced. It said: {said} {advice}"
        ) from error
    if not outputs:
        raise TraceError(
            f"The model returns no tensor ({', '.join(left_out.values()) or 'nothing'}). Return one from forward, "
            "alone or in tuples, lists, dicts or dataclasses, or wrap the model in a module that does."
        )
    return example, outputs, left_out_warnings(module, left_out)


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


def _marked(notes: Sequence[TraceWarning], verdicts: Mapping[Shape, Verdict]) -> list[TraceWarning]:
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
