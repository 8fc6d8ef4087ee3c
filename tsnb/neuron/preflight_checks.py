"""What a Neuron compiler would make of a trace, without the compiler. Taught in notebook 05."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import InputError, NeuronError, suggest
from tsnb.inference.runner import is_dynamic
from tsnb.models.tying import tying
from tsnb.neuron.operators import Operators, is_compiled, operators_of, weights
from tsnb.neuron.report import Finding, Preflight
from tsnb.neuron.snippets import analyze_code
from tsnb.neuron.targets import STAND_IN, SUITED, Target, facts, find_target, source
from tsnb.tracing.compare import compare
from tsnb.tracing.exported import Program
from tsnb.tracing.inputs import parameters
from tsnb.tracing.probe import check_belongs
from tsnb.tracing.traced import Traced, check_eval, checked_traced

if TYPE_CHECKING:
    from torch import nn

    Findings = Iterator[Finding]

EMBEDDING = "aten::embedding"
SDPA = "aten::scaled_dot_product_attention"
SIZED_BY_DATA = ("aten::nonzero", "aten::masked_select", "aten::unique", "aten::_unique2")
WRITING = ("causal-lm", "seq2seq-lm")
GRAPH, COMPARED = "read off the trace", "trace and model run side by side"
GIVE_MODEL = "Give the model: tsnb.neuron.preflight(traced, target, model=model)."
ok, attention, blocker = (partial(Finding, kind) for kind in ("ok", "attention", "blocker"))


def preflight(
    traced: Traced, target: str = "inf1", model: nn.Module | None = None, task: str | None = None
) -> Preflight:
    """Look through a trace for what a generation of Neuron takes, and what it does not.

    Needs no SDK and starts no compiler: it reads the graph, the contract and AWS's documentation
    as `facts.toml` and `inf1_operators.toml` have it. What it says of operators is an estimate.

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
    InputError
        No trace.
    NeuronError
        Unknown target or task, or a graph that is compiled already.
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
    generation, task = find_target(target), checked_task(task, model)
    check_plain(traced)
    if model is not None:
        check_eval(model)
        check_belongs(traced, model)
    operators, (count, stored) = operators_of(traced.module, target), weights(traced.module)
    findings = (
        *_graph(traced),
        *(_inf1_operators if target == "inf1" else _inf2_operators)(traced, operators),
        *_inputs(traced, model, generation),
        *_weights(traced.module if model is None else model, count, stored, generation),
        *_flow(traced, model),
        *_fit(model, task, generation),
    )
    names, buckets = traced.contract.input_names, generation.buckets(count)
    return Preflight(generation, names, findings, operators, count, buckets)


def check_plain(traced: Traced) -> None:
    """Raise an InputError where something is no trace, and a NeuronError where it is compiled already."""
    if isinstance(checked_traced(traced).module, Program):
        raise InputError("Neuron's checks read TorchScript, and this is what tsnb.export made. Give tsnb.trace's.")
    if traced.contract.target == STAND_IN:
        raise NeuronError("This is a stand-in that fixed_shape made. Give the trace it was made from.")
    if is_compiled(traced.module):
        raise NeuronError("This graph is compiled for Neuron already. Give a plain trace of the model.")


def checked_task(task: str | None, model: nn.Module | None) -> str:
    """Return a task that is known: this one, or what the class of a model is named for.

    Raises
    ------
    NeuronError
        A task that is not known; the near one is suggested.

    Examples
    --------
    >>> import tsnb
    >>> checked_task(None, tsnb.load("tiny-bert")[0])
    'masked-lm'
    """
    known: dict[str, list[str]] = facts()["tasks"]
    if task is not None and task not in known:
        raise NeuronError(f"There is no task called {task}. {suggest(str(task), known)}")
    name = type(model).__name__
    return task or next((known_task for known_task, ends in known.items() if name.endswith(tuple(ends))), "")


def _graph(traced: Traced) -> Findings:
    contract = traced.contract
    graph: Any = traced.module.inlined_graph
    if not contract.known:
        why = "tsnb did not make this trace: shapes, dtypes, and whether it equals its model, are unknown."
        yield attention("contract", why, "Trace the model with tsnb.trace.", GRAPH)
    if any(output.type().kind() == "DictType" for output in graph.outputs()):
        why = "The graph returns a dict, over which many conversions stumbled."
        yield blocker("outputs", why, "Trace with tsnb.trace: it returns a tuple.", source("dict-outputs"))
    else:
        names = ", ".join(contract.output_names) or "?"
        yield ok("outputs", f"The graph returns tensors without a dict: {names}.", source=GRAPH)
    constants = graph.findAllNodes("prim::Constant")
    devices = {node.s("value") for node in constants if node.output().type().kind() == "DeviceObjType"}
    why = f"Devices that are written into the graph: {', '.join(sorted(devices)) or 'none'}."
    todo = "" if devices <= {"cpu"} else "Move model and inputs to the CPU and trace again."
    yield (blocker if todo else ok)("device", why, todo, GRAPH)


def _inf1_operators(traced: Traced, operators: Operators) -> Findings:
    outside, place = operators.outside, source("inf1-operators")
    counted = [operator for operator in operators if operator.kind.startswith("aten::")]
    total = sum(operator.count for operator in counted)
    listed = sum(operator.count for operator in counted if operator.support in ("supported", "limited"))
    yield (ok if set(outside) <= {EMBEDDING} else attention)(
        "operators",
        f"Estimate: {listed} of {total} aten:: nodes ({listed / max(total, 1):.1%}) are on torch-neuron's "
        "list, from a change log that ends in 2023. The compiler traces with torch 1.13, this trace is of "
        f"torch {traced.contract.versions.get('torch', '?')}.",
        "On a host with the compiler, torch.neuron.analyze_model says it for certain.",
        place,
    )
    if EMBEDDING in outside:
        why = f"{EMBEDDING} runs on the CPU by design: AWS took it off the list for its performance."
        yield ok("operators", why, "Leave fallback=True, the default.", place)
    if SDPA in outside:
        why = f"{SDPA} is not on the list; torch 1.13, which Inf1 needs, does not have it."
        todo = 'Load with eager attention and trace again: tsnb.load(name, attn_implementation="eager").'
        yield attention("operators", why, todo, place)
    rest = ", ".join(kind for kind in outside if kind not in (EMBEDDING, SDPA))
    if rest:
        why = f"Not on the list: {rest}. They run on the CPU, and the graph is cut before and after each."
        todo = "If they are many, write them with listed operators."
        yield attention("operators", why, todo, source("inf1-trace"))
    limited = "; ".join(f"{operator.kind}: {operator.condition}" for operator in operators.of("limited"))
    if limited:
        todo = "Compare the condition with the call in the model."
        yield attention("operators", f"On the list under a condition: {limited}.", todo, place)


def _inf2_operators(traced: Traced, operators: Operators) -> Findings:
    kinds = [operator.kind for operator in operators if operator.kind.startswith("aten::")]
    command = analyze_code(traced.contract.input_names, "inf2").splitlines()[-1]
    yield attention(
        "operators",
        "For Inf2 no valid list of operators exists, so that there is no estimate: the published one dates "
        f"from October 2022 and lacks linear. The {len(kinds)} kinds: {', '.join(kinds)}.",
        f"On a host with the compiler, with the inputs as a tuple: {command}",
        source("inf2-analyze"),
    )
    sized = ", ".join(kind for kind in kinds if kind in SIZED_BY_DATA)
    if sized:
        why = f"The size of what {sized} returns depends on the data; the compiler does not take that."
        todo = "Replace it by a mask over the whole length, such as torch.where."
        yield blocker("operators", why, todo, source("inf2-trace"))


def _inputs(traced: Traced, model: nn.Module | None, target: Target) -> Findings:
    contract, place = traced.contract, source(f"{target.name}-trace")
    names = contract.input_names
    known = names if model is None else tuple(parameters(model))
    skipped = next((name for name in known[: len(names)] if name not in names), "")
    why = f"Neuron takes inputs by position, as a {target.inputs}: {', '.join(names)}."
    todo = f"Give {skipped} too, which forward has before the last, or inputs land in wrong places."
    yield attention("order of inputs", why, todo, place) if skipped else ok("order of inputs", why, "", place)
    shape = f"{contract.batch_size or '?'} × {contract.length or '?'}"
    why = f"A compiled graph takes its traced shape alone, {shape}; dynamic batching frees the batch size."
    todo = "Choose the length by your texts, pad with a mask, cut what is longer, or compile several."
    if contract.length is None:
        todo = "Trace the model with tsnb.trace and inputs of (batch, length)."
    yield attention("shapes", why, todo, source("buckets") if target.name == "inf1" else place)
    dtypes = ", ".join(f"{name} {dtype}" for name, dtype in contract.dtypes.items()) or "?"
    why = f"A compiled graph takes its traced dtypes: {dtypes}. AWS's tutorials use int64 and float32."
    usual = contract.dtypes and set(contract.dtypes.values()) <= {"int64", "float32"}
    todo = "" if usual else "Trace with int64 ids and float32 numbers, or try a small model first."
    yield (attention if todo else ok)("dtypes", why, todo, source("buckets"))
    if target.weight_size:
        why = "On Inf1 FP32 is cast to BF16 by default, so that results differ from the model's."
        todo = "Compare both on your own texts. Rounded to BF16 on a CPU, small BERTs moved by up to 2 %."
        yield attention("dtypes", why, todo, place)


def _weights(module: Any, count: int, stored: int, target: Target) -> Findings:
    if list(module.parameters()):  # of a frozen graph nothing is known
        pairs = "; ".join(f"{pair.first} = {pair.second}" for pair in tying(module).tied)
        why = f"Tied, and counted once: {pairs}. They trace; whether compiled twice, AWS does not say."
        yield ok("tied weights", why if pairs else "No weights share storage.", source=GRAPH)
    needed = count * target.weight_size or stored
    core, chip = (f"{size / 1e9:.1f} GB" for size in (target.core_memory, target.chip_memory))
    place = source("buckets" if target.name == "inf1" else "inf2-memory")
    why = f"{count:,} weights take about {needed / 1e9:.2g} GB; a NeuronCore has {core}, the chip {chip}."
    if needed > target.chip_memory:
        yield blocker("size", f"Too much for a chip: {why}", "Take a smaller model.", place)
    elif needed > target.core_memory:
        todo = "Spread it over several cores, or take a smaller model."
        yield attention("size", f"Too much for a NeuronCore: {why}", todo, place)
    else:
        yield ok("size", why, source=place)
    todo = "Find the best lengths with tsnb.plan_buckets; watch the memory as you load them."
    allowed = target.buckets(count)
    if allowed is not None:
        why = f"By AWS's rule, round(1e9 / weights), about {allowed:,} compiled lengths fit on a NeuronCore."
        yield (ok if allowed else attention)("buckets", why, todo, source("buckets"))


def _flow(traced: Traced, model: nn.Module | None) -> Findings:
    """Look for what Python decided while it was traced, by the tracer's warnings and two smaller shapes."""
    contract = traced.contract
    batch, length = contract.batch_size, contract.length
    same, other = dict.fromkeys(contract.verified), []
    if model is not None and batch and length and not is_dynamic(contract):
        for shape in [(size, max(1, length // 2)) for size in (batch, batch + 1)]:
            kind = compare(traced, model, shape).kind
            if kind == "same":
                same[shape] = None
            elif kind != "unsupported":
                other.append(f"{shape[0]} × {shape[1]}")
    where = other + [warning.source for warning in traced.warnings if warning.harmless is False]
    if where:
        why = f"Python took part in this trace; elsewhere it may part from the model: {', '.join(where)}."
        todo = "Make a trace of its own for every length and batch size; tsnb.probe maps them."
        yield attention("control flow", why, todo, COMPARED)
    elif len({length for _, length in same}) > 1:
        shapes = ", ".join(f"{batch} × {length}" for batch, length in same)
        yield ok("control flow", f"No sign of Python: trace and model agree at {shapes}.", source=COMPARED)
    else:
        why = "Whether Python took part in this trace is unknown: it was compared at one shape or none."
        yield attention("control flow", why, GIVE_MODEL, COMPARED)


def _fit(model: nn.Module | None, task: str, target: Target) -> Findings:
    """Look up the kind of model in AWS's table of May 2023, which is historical, and the task."""
    kind = getattr(getattr(model, "config", None), "model_type", "")
    row = next((row for row in facts()["fit"] if kind in (*row["named"], *row["like"])), None)
    table = "AWS's table of May 2023; its page was deleted in 2024"
    if row is None:
        why = f"AWS's table has no row for {kind}." if kind else "Without the model it is unknown."
        todo = "Try it on one instance before you plan with it." if kind else GIVE_MODEL
        yield attention("architecture", why, todo, table)
    else:
        rated = facts()["rating"][row[target.name]]
        why = f"Historical: {row['family']}s ({', '.join(row['named'])}) {rated['means']} for {target.name}."
        why += f" The table does not name {kind}, which is built like them." if kind in row["like"] else ""
        yield Finding(rated["kind"], "architecture", why, rated["todo"], table)
    place = source("tasks")
    if not task:
        todo = "Give task, such as question-answering, or the model."
        yield attention("task", "The task is unknown.", todo, place)
    elif task in WRITING:
        why = f"{task} writes text token by token, so that one graph is not enough."
        todo = "Trace encoder and decoder apart behind a wrapper, with a short maximum length."
        yield attention("task", why, todo, place)
    else:
        suits = target.name == "inf1" and task in SUITED
        rating = "It is one of the three that suit Inf1 best." if suits else "AWS gives no rating of it here."
        yield ok("task", f"{task} reads a text in one pass. {rating}", source=place)
