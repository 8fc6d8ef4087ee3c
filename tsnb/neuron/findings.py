"""What a preflight found, one thing at a time, and the report of it. Taught in notebook 05."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tsnb.words import say, wrapped

if TYPE_CHECKING:
    from tsnb.neuron.operators import Operators
    from tsnb.neuron.targets import Target

Kind = Literal["ok", "attention", "blocker"]
SYMBOLS: dict[Kind, str] = {"ok": "✓", "attention": "!", "blocker": "✗"}


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
        counts = Counter(finding.kind for finding in self.findings)
        head = say(
            "preflight.head",
            target=self.target.name,
            ok=counts["ok"],
            attention=counts["attention"],
            blocker=counts["blocker"],
        )
        return "\n".join([head, *map(str, self.findings)])

    __repr__ = __str__
