"""The max-length chooser: a length from the reader's own texts, and what it costs.

Taught in notebook 02.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from ipywidgets import HTML, Button, IntSlider, Label, Layout

from tsnb.base.errors import InputError
from tsnb.base.tables import listed
from tsnb.figures import bucket_plan, length_histogram, svg
from tsnb.inference.latency import Latency, latency_steps
from tsnb.lengths.lengths import Geometry, checked, length_report, plan_buckets, presets
from tsnb.tracing.inputs import is_positive_int, max_positions
from tsnb.tracing.traced import checked_module, checked_traced
from tsnb.widgets.base import View, WholeNumber, figures, number_control, row
from tsnb.widgets.event_loop import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from matplotlib.figure import Figure
    from torch import nn

    from tsnb.lengths.lengths import Lengths
    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

    Measure = Callable[[Shape], Generator[None, None, Latency]]

MOST_ROWS, MOST_BUCKETS = 64, 8
MULTIPLE = 8  # the first max length is rounded up to a multiple of it, which hardware likes
REST = 0.3  # seconds without another choice until a latency is measured
CHOSEN, OTHER = "●", "○"  # before a preset, equally wide


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
        Gives the steps that measure a `(batch, length)`, such as those of `latency_steps`.
    value, batch_size, buckets
        What is chosen at first; see the traits.

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
        A trait: the `Latency` of the batch size and max length, the error that measuring it raised,
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

    value: Any = WholeNumber()
    batch_size: Any = WholeNumber()
    buckets: Any = WholeNumber()
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
    ) -> None:
        super().__init__()
        if limit is not None and not is_positive_int(limit):
            raise InputError(f"The limit must be at least 1 token; got {limit}.")
        self.lengths, self.geometry, self.measure = checked(lengths), geometry, measure
        longest = limit or int(self.lengths.max())
        self.top = {"value": longest, "batch_size": MOST_ROWS, "buckets": MOST_BUCKETS}
        marks = presets(self.lengths, limit)
        self.presets = {name: length for name, length in marks.items() if length <= longest}
        if value is None:
            percentile = float(np.percentile(self.lengths, 95))
            value = min(MULTIPLE * math.ceil(percentile / MULTIPLE), longest)
        self.value, self.batch_size, self.buckets = value, batch_size, buckets
        self.steps = Steps(failed=lambda error: self.set_trait("latency", error))
        self._latencies: dict[Shape, Latency] = {}
        self._count()
        self._measure()
        self.observe(self._count, ["value", "buckets"])
        self.observe(self._measure, ["value", "batch_size"])

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
        return figure, (f"Bars of the tokens that are computed for the texts padded to each of {listed(self.edges)}.")

    def figures(self) -> list[tuple[str, str]]:
        """Return every figure: a label, and what it stands at."""
        report = self.report
        pairs = [
            ("max length", f"{self.value:,} tokens"),
            ("texts that fit", self._fit()),
            ("tokens cut", _share(report.cut_tokens, int(self.lengths.sum()))),
            ("padding", f"{report.padding_share:.1%} of what is computed"),
            ("cost, no padding = 1", f"× {report.relative_cost:.2f}"),
        ]
        if self.buckets > 1:
            pairs.append(("bucket edges", listed(self.edges)))
        pairs.append(("latency at max length", self._latency()))
        if isinstance(self.latency, Latency):
            rate = self.batch_size / self.latency.median
            pairs.append(("throughput at max length", f"{rate:,.0f} texts a second"))
        return pairs

    def __str__(self) -> str:
        return "\n".join(f"{label}: {text}" for label, text in self.figures())

    def _fit(self) -> str:
        return _share(self.report.texts - self.report.cut_texts, self.report.texts)

    def _latency(self) -> str:
        """Return the latency in words, or why there is none."""
        if self.measure is None:
            return "no model given"
        if self.latency is None:
            return "not measured yet"
        if isinstance(self.latency, Latency):
            return str(self.latency)
        *_, last = ("", *str(self.latency).strip().splitlines())
        return f"not measured: {last or type(self.latency).__name__}"

    def _count(self, _: object = None) -> None:
        """Plan the buckets and report what the choice costs."""
        cut = np.minimum(self.lengths, self.value)
        several = self.buckets > 1
        self.edges = plan_buckets(cut, self.buckets, geometry=self.geometry) if several else [self.value]
        self.report = length_report(self.lengths, self.value, buckets=self.edges, geometry=self.geometry)

    def _measure(self, _: object = None) -> None:
        """Show the latency if it is known, or have it measured when no other choice follows."""
        shape = (self.batch_size, self.value)
        self.steps.cancel()
        self.latency = self._latencies.get(shape)
        if self.latency is None and self.measure is not None:
            self.steps.start(self._latency_steps(self.measure, shape), after=REST)

    def _latency_steps(self, measure: Measure, shape: Shape) -> Generator[None, None, None]:
        self._latencies[shape] = yield from measure(shape)
        self.latency = self._latencies[shape]


class MaxLengthChooser(View):
    """Choose a max length, and see what it cuts, pads, costs and takes on this machine.

    Nothing waits for a choice: `value` is the 95th percentile at first, rounded up to a multiple of
    8, and later cells read it. Latency is measured between cells, with a model or a trace.
    Prints as text with every figure.

    Parameters
    ----------
    lengths
        Tokens of each text, special tokens included; see `tsnb.token_lengths`.
    limit
        The position limit, in tokens; by default that of the model or the trace.
    model
        Measured, if there is no trace, and asked for its size, which the cost depends on.
    traced
        The trace to measure.
    **choices
        `value`, `batch_size` and `buckets` to begin with; see `MaxLengthState`.

    Attributes
    ----------
    value
        A trait: the max length that is chosen.

    Raises
    ------
    InputError
        No lengths, a limit below 1, a choice outside its range, or what is no model or no trace.

    Examples
    --------
    >>> chooser = MaxLengthChooser([5, 9, 12, 30], limit=64)
    >>> chooser.value
    32

    Taught in notebook 02.
    """

    state: MaxLengthState
    value: Any = WholeNumber()

    def __init__(
        self,
        lengths: Lengths,
        *,
        limit: int | None = None,
        model: nn.Module | None = None,
        traced: Traced | None = None,
        **choices: Any,
    ) -> None:
        geometry = measure = None
        if traced is not None:
            limit = checked_traced(traced).contract.max_positions if limit is None else limit
        if model is not None:
            limit = max_positions(checked_module(model)) if limit is None else limit
            try:
                geometry = Geometry.of(model)
            except InputError:  # no Transformers model, or one without sizes: the cost counts tokens
                geometry = None
        if model is not None or traced is not None:
            measure = partial(latency_steps, model=model, traced=traced)
        state = MaxLengthState(lengths, limit=limit, geometry=geometry, measure=measure, **choices)
        self.top = state.top
        self.slider = number_control(state, "value", "Longest text that is kept whole, in tokens", IntSlider, "480px")
        self.slider.description = "max length"
        self.batch_size = number_control(state, "batch_size", "Texts in a batch, for the latency")
        self.buckets = number_control(state, "buckets", "How many lengths texts are padded to")
        self.presets = {name: Button(layout=Layout(width="max-content")) for name in state.presets}
        for name, button in self.presets.items():
            button.tooltip = f"Set the max length to {state.presets[name]:,} tokens"
            button.on_click(lambda _, length=state.presets[name]: setattr(self, "value", length))
        self.picture, self.plan, self.numbers = HTML(), HTML(), HTML()
        controls = row(self.slider, self.batch_size, self.buckets)
        presets_row = row(Label("presets"), *self.presets.values())
        super().__init__(state, controls, presets_row, self.picture, self.plan, self.numbers)
        traitlets.link((state, "value"), (self, "value"))
        state.observe(lambda _: self.draw(), ["value", "buckets"])
        state.observe(lambda _: self.draw_numbers(), ["latency", "batch_size"])
        self.draw()

    def draw(self) -> None:
        """Bring the pictures, the presets and the figures to what the state is now."""
        state = self.state
        for name, button in self.presets.items():
            length = state.presets[name]
            label = "model limit" if name == "limit" else name
            button.description = f"{CHOSEN if length == state.value else OTHER} {label} {length:,}"
        self.picture.value = svg(*state.histogram())
        self.plan.value = svg(*state.plan()) if state.buckets > 1 else ""
        self.draw_numbers()

    def draw_numbers(self) -> None:
        """Bring the figures alone to what the state is now: a latency came in."""
        self.numbers.value = figures(self.state.figures())


def _share(part: int, whole: int) -> str:
    """Return a number, what it is a part of, and its share."""
    return f"{part:,} of {whole:,} ({part / whole:.1%})"
