"""The single checks of a preflight. Each yields what it found. Taught in notebook 05."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsnb.base.words import say
from tsnb.inference.runner import is_dynamic
from tsnb.models.tying import tying
from tsnb.neuron.findings import Finding
from tsnb.neuron.snippets import analyze_code
from tsnb.neuron.targets import source
from tsnb.tracing.compare import compare
from tsnb.tracing.graphs import nodes
from tsnb.tracing.inputs import parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from tsnb.neuron.operators import Operators
    from tsnb.neuron.targets import Target
    from tsnb.tracing.contract import Contract, Shape
    from tsnb.tracing.traced import Traced

EMBEDDING = "aten::embedding"
SDPA = "aten::scaled_dot_product_attention"
SIZED_BY_DATA = ("aten::nonzero", "aten::masked_select", "aten::unique", "aten::_unique2")
TUTORIAL_DTYPES = {"int64", "float32"}  # AWS's tutorials compile with these


@dataclass(frozen=True)
class Case:
    """What the checks look at.

    Attributes
    ----------
    traced
        The trace.
    target
        The generation.
    operators
        Of the graph.
    weights
        Each weight once, as `(number, bytes)`.
    model
        The model it was made from, where it is given.
    task
        The name of a task in `facts.toml`, where it is known.
    """

    traced: Traced
    target: Target
    operators: Operators
    weights: tuple[int, int]
    model: nn.Module | None = None
    task: str = ""

    @property
    def contract(self) -> Contract:
        """The trace's contract."""
        return self.traced.contract


def contract(case: Case) -> Iterator[Finding]:
    """Say what is missing where tsnb did not make the trace."""
    if not case.contract.known:
        names = ", ".join(case.contract.input_names)
        yield Finding(
            "attention",
            "contract",
            (
                f"tsnb did not make this trace. Its inputs ({names}) were read off the graph; "
                "their shapes and dtypes, and whether it agrees with its model, are unknown."
            ),
            "Trace the model with tsnb.trace, which writes them down.",
            "read off the trace",
        )


def operators(case: Case) -> Iterator[Finding]:
    """Compare with the list of torch-neuron; for Inf2, where none is valid, name the operators."""
    yield from _inf1_operators(case) if case.target.name == "inf1" else _inf2_operators(case)


def _inf1_operators(case: Case) -> Iterator[Finding]:
    yield _estimate(case)
    for operator in case.operators.of("cpu"):
        if operator.kind == EMBEDDING:
            why = (
                f"aten::embedding ({operator.count} times) runs on the CPU on Inf1, by design: "
                "AWS took it off the list for its performance. Leave fallback=True, the "
                "default."
            )
            yield Finding("ok", "operators", why, source=source("inf1-operators"))
    if SDPA in case.operators.outside:
        why, todo = (
            (
                "aten::scaled_dot_product_attention is not on the list; torch 1.13, which Inf1 "
                "needs, does not have it."
            ),
            (
                "Load with eager attention and trace again: tsnb.load(name, "
                'attn_implementation="eager"), and the same option of from_pretrained.'
            ),
        )
        yield Finding("attention", "operators", why, todo, source("inf1-operators"))
    rest = [kind for kind in case.operators.outside if kind not in (EMBEDDING, SDPA)]
    if rest:
        why, todo = (
            (
                f"Not on the list: {', '.join(rest)}. On Inf1 they run on the CPU, and the graph "
                "is cut before and after each."
            ),
            (
                "If they are many, write them with operators on the list. fallback=False makes "
                "the compiler refuse them instead."
            ),
        )
        yield Finding("attention", "operators", why, todo, source("inf1-trace"))
    limited = [f"{held.kind}: {held.condition}" for held in case.operators.of("limited")]
    if limited:
        why = f"On the list under a condition: {'; '.join(limited)}."
        todo = "Compare the condition with the call in the model."
        yield Finding("attention", "operators", why, todo, source("inf1-operators"))


def _estimate(case: Case) -> Finding:
    """Return the share of the operators that are on the list, and why that is an estimate."""
    found = case.operators
    why = (
        f"Estimate: {found.listed} of {found.arithmetic} aten:: nodes "
        f"({found.share or 0:.1%}) are on the list of torch-neuron's operators. It is an "
        "estimate because the list is made from a change log that ends in 2023, and "
        "because the real toolchain traces with torch 1.13, this trace with torch "
        f"{case.contract.versions.get('torch', '?')}. Constants, attributes and lists do "
        "not count."
    )
    todo = "On a host with the compiler, torch.neuron.analyze_model says it for certain."
    known = set(found.outside) <= {EMBEDDING}
    return Finding("ok" if known else "attention", "operators", why, todo, source("inf1-operators"))


def _inf2_operators(case: Case) -> Iterator[Finding]:
    kinds = [held.kind for held in case.operators if held.arithmetic]
    why = (
        "For Inf2 no valid list of operators exists: the published one dates from "
        "October 2022 and lacks linear, layer_norm and gelu. So there is no estimate. "
        f"The trace holds {len(kinds)} kinds: {', '.join(kinds)}."
    )
    command = analyze_code(case.contract.input_names, "inf2").splitlines()[-1]
    todo = f"On a host with the compiler, with the inputs as a tuple: {command}"
    yield Finding("attention", "operators", why, todo, source("inf2-analyze"))
    sized = [kind for kind in kinds if kind in SIZED_BY_DATA]
    if sized:
        why = (
            f"The size of what {', '.join(sized)} returns depends on the data; the compiler "
            "does not take that."
        )
        todo = "Replace it by a mask over all places, such as torch.where."
        yield Finding("blocker", "operators", why, todo, source("inf2-trace"))


def order(case: Case) -> Iterator[Finding]:
    """Say that Neuron takes inputs by position, and whether the names leave a gap."""
    names = case.contract.input_names
    place = source(f"{case.target.name}-trace")
    gap = gap_before(case.model, names)
    if gap:
        why = (
            f"Neuron takes inputs by position, and forward has {gap} before the last of "
            f"{', '.join(names)}. By position they would land in the wrong places."
        )
        yield Finding(
            "attention",
            "order",
            why,
            f"tsnb.neuron.convert wraps the model; in your own code, give {gap} too.",
            place,
        )
    else:
        why = f"Neuron takes inputs by position, as a {case.target.inputs}: {', '.join(names)}."
        yield Finding("ok", "order", why, source=place)


def gap_before(model: nn.Module | None, names: tuple[str, ...]) -> str:
    """Return the first input of `forward` that is skipped before one that is given, if any is."""
    known = list(parameters(model)) if model is not None else list(names)
    skipped = [name for name in known[: len(names)] if name not in names]
    return skipped[0] if skipped else ""


def outputs(case: Case) -> Iterator[Finding]:
    """Look whether the graph returns tensors or a tuple, and not a dict."""
    [output] = case.traced.module.inlined_graph.outputs()
    if output.type().kind() == "DictType":
        todo = "Return a tuple: trace with tsnb.trace, or set model.config.return_dict = False."
        why = "The graph returns a dict, over which many conversions stumbled."
        yield Finding("blocker", "outputs", why, todo, source("dict-outputs"))
    else:
        why = f"The graph returns tensors without a dict: {(', '.join(case.contract.output_names) or '?')}."
        yield Finding("ok", "outputs", why, source="read off the trace")


def shapes(case: Case) -> Iterator[Finding]:
    """Say which shape would be compiled, and how one lives with a single shape."""
    held = case.contract
    place = source("buckets" if case.target.name == "inf1" else "inf2-trace")
    if held.length is None:
        why, todo = (
            ("A compiled graph takes its traced shape and no other, and this contract does not tell it."),
            "Trace the model with tsnb.trace and inputs of (batch, length).",
        )
    else:
        why = (
            f"A compiled graph takes its traced shape and no other: {held.batch_size} × "
            f"{held.length}. Another is an error; only dynamic batching frees the batch "
            "size."
        )
        todo = (
            "Choose the length by your texts (tsnb.widgets.MaxLengthChooser), pad with a "
            "mask, cut what is longer, or compile several lengths. tsnb.neuron.fixed_shape "
            f"lets you practise with {held.length} on the CPU."
        )
    yield Finding("attention", "shapes", why, todo, place)


def dtypes(case: Case) -> Iterator[Finding]:
    """Say which dtypes would be compiled in, and how weights are cast."""
    held = case.contract.dtypes
    given = ", ".join(f"{name} {dtype}" for name, dtype in held.items())
    if held and set(held.values()) <= TUTORIAL_DTYPES:
        why = (
            f"A compiled graph takes the dtypes it was traced with: {given}. AWS's tutorials "
            "compile with these."
        )
        yield Finding("ok", "dtypes", why, source=source("buckets"))
    else:
        why, todo = (
            (
                f"A compiled graph takes the dtypes it was traced with: {(given or '?')}. AWS's "
                "tutorials use int64 and float32."
            ),
            ("Trace with int64 token ids and float32 numbers, or try the compiler on a small model first."),
        )
        yield Finding("attention", "dtypes", why, todo, source(f"{case.target.name}-trace"))
    if case.target.weight_size:
        why, todo = (
            ("On Inf1 FP32 is cast to BF16 by default, so that results differ from the model's."),
            (
                "Compare with the model on your own texts. Rounded to BF16 on a CPU, small "
                "BERTs moved by up to 2 % here."
            ),
        )
        yield Finding("attention", "dtypes", why, todo, source("inf1-trace"))


def tied(case: Case) -> Iterator[Finding]:
    """Name the weights that share storage; a frozen graph does not tell without its model."""
    held = case.traced.module if case.model is None else case.model
    if not list(held.parameters()):
        return
    pairs = tying(held).tied
    names = "; ".join(f"{pair.first} = {pair.second}" for pair in pairs)
    why = (
        (
            f"Tied, and counted once here: {names}. They trace and save; whether a compiled "
            "graph holds them twice, AWS does not say."
        )
        if pairs
        else "No weights share storage."
    )
    yield Finding("ok", "weights", why, source="read off the trace")


def device(case: Case) -> Iterator[Finding]:
    """Look for devices that were written into the graph."""
    constants = (
        node.s("value")
        for node in nodes(case.traced.module.inlined_graph)
        if node.kind() == "prim::Constant" and node.output().type().kind() == "DeviceObjType"
    )
    names = sorted(set(constants))
    place = "read off the trace"
    if set(names) <= {"cpu"}:
        why = (
            "The device cpu is written into the graph, and compilers trace on the CPU."
            if names
            else "No device is written into the graph."
        )
        yield Finding("ok", "device", why, source=place)
    else:
        why = f"Devices are written into the graph: {', '.join(names)}."
        yield Finding(
            "blocker",
            "device",
            why,
            ("Move model and inputs to the CPU, and trace again; Neuron's graphs take and give CPU tensors."),
            place,
        )


def flow(case: Case) -> Iterator[Finding]:
    """Look for what Python decided while it was traced, by other shapes."""
    same, other = _tried(case)
    lines = [note.source for note in case.traced.warnings if note.harmless is False]
    place = "trace and model run side by side"
    if other or lines:
        why = (
            "Python took part in this trace: it parts from the model at "
            f"{(_shapes(other) or '?')}, or may do so (lines: {(', '.join(lines) or '?')}). "
            "At the traced shape it is right."
        )
        yield Finding(
            "attention",
            "flow",
            why,
            "Make a trace of its own for every length and batch size; tsnb.probe maps them.",
            place,
        )
    elif len({length for _, length in same}) > 1:
        why = f"No sign of Python in the way: trace and model agree at {_shapes(same)}."
        yield Finding("ok", "flow", why, source=place)
    else:
        why, todo = (
            (
                "Whether Python took part in this trace is unknown: it was compared with the "
                "model at one shape or none."
            ),
            "Give the model: tsnb.neuron.preflight(traced, target, model=model).",
        )
        yield Finding("attention", "flow", why, todo, place)


def _tried(case: Case) -> tuple[list[Shape], list[Shape]]:
    """Return the shapes at which trace and model agree, and those where they do not.

    Where the trace was not verified at another length and batch size, and the model is there, two
    smaller shapes are run, because they are quick.
    """
    held, batch, length = case.contract, case.contract.batch_size, case.contract.length
    same = list(held.verified)
    if case.model is None or batch is None or length is None or is_dynamic(held):
        return same, []
    smaller = [(size, max(1, length // 2)) for size in (batch, batch + 1)]
    tried = {shape: compare(case.traced, case.model, shape).kind for shape in smaller}
    same += [shape for shape, kind in tried.items() if kind == "same" and shape not in same]
    return same, [shape for shape, kind in tried.items() if kind in ("wrong", "raises")]


def _shapes(shapes: list[Shape]) -> str:
    return ", ".join(f"{batch} × {length}" for batch, length in shapes)


def size(case: Case) -> Iterator[Finding]:
    """Compare the weights with the memory of a NeuronCore and of a chip."""
    count, stored = case.weights
    needed = count * case.target.weight_size or stored
    gaps: dict[str, Any] = {
        "weights": f"{count:,}",
        "needed": f"{needed / 1e9:.2g}",
        "core": f"{case.target.core_memory / 1e9:.1f}",
        "chip": f"{case.target.chip_memory / 1e9:.1f}",
    }
    place = source("buckets" if case.target.name == "inf1" else "inf2-memory")
    if needed > case.target.chip_memory:
        why, todo = say("preflight.size-chip-why", **gaps), "Take a smaller model."
        yield Finding("blocker", "size", why, todo, place)
    elif needed > case.target.core_memory:
        why, todo = (
            say("preflight.size-core-why", **gaps),
            "Spread it over several cores, or take a smaller model.",
        )
        yield Finding("attention", "size", why, todo, place)
    else:
        yield Finding("ok", "size", say("preflight.size-fits-why", **gaps), source=place)


def buckets(case: Case) -> Iterator[Finding]:
    """Say how many lengths AWS's rule allows, where there are weights."""
    count, _ = case.weights
    if not count:
        return
    allowed = case.target.buckets(count)
    if allowed is None:
        why, todo = (
            ("AWS's rule for the number of compiled lengths is for Inf1; for Inf2 there is none."),
            (
                "tsnb.plan_buckets finds the best lengths for your texts; watch the device's "
                "memory as you load them."
            ),
        )
        yield Finding("attention", "buckets", why, todo, source("inf2-trace"))
    else:
        why = (
            f"By AWS's rule for Inf1, round(1e9 / {count:,} weights), about {allowed:,} "
            "compiled lengths fit on a NeuronCore."
        )
        todo = "tsnb.plan_buckets finds the best lengths for your texts; watch the memory with neuron-top."
        yield Finding("ok" if allowed else "attention", "buckets", why, todo, source("buckets"))
