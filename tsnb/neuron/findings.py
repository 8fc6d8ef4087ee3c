"""What a preflight found, one thing at a time, and the report of it. Taught in notebook 05."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from tsnb.base.palette import GREEN, ORANGE, VERMILION
from tsnb.base.words import say, wrapped

if TYPE_CHECKING:
    from tsnb.neuron.operators import Operators
    from tsnb.neuron.targets import Target

Kind = Literal["ok", "attention", "blocker"]
SYMBOLS: dict[Kind, str] = {"ok": "✓", "attention": "!", "blocker": "✗"}
EDGES: dict[Kind, str] = {"ok": GREEN, "attention": ORANGE, "blocker": VERMILION}
TEXT = "line-height: 1.4; overflow-wrap: anywhere"
LINK = "color: var(--jp-content-link-color, #1976d2); text-decoration: underline"


@dataclass(frozen=True)
class Finding:
    """One thing that a preflight looked at.

    Attributes
    ----------
    kind
        `ok`; `attention`: it converts, if you know this; `blocker`: it will not do as it is.
    topic
        What was looked at, such as `operators` or `shapes`.
    why
        What was found, and what it means.
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

    @property
    def symbol(self) -> str:
        """`✓`, `!` or `✗`."""
        return SYMBOLS[self.kind]

    def __str__(self) -> str:
        head = f"{self.symbol} {say(f'preflight.topic-{self.topic}')}: {self.why}"
        parts = [head, self.todo and f"→ {self.todo}", self.source and f"({self.source})"]
        return textwrap.indent("\n".join(map(wrapped, filter(None, parts))), "  ")[2:]

    def to_html(self) -> str:
        """Return it as what can be opened; where there is something to do, it is open."""
        topic = escape(say(f"preflight.topic-{self.topic}"))
        head = f"{self.symbol} <b>{topic}:</b> {escape(self.why)}"
        todo = paragraph(f"→ {self.todo}") if self.todo else ""
        border = f"border-left: 4px solid {EDGES[self.kind]}; padding-left: 8px; margin: 4px 0"
        summary = f"<summary style='display: list-item; cursor: pointer'>{head}</summary>"
        opened = "" if self.kind == "ok" else " open"
        inside = f"{summary}{todo}{self._source()}"
        return f"<details{opened} style='{border}; {TEXT}'>{inside}</details>"

    _repr_html_ = to_html

    def _source(self) -> str:
        """Return who says so as HTML, an address as a link that shows its last part."""
        place = escape(self.source)
        if not self.source.startswith("https://"):
            return f"<div>{place}</div>"
        last = place.rsplit("/", 1)[-1]
        return f"<a href='{place}' target='_blank' rel='noopener' style='{LINK}'>{last}</a>"


@dataclass(frozen=True, repr=False)
class Preflight:
    """What a preflight found of a trace, for one generation; prints as text.

    Attributes
    ----------
    target
        The generation.
    findings
        In the order of the topics.
    operators
        Every kind of operator in the graph.
    weights
        Number of weights, tied ones once.
    buckets
        About how many lengths fit on a NeuronCore; `None` where AWS gives no rule.
    code
        The program that converts.
    analyze
        The program that asks the installed compiler.
    """

    target: Target
    findings: tuple[Finding, ...]
    operators: Operators
    weights: int
    buckets: int | None
    code: str
    analyze: str

    @property
    def ok(self) -> bool:
        """Whether there is no blocker."""
        return not self.of("blocker")

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        """Return the findings of a kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def about(self, topic: str) -> tuple[Finding, ...]:
        """Return the findings on a topic."""
        return tuple(finding for finding in self.findings if finding.topic == topic)

    def __str__(self) -> str:
        return "\n".join([self._head(), *map(str, self.findings)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        findings = "".join(finding.to_html() for finding in self.findings)
        return f"<div><b>{escape(self._head())}</b></div>{findings}"

    def _head(self) -> str:
        counts = Counter(finding.kind for finding in self.findings)
        return (
            f"Preflight for {self.target.name}: {counts['ok']} in order, "
            f"{counts['attention']} to know about, {counts['blocker']} in the way."
        )


def paragraph(text: str) -> str:
    """Return a line of text as HTML, broken wherever a narrow page asks for it."""
    return f"<div style='{TEXT}'>{escape(text)}</div>"
