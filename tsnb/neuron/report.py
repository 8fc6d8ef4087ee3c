"""What a preflight reports: one finding for each thing looked at. Taught in notebook 05."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from tsnb.base.palette import GREEN, ORANGE, VERMILION
from tsnb.base.tables import wrapped
from tsnb.neuron.snippets import analyze_code

if TYPE_CHECKING:
    from tsnb.neuron.operators import Operators
    from tsnb.neuron.targets import Target

Kind = Literal["ok", "attention", "blocker"]
SYMBOLS: dict[Kind, str] = {"ok": "✓", "attention": "!", "blocker": "✗"}
COLOURS: dict[Kind, str] = {"ok": GREEN, "attention": ORANGE, "blocker": VERMILION}
TEXT = "line-height: 1.4; overflow-wrap: anywhere"


@dataclass(frozen=True)
class Finding:
    """One thing that a preflight looked at.

    Attributes
    ----------
    kind
        `ok`; `attention`: it converts, if you know this; `blocker`: it will not do as it is.
    topic
        What was looked at, such as `operators` or `order of inputs`.
    why
        What is so, and what it means.
    todo
        What to do; empty where there is nothing to do.
    source
        Who says so: an address, or where it was measured.
    """

    kind: Kind
    topic: str
    why: str
    todo: str = ""
    source: str = ""

    def __str__(self) -> str:
        parts = f"{SYMBOLS[self.kind]} {self.topic}: {self.why}", self.todo and f"→ {self.todo}"
        lines = [*filter(None, parts), f"({self.source})"]
        return textwrap.indent("\n".join(map(wrapped, lines)), "  ")[2:]

    def _repr_html_(self) -> str:
        """Return it as what can be opened; where there is something to do, it is open."""
        head = f"{SYMBOLS[self.kind]} <b>{escape(self.topic)}:</b> {escape(self.why)}"
        todo = f"<div>→ {escape(self.todo)}</div>" if self.todo else ""
        place = escape(self.source)
        if self.source.startswith("https://"):
            place = f"<a href='{place}' target='_blank' rel='noopener'>{place.rsplit('/', 1)[-1]}</a>"
        border = f"border-left: 4px solid {COLOURS[self.kind]}; padding-left: 8px; margin: 4px 0"
        return (
            f"<details{'' if self.kind == 'ok' else ' open'} style='{border}; {TEXT}'><summary style='display: "
            f"list-item; cursor: pointer'>{head}</summary>{todo}<div>{place}</div></details>"
        )


@dataclass(frozen=True, repr=False)
class Preflight:
    """What a preflight reports of a trace, for one generation; prints as text.

    Attributes
    ----------
    target
        The generation.
    input_names
        Of the trace, in the order of `forward`.
    findings
        In the order of the topics.
    operators
        Every kind of operator in the graph.
    weights
        Number of weights, tied ones once.
    buckets
        About how many lengths fit on a NeuronCore; `None` where AWS gives no rule.
    """

    target: Target
    input_names: tuple[str, ...]
    findings: tuple[Finding, ...]
    operators: Operators
    weights: int
    buckets: int | None

    @property
    def analyze(self) -> str:
        """The program that asks the installed compiler which operators it takes; see `tsnb.neuron.analyze_code`."""
        return analyze_code(self.input_names, self.target.name)

    @property
    def ok(self) -> bool:
        """Whether there is no blocker."""
        return not self.of("blocker")

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        """Return the findings of a kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    @property
    def summary(self) -> str:
        """How many findings there are of each kind, in a line."""
        counts = Counter(finding.kind for finding in self.findings)
        words: dict[Kind, str] = {"blocker": "in the way", "attention": "to know about", "ok": "in order"}
        return ", ".join(f"{SYMBOLS[kind]} {counts[kind]} {text}" for kind, text in words.items())

    def __repr__(self) -> str:
        return "\n".join([f"Preflight for {self.target.name}: {self.summary}", *map(str, self.findings)])

    def _repr_html_(self) -> str:
        findings = "".join(finding._repr_html_() for finding in self.findings)
        return f"<div><b>Preflight for {self.target.name}: {self.summary}</b></div>{findings}"
