"""What a conversion would come to, before anything is compiled. Taught in notebook 05."""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tsnb.base.errors import InputError
from tsnb.base.tables import listed
from tsnb.lengths.lengths import checked, length_report, plan_buckets, presets, rounded_up, token_lengths
from tsnb.models.load import CLASSES, EMBEDDED, MINI, NewWeightsWarning, load
from tsnb.neuron.detection import Detection, detect_one
from tsnb.neuron.preflight_checks import checked_task, preflight
from tsnb.neuron.snippets import code
from tsnb.neuron.targets import SUITED, find_target
from tsnb.tiny_bert import corpus
from tsnb.tracing.inputs import dummy_inputs, positive_int
from tsnb.tracing.trace import trace
from tsnb.tracing.traced import Traced, checked_module, checked_traced

if TYPE_CHECKING:
    from torch import nn

    from tsnb.lengths.lengths import LengthReport, Lengths
    from tsnb.neuron.report import Finding, Preflight

SHORT = "who ?"  # fits in any max length
TEXTS, LIMIT = 1000, 512


@dataclass(frozen=True, repr=False)
class Plan:
    """What follows from a model, a generation and lengths; prints as text.

    Attributes
    ----------
    traced
        Which trace was looked through, in words.
    task, max_length
        What was chosen, or follows from the trace, the model and the lengths.
    report
        The `Preflight` of that trace.
    edges
        The lengths to compile, in tokens.
    costs
        What they cut and pad, a `LengthReport`.
    plain, code
        The program that traces with plain torch, and the one that compiles for the generation.
    detection
        What is installed here for the generation, a `Detection`.
    """

    traced: str
    task: str
    max_length: int
    report: Preflight
    edges: tuple[int, ...]
    costs: LengthReport
    plain: str
    code: str
    detection: Detection

    @property
    def findings(self) -> list[Finding]:
        """The findings of the preflight, the worst first."""
        return [*self.report.of("blocker"), *self.report.of("attention"), *self.report.of("ok")]

    @property
    def diff(self) -> list[str]:
        """The lines of both programs: `-` plain torch, `+` the generation's, and what both have."""
        pair = self.plain.splitlines(), self.code.splitlines()
        return [line for line in difflib.ndiff(*pair) if not line.startswith("?")]

    @property
    def figures(self) -> list[tuple[str, str]]:
        """Every figure: a label, and what it stands at."""
        allowed, costs = self.report.buckets, self.costs
        rule = "does not apply" if allowed is None else f"about {allowed:,} lengths a NeuronCore"
        if allowed is not None and len(self.edges) > allowed:
            rule += f": {len(self.edges)} are too many"
        return [
            ("looked through", self.traced),
            ("findings", self.report.summary),
            ("AWS's rule for Inf1", rule),
            ("lengths to compile", listed(self.edges)),
            ("padding", f"{costs.padding_share:.1%} of what is computed"),
            ("texts that are cut", f"{costs.cut_texts:,} of {costs.texts:,}"),
        ]

    @property
    def sections(self) -> dict[str, list[Any]]:
        """The findings, the lines of code, and what to install, each under its heading."""
        return {
            "What a compiler would meet": self.findings,
            f"The code: - plain trace, + {self.report.target.package}": self.diff,
            "What to install where": list(self.detection.lines),
        }

    def __repr__(self) -> str:
        figures = "\n".join(f"{label}: {text}" for label, text in self.figures)
        parts = ("\n".join([heading, *map(str, lines)]) for heading, lines in self.sections.items())
        return "\n\n".join([figures, *parts])


def plan(  # noqa: PLR0913, a plan has as many choices
    traced: Traced | None = None,
    model: nn.Module | None = None,
    lengths: Lengths | None = None,
    *,
    subject: str = EMBEDDED,
    task: str | None = None,
    target: str = "inf1",
    attention: str = "sdpa",
    max_length: int | None = None,
    buckets: int = 4,
) -> Plan:
    """Plan a conversion: what would stop it, which lengths to compile, the code, what to install.

    Nothing is compiled. Without a trace of the reader's own, an embedded model is traced.

    Parameters
    ----------
    traced
        The reader's own trace, which is looked through as it is.
    model
        The model it was made from; see `tsnb.neuron.preflight`.
    lengths
        Tokens of each text, special tokens included; by default those of 1,000 generated texts.
    subject
        Without a trace: `"tiny-bert"` or `"bert-mini"`.
    task
        One of the tasks in `facts.toml`; by default what the class of the model is named for, or
        question-answering. Of a model that writes text the encoder is looked through.
    target
        `"inf1"` or `"inf2"`.
    attention
        `"sdpa"` or `"eager"`; the reader's own trace has what it was made with.
    max_length
        Longer texts are cut to it, in tokens; by default the length of the trace, or the 95th percentile
        of the lengths, rounded up to a multiple of 8.
    buckets
        How many lengths to compile.

    Returns
    -------
    Plan
        Its `report`, `edges`, `code` and more.

    Raises
    ------
    InputError
        What is no trace, no model, no lengths, or no such subject; a max length or a number of buckets
        that is no positive whole number.
    ModelError
        An attention that there is not.
    NeuronError
        What `tsnb.neuron.preflight` says of target, task and trace.

    Examples
    --------
    >>> small = plan(lengths=[5, 9, 12, 30], buckets=2, attention="eager")
    >>> small.edges, small.report.ok
    ((12, 30), True)

    Taught in notebook 05.
    """
    if model is not None:
        checked_module(model)
    counts = _generated() if lengths is None else checked(lengths)
    task = checked_task(task, model) or SUITED[0]
    contract = None if traced is None else checked_traced(traced).contract
    if max_length is None:
        limit = contract.max_positions if contract else LIMIT
        max_length = (contract and contract.length) or max_lengths(counts, limit)[1]
    max_length, detection = positive_int("max_length", max_length), detect_one(find_target(target))
    head = task if task in CLASSES else "encoder"
    options: dict[str, Any] = {"head": head, "attention": attention, "length": max_length}
    if traced is None or contract is None:
        report = _embedded(subject, task, target, attention, max_length)
        words = f"{subject} with the head {head}, {attention} attention, 1 × {max_length}"
    else:
        report = preflight(traced, target, model, task)
        words = f"your trace, {contract.batch_size or '?'} × {contract.length or '?'}"
        words += "" if max_length == contract.length else f"; trace it again for {max_length}"
        options |= {"attention": "", "head": head if target == "inf1" else ""}
    edges = plan_buckets(np.minimum(counts, max_length), buckets) if buckets != 1 else [max_length]
    costs = length_report(counts, max_length, buckets=edges)
    plain = code(report.input_names, **options)
    program = code(report.input_names, target, device=detection.state == "ready", **options)
    return Plan(words, task, max_length, report, tuple(edges), costs, plain, program, detection)


def max_lengths(lengths: Lengths | None = None, limit: int | None = LIMIT) -> tuple[int, ...]:
    """Return max lengths to choose from: the presets, rounded up to a multiple of 8, within a limit.

    >>> max_lengths([5, 9, 12, 30])
    (16, 32, 32, 32)
    """
    counts = _generated() if lengths is None else lengths
    rounded = map(rounded_up, presets(counts).values())
    return tuple(min(length, limit or length) for length in rounded)


@lru_cache(maxsize=64)
def _embedded(subject: str, task: str, target: str, attention: Any, length: int) -> Preflight:
    """Return the preflight of an embedded model; what is kept is small."""
    if subject not in (EMBEDDED, MINI):
        raise InputError(f"There is no embedded model called {subject}, only {EMBEDDED} and {MINI}. Trace your own.")
    with warnings.catch_warnings():  # a pooler may be new: the graph is what counts here
        warnings.simplefilter("ignore", NewWeightsWarning)
        head: Any = task if task in CLASSES else "encoder"
        model, tokenizer = load(subject, head, attn_implementation=attention)
    traced = trace(model, dummy_inputs(tokenizer, model, SHORT, max_length=length))
    return preflight(traced, target, model, task)


@lru_cache(maxsize=1)
def _generated() -> Any:
    """Return the lengths of generated texts, special tokens included."""
    return token_lengths(load(EMBEDDED)[1], corpus.texts(TEXTS), progress=False)
