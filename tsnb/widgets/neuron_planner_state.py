"""What the Neuron planner knows: six choices, and what follows from them, without a browser."""

from __future__ import annotations

import difflib
import math
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from tsnb.base.errors import InputError
from tsnb.base.tables import listed
from tsnb.base.words import say
from tsnb.lengths.lengths import checked, length_report, plan_buckets, presets, token_lengths
from tsnb.models.load import CLASSES, EMBEDDED, MINI, NewWeightsWarning, load
from tsnb.neuron.detection import detect_one
from tsnb.neuron.findings import SYMBOLS
from tsnb.neuron.fit import SUITED, checked_task
from tsnb.neuron.inspection import preflight
from tsnb.neuron.snippets import code, load_code
from tsnb.neuron.targets import TARGETS, facts
from tsnb.neuron.targets import target as find_target
from tsnb.tiny_bert import corpus
from tsnb.tracing.inputs import dummy_inputs, positive_int
from tsnb.tracing.trace import trace
from tsnb.tracing.traced import checked_module, checked_traced

if TYPE_CHECKING:
    from torch import nn

    from tsnb.lengths.lengths import LengthReport, Lengths
    from tsnb.neuron.detection import Detection
    from tsnb.neuron.findings import Finding, Preflight
    from tsnb.tracing.traced import Traced

YOURS = "yours"
CHOICES = ("subject", "task", "target", "attention", "value", "buckets")
SHORT = "who ?"  # fits in any max length
TEXTS, LIMIT, STEP, MOST_BUCKETS = 1000, 512, 8, 12
WORST_FIRST = tuple(reversed(SYMBOLS))


@dataclass(frozen=True, repr=False)
class Plan:
    """What follows from the choices; prints as text.

    Attributes
    ----------
    traced
        Which trace was looked through, in words.
    report
        The `Preflight` of that trace.
    edges
        The lengths to compile, in tokens.
    costs
        What they cut and pad, a `LengthReport`.
    plain, code
        The program that traces with plain torch, and the one that compiles for the generation.
    found
        What is installed here for the generation, a `Detection`.
    """

    traced: str
    report: Preflight
    edges: tuple[int, ...]
    costs: LengthReport
    plain: str
    code: str
    found: Detection

    @property
    def findings(self) -> list[Finding]:
        """The findings of the preflight, the worst first."""
        return sorted(self.report.findings, key=lambda held: WORST_FIRST.index(held.kind))

    @property
    def diff(self) -> list[str]:
        """The lines of both programs: `-` plain torch, `+` the generation's, and what both have."""
        pair = self.plain.splitlines(), self.code.splitlines()
        return [line for line in difflib.ndiff(*pair) if not line.startswith("?")]

    @property
    def install(self) -> list[str]:
        """What is here, what is missing, where to compile and run, and until when."""
        found = self.found
        return [found.found, found.todo, found.versions, found.hosts, found.lifecycle]

    def figures(self) -> list[tuple[str, str]]:
        """Return every figure: a label, and what it stands at."""
        counts = Counter(finding.kind for finding in self.report.findings)
        costs = self.costs
        told = {
            "traced": self.traced,
            "findings": say("planner.findings", **{kind: counts[kind] for kind in SYMBOLS}),
            "rule": self._rule(),
            "edges": listed(self.edges),
            "padding": f"{costs.padding_share:.1%} of what is computed",
            "cut": f"{costs.cut_texts:,} of {costs.texts:,}",
        }
        return [(say(f"planner.label-{name}"), text) for name, text in told.items()]

    def heads(self) -> dict[str, str]:
        """Return what stands over findings, code and install."""
        return {
            "findings": "What a compiler would meet",
            "code": f"The code: plain trace (−), {self.report.target.package} (+)",
            "install": "What to install where",
        }

    def __str__(self) -> str:
        findings = "\n".join(map(str, self.findings))
        bodies = findings, "\n".join(self.diff), "\n".join(self.install)
        parts = map("\n".join, zip(self.heads().values(), bodies, strict=True))
        figures = "\n".join(f"{label}: {text}" for label, text in self.figures())
        return "\n\n".join([figures, *parts])

    def _rule(self) -> str:
        """Return AWS's rule for the number of lengths, and whether these are more."""
        allowed, planned = self.report.buckets, len(self.edges)
        if allowed is None:
            return f"there is none for {self.report.target.name}"
        count = f"{allowed:,}"
        if planned > allowed:
            return f"about {count} lengths a NeuronCore: {planned} are too many"
        return f"about {count} lengths a NeuronCore"


class NeuronPlannerState(traitlets.HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """A model, a task, a generation and lengths, and the plan for them; prints as text.

    Parameters
    ----------
    traced
        The reader's own trace, which is looked through as it is.
    model
        The model it was made from; see `tsnb.neuron.preflight`.
    lengths
        Tokens of each text, special tokens included; by default those of 1,000 generated texts.
    **choices
        What is chosen at first; see the traits.

    Attributes
    ----------
    subject
        A trait: `"tiny-bert"`, `"bert-mini"` or, where a trace is given, `"yours"`.
    task
        A trait: one of the tasks in `facts.toml`; a model that writes text is looked through by its
        encoder.
    target
        A trait: `"inf1"` or `"inf2"`.
    attention
        A trait: `"sdpa"` or `"eager"`; the reader's own trace has what it was made with.
    value
        A trait: the max length, one of `options["value"]`; at first the 95th percentile of the
        lengths, rounded up to a multiple of 8, or the length of the reader's trace.
    buckets
        A trait: how many lengths to compile.
    plan
        A trait that follows the choices: a `Plan`.
    busy
        A trait: whether a model is being traced.
    note
        A trait: why a choice was taken back, where planning for it failed; empty otherwise.

    Raises
    ------
    InputError
        A choice that is none, also when a trait is set; no lengths; what is no trace or no model.
    NeuronError
        What `tsnb.neuron.preflight` says of the reader's trace.

    Examples
    --------
    >>> state = NeuronPlannerState(lengths=[5, 9, 12, 30], task="question-answering")
    >>> state.value, state.plan.edges
    (32, (5, 9, 12, 30))
    >>> state.attention, "aten::scaled_dot_product_attention" in state.plan.report.operators.outside
    ('sdpa', True)

    Taught in notebook 05.
    """

    subject = traitlets.Any()  # `check` says more than traitlets' own Enum would
    task = traitlets.Any()
    target = traitlets.Any()
    attention = traitlets.Any()
    value = traitlets.Any()
    buckets = traitlets.Any()
    plan = traitlets.Any()
    busy = traitlets.Bool(default_value=False)
    note = traitlets.Unicode()

    def __init__(
        self,
        traced: Traced | None = None,
        model: nn.Module | None = None,
        lengths: Lengths | None = None,
        **choices: Any,
    ) -> None:
        super().__init__()
        self.traced = None if traced is None else checked_traced(traced)
        self.model = None if model is None else checked_module(model)
        self.lengths = _generated() if lengths is None else checked(lengths)
        self._looked: dict[tuple[Any, ...], tuple[Preflight, tuple[str, ...]]] = {}
        begin = self._begin() | choices
        positive_int("value", begin["value"])
        self.options = self._options(begin["value"])
        for name, chosen in begin.items():
            setattr(self, name, chosen)
        self._plan()
        self.observe(self._follow, CHOICES)

    @property
    def head(self) -> str:
        """The head of the embedded model that is traced for the task."""
        return self.task if self.task in CLASSES else "encoder"

    def check(self, name: str, given: Any) -> Any:
        """Return a choice, or raise an InputError where it is none."""
        known = self.options[name]
        if given not in known or isinstance(given, (bool, float)):
            listed = ", ".join(map(str, known))
            raise InputError(f"{name} must be one of {listed}; got {given}.")
        return given

    def __str__(self) -> str:
        return "\n\n".join(filter(None, [self.note, str(self.plan)]))

    @traitlets.validate(*CHOICES)  # type: ignore[untyped-decorator]
    def _possible(self, proposal: Any) -> Any:
        return self.check(proposal.trait.name, proposal.value)

    def _begin(self) -> dict[str, Any]:
        """Return what is chosen at first, unless the reader says otherwise."""
        longest = self.traced.contract.length if self.traced else None
        return {
            "subject": EMBEDDED if self.traced is None else YOURS,
            "task": checked_task(None, self.model) or SUITED[0],
            "target": TARGETS[0].name,
            "attention": "sdpa",
            "value": longest or self._rounded(presets(self.lengths)["p95"]),
            "buckets": 4,
        }

    def _options(self, value: int) -> dict[str, tuple[Any, ...]]:
        """Return what can be chosen; max lengths are the presets, rounded up, and the first one."""
        values = {value, *map(self._rounded, presets(self.lengths).values())}
        own = (YOURS,) if self.traced is not None else ()
        return {
            "subject": (*own, EMBEDDED, MINI),
            "task": tuple(facts()["tasks"]),
            "target": tuple(target.name for target in TARGETS),
            "attention": ("sdpa", "eager"),
            "value": tuple(sorted(values)),
            "buckets": tuple(range(1, MOST_BUCKETS + 1)),
        }

    def _rounded(self, length: int) -> int:
        """Return a length rounded up to a multiple of 8, within the position limit."""
        limit = self.traced.contract.max_positions if self.traced else LIMIT
        rounded = STEP * math.ceil(length / STEP)
        return min(rounded, limit or rounded)

    def _follow(self, change: Any) -> None:
        """Plan for a new choice; where that fails, say so and take the choice back."""
        if self._chosen() == self._planned:
            return  # it was taken back
        try:
            self._plan()
        except Exception as error:  # noqa: BLE001, a model that is traced may raise anything
            why = str(error) or type(error).__name__
            setattr(self, change.name, change.old)
            self.note = (
                f"With {change.name} {change.new} there is no plan, and the choice is as it was: {why}"
            )
        else:
            self.note = ""

    def _chosen(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in CHOICES}

    def _plan(self) -> None:
        """Look through the trace, plan the lengths, and write the code."""
        report, names = self._report()
        cut = np.minimum(self.lengths, self.value)
        edges = plan_buckets(cut, self.buckets) if self.buckets > 1 else [self.value]
        found = detect_one(find_target(self.target))
        plain, compiled = self._programs(names, device=found.state == "ready")
        self._planned = self._chosen()
        self.plan = Plan(
            traced=self._traced_words(),
            report=report,
            edges=tuple(edges),
            costs=length_report(self.lengths, self.value, buckets=edges),
            plain=plain,
            code=compiled,
            found=found,
        )

    def _report(self) -> tuple[Preflight, tuple[str, ...]]:
        """Return the preflight of what is chosen, and the names of the inputs; made once each."""
        traced_with = () if self.subject == YOURS else (self.attention, self.value)
        key = (self.subject, self.task, self.target, *traced_with)
        if key not in self._looked:
            self.busy = True
            try:
                self._looked[key] = self._look()
            finally:
                self.busy = False
        return self._looked[key]

    def _look(self) -> tuple[Preflight, tuple[str, ...]]:
        model, traced = self.model, self.traced
        if self.subject != YOURS or traced is None:
            model, tokenizer = self._load()
            traced = trace(model, dummy_inputs(tokenizer, model, SHORT, max_length=self.value))
        return preflight(traced, self.target, model, self.task), traced.contract.input_names

    def _load(self) -> tuple[Any, Any]:
        """Load an embedded model, with a pooler that may be new: the graph is what counts here."""
        head: Any = self.head
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NewWeightsWarning)
            return load(self.subject, head, attn_implementation=self.attention)

    def _programs(self, names: tuple[str, ...], *, device: bool) -> tuple[str, str]:
        """Return the program for plain torch, and the one for the generation."""
        own = self.subject == YOURS
        begin = "" if own else load_code(self.head, self.attention, self.value)
        return begin + code(names), begin + code(names, self.target, device=device)

    def _traced_words(self) -> str:
        if self.subject != YOURS or self.traced is None:
            return f"{self.subject} with the head {self.head}, {self.attention} attention, 1 × {self.value}"
        held = self.traced.contract
        gaps = {"batch": held.batch_size or "?", "length": held.length or "?"}
        if self.value == held.length:
            return say("planner.traced-yours", **gaps)
        return say("planner.traced-again", **gaps, value=self.value)


def _generated() -> Any:
    """Return the lengths of generated texts, special tokens included."""
    return token_lengths(load(EMBEDDED)[1], corpus.texts(TEXTS), progress=False)
