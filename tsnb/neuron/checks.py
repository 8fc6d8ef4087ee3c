"""The single checks of a preflight. Each yields what it found. Taught in notebook 05."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsnb.graphs import nodes
from tsnb.inference import is_flexible
from tsnb.inputs import parameters
from tsnb.neuron.findings import Finding
from tsnb.neuron.snippets import analyze_code
from tsnb.neuron.targets import source
from tsnb.tied_weights import tying
from tsnb.verdicts import judge
from tsnb.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from tsnb.contract import Contract, Shape
    from tsnb.neuron.operators import Operators
    from tsnb.neuron.targets import Target
    from tsnb.tracing import Traced

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
            say("preflight.contract-unknown-why", names=names),
            say("preflight.contract-unknown-do"),
            say("preflight.from-trace"),
        )


def operators(case: Case) -> Iterator[Finding]:
    """Compare with the list of torch-neuron; for Inf2, where none is valid, name the operators."""
    yield from _inf1_operators(case) if case.target.name == "inf1" else _inf2_operators(case)


def _inf1_operators(case: Case) -> Iterator[Finding]:
    yield _estimate(case)
    for operator in case.operators.of("cpu"):
        if operator.kind == EMBEDDING:
            why = say("preflight.embedding-why", count=operator.count)
            yield Finding("ok", "operators", why, source=source("inf1-operators"))
    if SDPA in case.operators.outside:
        why, todo = say("preflight.sdpa-why"), say("preflight.sdpa-do")
        yield Finding("attention", "operators", why, todo, source("inf1-operators"))
    rest = [kind for kind in case.operators.outside if kind not in (EMBEDDING, SDPA)]
    if rest:
        why, todo = (
            say("preflight.unlisted-why", kinds=", ".join(rest)),
            say("preflight.unlisted-do"),
        )
        yield Finding("attention", "operators", why, todo, source("inf1-trace"))
    limited = [f"{held.kind}: {held.condition}" for held in case.operators.of("limited")]
    if limited:
        why = say("preflight.limited-why", conditions="; ".join(limited))
        todo = say("preflight.limited-do")
        yield Finding("attention", "operators", why, todo, source("inf1-operators"))


def _estimate(case: Case) -> Finding:
    """Return the share of the operators that are on the list, and why that is an estimate."""
    found = case.operators
    why = say(
        "preflight.estimate-why",
        listed=found.listed,
        all=found.arithmetic,
        share=f"{found.share or 0:.1%}",
        torch=case.contract.versions.get("torch", "?"),
    )
    todo = say("preflight.estimate-do")
    known = set(found.outside) <= {EMBEDDING}
    return Finding("ok" if known else "attention", "operators", why, todo, source("inf1-operators"))


def _inf2_operators(case: Case) -> Iterator[Finding]:
    kinds = [held.kind for held in case.operators if held.arithmetic]
    why = say("preflight.no-list-why", count=len(kinds), kinds=", ".join(kinds))
    command = analyze_code(case.contract.input_names, "inf2").splitlines()[-1]
    todo = say("preflight.no-list-do", command=command)
    yield Finding("attention", "operators", why, todo, source("inf2-analyze"))
    sized = [kind for kind in kinds if kind in SIZED_BY_DATA]
    if sized:
        why = say("preflight.sized-by-data-why", kinds=", ".join(sized))
        todo = say("preflight.sized-by-data-do")
        yield Finding("blocker", "operators", why, todo, source("inf2-trace"))


def order(case: Case) -> Iterator[Finding]:
    """Say that Neuron takes inputs by position, and whether the names leave a gap."""
    names = case.contract.input_names
    place = source(f"{case.target.name}-trace")
    gap = gap_before(case.model, names)
    if gap:
        why = say("preflight.order-gap-why", skipped=gap, names=", ".join(names))
        yield Finding("attention", "order", why, say("preflight.order-gap-do", skipped=gap), place)
    else:
        why = say("preflight.order-why", names=", ".join(names), inputs=case.target.inputs)
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
        todo = say("preflight.outputs-dict-do")
        why = say("preflight.outputs-dict-why")
        yield Finding("blocker", "outputs", why, todo, source("dict-outputs"))
    else:
        why = say("preflight.outputs-tuple-why", names=", ".join(case.contract.output_names) or "?")
        yield Finding("ok", "outputs", why, source=say("preflight.from-trace"))


def shapes(case: Case) -> Iterator[Finding]:
    """Say which shape would be compiled, and how one lives with a single shape."""
    held = case.contract
    place = source("buckets" if case.target.name == "inf1" else "inf2-trace")
    if held.length is None:
        why, todo = say("preflight.shapes-unknown-why"), say("preflight.shapes-unknown-do")
    else:
        why = say("preflight.shapes-why", batch=held.batch_size, length=held.length)
        todo = say("preflight.shapes-do", length=held.length)
    yield Finding("attention", "shapes", why, todo, place)


def dtypes(case: Case) -> Iterator[Finding]:
    """Say which dtypes would be compiled in, and how weights are cast."""
    held = case.contract.dtypes
    given = ", ".join(f"{name} {dtype}" for name, dtype in held.items())
    if held and set(held.values()) <= TUTORIAL_DTYPES:
        why = say("preflight.dtypes-why", dtypes=given)
        yield Finding("ok", "dtypes", why, source=source("buckets"))
    else:
        why, todo = (
            say("preflight.dtypes-other-why", dtypes=given or "?"),
            say("preflight.dtypes-do"),
        )
        yield Finding("attention", "dtypes", why, todo, source(f"{case.target.name}-trace"))
    if case.target.weight_size:
        why, todo = say("preflight.casting-why"), say("preflight.casting-do")
        yield Finding("attention", "dtypes", why, todo, source("inf1-trace"))


def tied(case: Case) -> Iterator[Finding]:
    """Name the weights that share storage; a frozen graph does not tell without its model."""
    held = case.traced.module if case.model is None else case.model
    if not list(held.parameters()):
        return
    pairs = tying(held).tied
    names = "; ".join(f"{pair.first} = {pair.second}" for pair in pairs)
    why = say("preflight.tied-why", pairs=names) if pairs else say("preflight.untied-why")
    yield Finding("ok", "weights", why, source=say("preflight.from-trace"))


def device(case: Case) -> Iterator[Finding]:
    """Look for devices that were written into the graph."""
    constants = (
        node.s("value")
        for node in nodes(case.traced.module.inlined_graph)
        if node.kind() == "prim::Constant" and node.output().type().kind() == "DeviceObjType"
    )
    names = sorted(set(constants))
    place = say("preflight.from-trace")
    if set(names) <= {"cpu"}:
        why = say("preflight.device-cpu-why") if names else say("preflight.device-none-why")
        yield Finding("ok", "device", why, source=place)
    else:
        why = say("preflight.device-why", names=", ".join(names))
        yield Finding("blocker", "device", why, say("preflight.device-do"), place)


def flow(case: Case) -> Iterator[Finding]:
    """Look for what Python decided while it was traced, by other shapes."""
    same, other = _tried(case)
    lines = [note.source for note in case.traced.warnings if note.harmless is False]
    place = say("preflight.from-probe")
    if other or lines:
        why = say(
            "preflight.flow-differs-why",
            shapes=_shapes(other) or "?",
            lines=", ".join(lines) or "?",
        )
        yield Finding("attention", "flow", why, say("preflight.flow-differs-do"), place)
    elif len({length for _, length in same}) > 1:
        why = say("preflight.flow-same-why", shapes=_shapes(same))
        yield Finding("ok", "flow", why, source=place)
    else:
        why, todo = say("preflight.flow-unknown-why"), say("preflight.flow-unknown-do")
        yield Finding("attention", "flow", why, todo, place)


def _tried(case: Case) -> tuple[list[Shape], list[Shape]]:
    """Return the shapes at which trace and model agree, and those where they do not.

    Where the trace was not verified at another length and batch size, and the model is there, two
    smaller shapes are run, because they are quick.
    """
    held, batch, length = case.contract, case.contract.batch_size, case.contract.length
    same = list(held.verified)
    if case.model is None or batch is None or length is None or is_flexible(held):
        return same, []
    smaller = [(size, max(1, length // 2)) for size in (batch, batch + 1)]
    tried = {shape: judge(case.traced, case.model, shape).kind for shape in smaller}
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
        why, todo = say("preflight.size-chip-why", **gaps), say("preflight.size-chip-do")
        yield Finding("blocker", "size", why, todo, place)
    elif needed > case.target.core_memory:
        why, todo = say("preflight.size-core-why", **gaps), say("preflight.size-core-do")
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
        why, todo = say("preflight.buckets-no-rule-why"), say("preflight.buckets-no-rule-do")
        yield Finding("attention", "buckets", why, todo, source("inf2-trace"))
    else:
        why = say("preflight.buckets-why", weights=f"{count:,}", count=f"{allowed:,}")
        todo = say("preflight.buckets-do")
        yield Finding("ok" if allowed else "attention", "buckets", why, todo, source("buckets"))
