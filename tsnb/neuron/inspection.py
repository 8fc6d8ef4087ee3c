"""What a Neuron compiler would make of a trace, without the compiler. Taught in notebook 05."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsnb.base.errors import NeuronError
from tsnb.neuron import checks, fit
from tsnb.neuron.findings import Preflight
from tsnb.neuron.operators import is_compiled, operators_of
from tsnb.neuron.snippets import analyze_code, code
from tsnb.neuron.targets import STAND_IN
from tsnb.neuron.targets import target as find_target
from tsnb.tracing.graphs import nodes
from tsnb.tracing.probe import check_belongs
from tsnb.tracing.traced import Traced, check_eval

if TYPE_CHECKING:
    from torch import nn

CHECKS = (
    checks.contract,
    checks.operators,
    checks.order,
    checks.outputs,
    checks.shapes,
    checks.dtypes,
    checks.tied,
    checks.device,
    checks.flow,
    checks.size,
    checks.buckets,
    fit.architecture,
    fit.task,
)


def preflight(
    traced: Traced, target: str = "inf1", model: nn.Module | None = None, task: str | None = None
) -> Preflight:
    """Look through a trace for what a generation of Neuron takes, and what it does not.

    Needs no SDK and starts no compiler: it reads the graph, the contract and AWS's documentation
    as `facts.toml` and `inf1_operators.toml` hold it. What it says of operators is an estimate.

    Parameters
    ----------
    traced
        What `tsnb.trace` or `tsnb.load_traced` returned; of a file that tsnb did not make, the
        findings say what is unknown.
    target
        `"inf1"`, or `"inf2"` (Trn1 is the same).
    model
        The model it was traced from: tells the architecture, the task and the order of inputs, and
        is run at two smaller shapes where the trace was verified at one only.
    task
        Such as `"question-answering"`; by default what the class of the model is named for.

    Returns
    -------
    Preflight
        A `Finding` for each thing looked at; `.ok` where there is no blocker.

    Raises
    ------
    NeuronError
        Unknown target or task, no trace, or a graph that is compiled already.
    TraceError
        The trace was not made from this model, or the model is in training mode.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert", attn_implementation="eager")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> report = preflight(traced, "inf1", model)
    >>> report.ok, report.operators.outside
    (True, ('aten::embedding',))

    Taught in notebook 05.
    """
    found, known = find_target(target), fit.checked_task(task, model)
    check_plain(traced)
    if model is not None:
        check_eval(model)
        check_belongs(traced, model)
    held, names = operators_of(traced.module, target), traced.contract.input_names
    size = weights(traced.module)
    case = checks.Case(traced, found, held, size, model, known)
    return Preflight(
        target=found,
        findings=tuple(finding for check in CHECKS for finding in check(case)),
        operators=held,
        weights=size[0],
        buckets=found.buckets(size[0]),
        code=code(names, target, device=False),
        analyze=analyze_code(names, target),
    )


def check_plain(traced: object) -> None:
    """Raise a NeuronError where something is no trace, or one that is compiled already."""
    if not isinstance(traced, Traced):
        raise NeuronError(
            f"Expected a trace, as tsnb.trace(model, inputs) returns it; got {type(traced).__name__}."
        )
    if traced.contract.target == STAND_IN:
        raise NeuronError(
            "This is a stand-in that fixed_shape made; its check of shapes is in the graph. "
            "Give the trace it was made from."
        )
    if is_compiled(traced.module):
        raise NeuronError(
            "This graph is compiled for Neuron already: it holds neuron:: operators. Give "
            "the model, or a plain trace of it."
        )


def weights(module: Any) -> tuple[int, int]:
    """Return the number of weights and their bytes, shared ones once.

    A frozen graph holds them as constants.

    >>> import torch
    >>> weights(torch.jit.trace(torch.nn.Linear(2, 3), torch.zeros(1, 2)))
    (9, 36)
    """
    held = list(module.parameters()) or [
        node.t("value")
        for node in nodes(module.inlined_graph)
        if node.kind() == "prim::Constant" and node.output().type().kind() == "TensorType"
    ]
    unique = {tensor.untyped_storage().data_ptr(): tensor for tensor in held}.values()
    return sum(tensor.numel() for tensor in unique), sum(tensor.nbytes for tensor in unique)
