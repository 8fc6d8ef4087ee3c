"""What the max-length chooser knows: lengths, the choice, and what it costs, without a browser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from tsnb.base.errors import InputError
from tsnb.base.tables import listed
from tsnb.base.words import say
from tsnb.figures import bucket_plan, length_histogram
from tsnb.inference.latency import QUIET, Latency, Newest
from tsnb.lengths.lengths import checked, length_report, plan_buckets, presets
from tsnb.tracing.inputs import is_positive_int

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from tsnb.lengths.lengths import Geometry, Lengths
    from tsnb.tracing.contract import Shape

    Measure = Callable[[Shape, Callable[[], None]], Latency]

MOST_ROWS, MOST_BUCKETS = 64, 8
STEP = 8  # max lengths are rounded up to multiples of it, which hardware likes


class MaxLengthState(traitlets.HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """A max length, a batch size and a number of buckets, with what they cost; prints as text.

    Parameters
    ----------
    lengths
        Tokens of each text, special tokens included.
    limit
        The model's position limit, in tokens, if it has one.
    geometry
        The model's size, for the cost.
    measure
        Called in the background with `(batch, length)` and a checkpoint; gives a `Latency`.
    value, batch_size, buckets
        What is chosen at first; see the traits.
    quiet
        Seconds without a change until a latency is measured.

    Attributes
    ----------
    value
        A trait: the max length, in tokens; at first the 95th percentile, rounded up to a multiple
        of 8, within the limit.
    batch_size
        A trait: rows of a batch.
    buckets
        A trait: how many lengths texts are padded to.
    latency
        A trait: the `Latency` of the batch size and max length, the error that measuring it gave,
        or `None` while there is none.
    report
        What the choice costs, a `LengthReport`.
    edges
        The lengths that texts are padded to: the best ones, after the cut at the max length.

    Raises
    ------
    InputError
        No lengths, a limit below 1, or a choice outside its range; also when a trait is set.

    Examples
    --------
    >>> state = MaxLengthState([5, 9, 12, 30], limit=64)
    >>> state.value, state.report.cut_tokens
    (32, 0)
    >>> state.value = 10
    >>> state.report.cut_tokens
    22

    Taught in notebook 02.
    """

    value = traitlets.Any()  # an int; `check` says more than traitlets' own Int would
    batch_size = traitlets.Any()
    buckets = traitlets.Any()
    latency = traitlets.Any()

    def __init__(  # noqa: PLR0913, each choice is to be seen in the signature
        self,
        lengths: Lengths,
        *,
        limit: int | None = None,
        geometry: Geometry | None = None,
        measure: Measure | None = None,
        value: int | None = None,
        batch_size: int = 8,
        buckets: int = 1,
        quiet: float = QUIET,
    ) -> None:
        super().__init__()
        if limit is not None and not is_positive_int(limit):
            raise InputError(f"The limit must be at least 1 token; got {limit}.")
        self.lengths, self.geometry = checked(lengths), geometry
        longest = limit or int(self.lengths.max())
        self.top = {"value": longest, "batch_size": MOST_ROWS, "buckets": MOST_BUCKETS}
        known = presets(self.lengths, limit)
        self.presets = {name: held for name, held in known.items() if 1 <= held <= longest}
        self._latencies: dict[Shape, Latency] = {}
        self._newest = Newest(measure, self._told, quiet) if measure else None
        self.batch_size, self.buckets = batch_size, buckets
        self.value = self._sensible() if value is None else value
        self.observe(self._count, ["value", "buckets"])
        self.observe(self._ask, ["value", "batch_size"])
        self._count()
        self._ask()

    def check(self, name: str, given: Any) -> int:
        """Return a choice as an int, or raise an InputError where it is outside its range."""
        if not is_positive_int(given) or int(given) > self.top[name]:
            raise InputError(f"{name} must be a whole number from 1 to {self.top[name]}; got {given}.")
        return int(given)

    def histogram(self) -> tuple[Figure, str]:
        """Return the lengths with the max length as a figure, and that in words."""
        figure = length_histogram(self.lengths, self.value, self.presets)
        return figure, (
            "Histogram of the texts' lengths in tokens, with a line at the max length, "
            f"{self.value:,}. It keeps {self._fit()} whole."
        )

    def plan(self) -> tuple[Figure, str]:
        """Return what is computed in each bucket as a figure, and that in words."""
        figure = bucket_plan(np.minimum(self.lengths, self.value), self.edges)
        return figure, (
            f"Bars of the tokens that are computed for the texts padded to each of {listed(self.edges)}."
        )

    @property
    def measuring(self) -> bool:
        """Whether the latency is still to be measured."""
        return self._newest is not None and self.latency is None

    def figures(self, *, settled: bool = False) -> list[tuple[str, str]]:
        """Return every figure: a label, and what it stands at; if `settled`, none yet to come."""
        report = self.report
        told = {
            "value": f"{self.value:,} tokens",
            "fit": self._fit(),
            "cut": _share(report.cut_tokens, int(self.lengths.sum())),
            "padding": f"{report.padding_share:.1%} of what is computed",
            "cost": f"× {report.relative_cost:.2f}",
            "edges": listed(self.edges) if self.buckets > 1 else "",
            "latency": "" if settled and self.measuring else self.latency_text(),
            "rate": self._rate(),
        }
        return [(say(f"chooser.label-{name}"), text) for name, text in told.items() if text]

    def latency_text(self) -> str:
        """Return the latency in words; before it is measured, that it is being measured."""
        if self._newest is None:
            return "no model given"
        if self.measuring:
            return "measuring…"
        if isinstance(self.latency, Latency):
            return str(self.latency)
        why = str(self.latency).strip().splitlines() or [type(self.latency).__name__]
        return f"not measured: {why[-1]}"

    def close(self) -> None:
        """Measure no more."""
        if self._newest is not None:
            self._newest.close()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the latency is measured."""
        if self._newest is not None:
            self._newest.join(timeout)

    def __str__(self) -> str:
        return "\n".join(f"{label}: {text}" for label, text in self.figures())

    @traitlets.validate("value", "batch_size", "buckets")  # type: ignore[untyped-decorator]
    def _in_range(self, proposal: Any) -> int:
        return self.check(proposal.trait.name, proposal.value)

    def _sensible(self) -> int:
        """Return the 95th percentile, rounded up to a multiple of 8, within the range."""
        percentile = float(np.percentile(self.lengths, 95))
        return min(STEP * math.ceil(percentile / STEP), self.top["value"])

    def _rate(self) -> str:
        """Return how many texts a second the latency makes, or nothing before it is measured."""
        if not isinstance(self.latency, Latency):
            return ""
        return f"{self.batch_size / self.latency.median:,.0f} texts a second"

    def _fit(self) -> str:
        report = self.report
        return _share(report.texts - report.cut_texts, report.texts)

    def _count(self, _: object = None) -> None:
        """Plan the buckets and report what the choice costs."""
        cut = np.minimum(self.lengths, self.value)
        options = {"geometry": self.geometry}
        self.edges = plan_buckets(cut, self.buckets, **options) if self.buckets > 1 else [self.value]
        self.report = length_report(self.lengths, self.value, buckets=self.edges, **options)

    def _ask(self, _: object = None) -> None:
        """Show the latency if it is known, or have it measured."""
        if self._newest is None:
            return
        shape = (self.batch_size, self.value)
        self.latency = self._latencies.get(shape)
        if self.latency is None:
            self._newest.ask(shape)
        else:
            self._newest.forget()

    def _told(self, shape: Shape, found: Latency | Exception) -> None:
        """Keep what was measured, and show it if it is still what is chosen; runs in a thread."""
        if isinstance(found, Latency):
            self._latencies[shape] = found
        if shape == (self.batch_size, self.value):
            self.latency = found


def _share(part: int, whole: int) -> str:
    """Return a number, what it is a part of, and its share."""
    return f"{part:,} of {whole:,} ({part / whole:.1%})"
