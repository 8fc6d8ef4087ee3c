"""The max-length chooser: a length from the reader's own texts, and what it costs.

Taught in notebook 02.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from ipywidgets import HTML, Button, IntSlider, Label, Layout

from tsnb.base.errors import InputError
from tsnb.base.tables import listed
from tsnb.figures import bucket_plan, length_histogram, svg
from tsnb.inference.latency import Latency, latency_steps
from tsnb.lengths.lengths import Geometry, checked, length_report, plan_buckets, presets, rounded_up
from tsnb.tracing.inputs import max_positions, positive_int
from tsnb.tracing.traced import checked_module, checked_traced
from tsnb.widgets.base import View, WholeNumber, figures, number_control, row
from tsnb.widgets.event_loop import Steps

if TYPE_CHECKING:
    from torch import nn

    from tsnb.lengths.lengths import Lengths
    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

MOST_ROWS, MOST_BUCKETS = 64, 8
REST = 0.3  # seconds without another choice until a latency is measured


class MaxLengthChooser(View):
    """Choose a max length, and see what it cuts, pads, costs and takes on this machine.

    Nothing waits for a choice, and later cells read `value`. Latency is measured between cells, with a
    model or a trace. Prints as text with every figure.

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
    value, batch_size, buckets
        What is chosen at first; see the traits.

    Attributes
    ----------
    value
        A trait: the max length, in tokens; at first the 95th percentile, rounded up to a multiple
        of 8, within the limit.
    batch_size
        A trait: rows of a batch, for the latency.
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
        No lengths, a limit below 1, what is no model or no trace, or a choice outside its range; also when a
        trait is set.

    Examples
    --------
    >>> chooser = MaxLengthChooser([5, 9, 12, 30], limit=64)
    >>> chooser.value, chooser.report.cut_tokens
    (32, 0)
    >>> chooser.value = 10
    >>> chooser.report.cut_tokens
    22

    Taught in notebook 02.
    """

    value: Any = WholeNumber()
    batch_size: Any = WholeNumber()
    buckets: Any = WholeNumber()
    latency = traitlets.Any()
    steps: Steps

    def __init__(  # noqa: PLR0913, each choice is to be seen in the signature
        self,
        lengths: Lengths,
        *,
        limit: int | None = None,
        model: nn.Module | None = None,
        traced: Traced | None = None,
        value: int | None = None,
        batch_size: int = 8,
        buckets: int = 1,
    ) -> None:
        self.lengths, self.model, self.traced = checked(lengths), model, traced
        self.measured, self.geometry = model is not None or traced is not None, None
        if traced is not None:
            limit = checked_traced(traced).contract.max_positions if limit is None else limit
        if model is not None:
            limit = max_positions(checked_module(model)) if limit is None else limit
            with suppress(InputError):  # no Transformers model, or one without sizes: the cost counts tokens
                self.geometry = Geometry.of(model)
        longest = int(self.lengths.max()) if limit is None else positive_int("limit", limit)
        self.top = {"value": longest, "batch_size": MOST_ROWS, "buckets": MOST_BUCKETS}
        if value is None:
            value = min(rounded_up(np.percentile(self.lengths, 95)), longest)
        self.value, self.batch_size, self.buckets = value, batch_size, buckets
        self.steps = Steps(failed=lambda error: self.set_trait("latency", error))
        self._latencies: dict[Shape, Latency] = {}
        slider = number_control(self, "value", "Longest text that is kept whole, in tokens", IntSlider, "480px")
        slider.description = "max length"
        self.controls = {
            "value": slider,
            "batch_size": number_control(self, "batch_size", "Texts in a batch, for the latency"),
            "buckets": number_control(self, "buckets", "How many lengths texts are padded to"),
        }
        marks = presets(self.lengths, limit)
        self.presets = {name: length for name, length in marks.items() if length <= longest}
        self.buttons = {name: Button(layout=Layout(width="max-content")) for name in self.presets}
        for name, button in self.buttons.items():
            button.tooltip = f"Set the max length to {self.presets[name]:,} tokens"
            button.on_click(lambda _, length=self.presets[name]: setattr(self, "value", length))
        self.picture, self.plan, self.numbers = HTML(), HTML(), HTML()
        rows = row(*self.controls.values()), row(Label("presets"), *self.buttons.values())
        super().__init__(*rows, self.picture, self.plan, self.numbers)
        self.observe(self._draw, ["value", "buckets"])
        self.observe(self._measure, ["value", "batch_size"])
        self.observe(self._draw_numbers, ["latency", "batch_size"])
        self._draw()
        self._measure()

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
        note = str(self.latency or ("not measured yet" if self.measured else "no model given"))
        if isinstance(self.latency, Exception):
            *_, last = ("", *note.strip().splitlines())
            note = f"not measured: {last or type(self.latency).__name__}"
        pairs.append(("latency at max length", note))
        if isinstance(self.latency, Latency):
            rate = self.batch_size / self.latency.median
            pairs.append(("throughput at max length", f"{rate:,.0f} texts a second"))
        return pairs

    def __repr__(self) -> str:
        return "\n".join(f"{label}: {text}" for label, text in self.figures())

    def _fit(self) -> str:
        return _share(self.report.texts - self.report.cut_texts, self.report.texts)

    def _measure(self, _: object = None) -> None:
        """Show the latency if it is known, or have it measured when no other choice follows."""
        shape = (self.batch_size, self.value)
        self.steps.cancel()
        self.latency = self._latencies.get(shape)
        if self.latency is None and self.measured:
            self.steps.start(self._latency_steps(shape), after=REST)

    def _latency_steps(self, shape: Shape) -> Generator[None, None, None]:
        self._latencies[shape] = yield from latency_steps(shape, model=self.model, traced=self.traced)
        self.latency = self._latencies[shape]

    def _draw(self, _: object = None) -> None:
        """Plan the buckets, and bring pictures, presets and figures to the choice."""
        cut = np.minimum(self.lengths, self.value)
        several = self.buckets > 1
        self.edges = plan_buckets(cut, self.buckets, geometry=self.geometry) if several else [self.value]
        self.report = length_report(self.lengths, self.value, buckets=self.edges, geometry=self.geometry)
        for name, button in self.buttons.items():
            length, label = self.presets[name], "model limit" if name == "limit" else name
            button.description = f"{'●' if length == self.value else '○'} {label} {length:,}"
        words = f"Histogram of the lengths in tokens. A line at {self.value:,} keeps {self._fit()} texts whole."
        self.picture.value = svg(length_histogram(self.lengths, self.value, self.presets), words)
        bars = f"Bars of the tokens that are computed for the texts padded to each of {listed(self.edges)}."
        self.plan.value = svg(bucket_plan(cut, self.edges), bars) if several else ""
        self._draw_numbers()

    def _draw_numbers(self, _: object = None) -> None:
        self.numbers.value = figures(self.figures())


def _share(part: int, whole: int) -> str:
    """Return a number, what it is a part of, and its share."""
    return f"{part:,} of {whole:,} ({part / whole:.1%})"
