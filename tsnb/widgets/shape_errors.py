"""The shape-error explorer: which shapes a trace takes, and what is wrong with the others.

Taught in notebook 02.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from ipywidgets import HTML, Button, Dropdown

from tsnb.base.errors import InputError
from tsnb.figures import difference_bar, shape_boxes, svg
from tsnb.tracing.compare import TOLERANCE
from tsnb.tracing.probe import ShapeMap, grid, probe_each
from tsnb.tracing.subjects import SUBJECTS, Subject
from tsnb.tracing.traced import checked_module, checked_traced
from tsnb.widgets.base import LABELS, View, live_region, row
from tsnb.widgets.event_loop import Steps

if TYPE_CHECKING:
    from torch import nn

    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

RESTING = "tsnb-resting"  # a class that access.js knows; a disabled button would lose the keyboard's focus
LENGTHS, BATCH_SIZES = (8, 16, 32, 64, 128), (1, 2, 3)
YOURS = "yours"
LABEL = {
    YOURS: "your trace",
    "bert": "BERT (tiny-bert)",
    "int-mask": "trap: an int in a mask",
    "position-loop": "trap: a loop over positions",
    "baked-dropout": "trap: traced in training mode",
    "funnel": "Funnel (random weights)",
    "longformer": "Longformer (random weights)",
}


PAD = "Do not use this shape. Pad to the traced shape with a mask, or trace once more for this shape."
RANDOM = "Even the traced shape is wrong: something random was recorded, such as dropout. Trace after model.eval()."


class VerdictGrid(anywidget.AnyWidget):
    """A grid of verdicts in the browser; a click or the arrow keys set `selected`."""

    _esm = Path(__file__).parent / "grid.js"
    _css = Path(__file__).parent / "grid.css"
    rows = traitlets.List(traitlets.Int()).tag(sync=True)
    columns = traitlets.List(traitlets.Int()).tag(sync=True)
    marks = traitlets.Dict().tag(sync=True)
    traced = traitlets.List().tag(sync=True)
    selected = traitlets.List().tag(sync=True)


class ShapeErrorExplorer(View):
    """Show which shapes a trace takes, and explain the one that is chosen; prints as text.

    Parameters
    ----------
    traced, model
        The reader's own trace and its model, in front of those of the course; without them the explorer
        starts on BERT.
    lengths, batch_sizes
        The shapes to probe for the reader's own trace; by default some small ones, and its own.

    Attributes
    ----------
    models
        The control whose `value` is a name in `tsnb.tracing.subjects.SUBJECTS`, or `yours`; a new one is probed
        at once.
    shown
        The `Subject` of that name, once it is made.
    cells
        A trait: a `Verdict` for each `(batch, length)` probed so far.
    selected
        A trait: the shape that is explained.
    note
        A trait: how far the probe is.
    steps
        The probe, shape by shape.

    Raises
    ------
    InputError
        A trace without its model or the other way round, something that is neither, or a list of
        sizes that does not rise.

    Examples
    --------
    >>> explorer = ShapeErrorExplorer()
    >>> explorer.cells[1, 16].kind
    'same'

    Taught in notebook 02.
    """

    cells = traitlets.Dict()
    selected = traitlets.Instance(tuple, allow_none=True)
    note = traitlets.Unicode()
    steps: Steps

    def __init__(
        self,
        traced: Traced | None = None,
        model: nn.Module | None = None,
        lengths: Sequence[int] | None = None,
        batch_sizes: Sequence[int] | None = None,
    ) -> None:
        yours = _yours(traced, model, lengths, batch_sizes)
        self.makers = dict(SUBJECTS) if yours is None else {YOURS: lambda: yours, **SUBJECTS}
        self.steps = Steps(failed=lambda error: self._end(f"The probe stopped: {error}"))
        self.shown: Subject | None = None
        self._made: dict[str, Subject] = {}
        options = [(LABEL.get(name, name), name) for name in self.makers]
        self.models = Dropdown(options=options, description="model", style=LABELS)
        self.again = Button(description="Probe again", icon="refresh")
        self.stopper = Button(description="Stop", icon="stop")
        self.status, self.legend, self.detail = live_region(), HTML(), live_region()
        self.grid = VerdictGrid()
        controls = row(self.models, self.again, self.stopper, self.status)
        super().__init__(controls, self.grid, self.legend, self.detail)
        traitlets.dlink((self, "note"), (self.status, "value"), escape)
        self.again.on_click(lambda _: self.start())
        self.stopper.on_click(lambda _: self.stop())
        self.grid.observe(lambda change: self.set_trait("selected", tuple(change.new) or None), "selected")
        self.models.observe(lambda _: self.start(), "value")
        self.observe(lambda _: self._draw_grid(), "cells")
        self.observe(lambda _: self._draw_detail(), ["selected", "cells"])
        self.start()

    @property
    def shapes(self) -> list[Shape]:
        """The shapes to probe, a row a batch size."""
        return grid(self.shown.lengths, self.shown.batch_sizes) if self.shown else []

    @property
    def map(self) -> ShapeMap | None:
        """The verdicts so far as a `ShapeMap`."""
        return ShapeMap(dict(self.cells), self.shown.traced.contract, TOLERANCE) if self.shown else None

    def start(self) -> None:
        """Begin to probe, in place of a probe that runs."""
        self.steps.cancel()
        self.shown = self._made.get(self.models.value)
        self.cells, self.selected = {}, None
        self.stopper.remove_class(RESTING)
        self.note = "" if self.shown else "Making the model and its trace, which may take some seconds."
        self.steps.start(self._probe())

    def stop(self) -> None:
        """Stop to probe; the verdicts so far stay."""
        if self.steps.running:
            self.steps.cancel()
            self._end(f"Stopped after {len(self.cells)} of {len(self.shapes)} shapes.")

    def _probe(self) -> Generator[None, None, None]:
        """Make the subject, and look at a shape a step."""
        yield  # so that the note on what comes is seen before
        self.shown = self._made[self.models.value] = self.shown or self.makers[self.models.value]()
        shapes = self.shapes
        for shape, verdict in probe_each(self.shown.traced, self.shown.model, shapes):
            self.cells = {**self.cells, shape: verdict}
            self.note = f"{len(self.cells)} of {len(shapes)} shapes probed so far."
            yield
        self._end(f"{len(shapes)} shapes probed.")

    def _end(self, note: str) -> None:
        """Say how it ended, and choose the first shape that raises or is wrong, unless one was chosen."""
        self.stopper.add_class(RESTING)
        self.note = note
        if (verdicts := self.map) and self.selected not in self.shapes:
            bad = verdicts.of_kind("raises") + verdicts.of_kind("wrong")
            traced = [verdicts.traced] * (verdicts.traced in verdicts)
            self.selected = next(iter([*bad, *traced, *verdicts]), None)

    def describe(self) -> list[str]:
        """Return what is to say about the chosen shape: a heading, then a sentence or so each."""
        if (verdicts := self.map) is None or self.selected is None:
            return ["Click a cell, or move with the arrow keys."]
        heading, verdict = "Batch {}, length {}".format(*self.selected), self.cells.get(self.selected)
        if verdict is None:
            return [heading, "This shape was not probed."]
        here = ["This is the shape that was traced."] * (self.selected == verdicts.traced)
        difference = f"{verdict.difference or 0:.2g}"
        if verdict.kind == "raises":
            error = verdicts.explain(self.selected)
            where = str(error).partition("\nCause: ")[0].splitlines()
            text = [*where, f"Cause: {error.cause}", f"What to do: {error.advice}"]
        elif verdict.kind == "wrong":
            beyond = f"they differ from the model's by {difference}, and {TOLERANCE:g} is allowed."
            advice = RANDOM if self._fails(verdicts.traced) else PAD
            text = [f"Cause: No error, and wrong numbers: {beyond}", f"What to do: {advice}"]
        elif verdict.kind == "same":
            text = [f"Trace and model agree here; the largest difference is {difference}."]
        else:
            text = [str(verdict), "The model cannot run this shape either, so that no trace of it can."]
        return [heading, *here, *text]

    def picture(self) -> str:
        """Return the picture of the chosen shape as SVG: boxes to scale, or the difference."""
        verdict, verdicts = self.cells.get(self.selected), self.map
        if verdict is None or verdicts is None:
            return ""
        traced, words = (verdicts.traced[0] or 1, verdicts.traced[1] or 1), " ".join(self.describe())
        side: Any = None
        if self._fails(self.selected):  # what the error blames, or the one side that fails alone
            batch, length = self.selected
            alone = {"batch": (batch, traced[1]), "length": (traced[0], length)}
            bad = [side for side, shape in alone.items() if shape != traced and self._fails(shape)]
            side = verdicts.explain(self.selected).input_dimension or (bad[0] if len(bad) == 1 else None)
        drawn = svg(shape_boxes(traced, self.selected, side), words)
        if verdict.kind == "wrong":
            drawn += svg(difference_bar(verdict.difference or 0.0, TOLERANCE), words)
        return drawn

    def _fails(self, shape: object) -> bool:
        """Tell whether a shape was probed and is not the same as the model."""
        return shape in self.cells and self.cells[shape].kind != "same"

    def __repr__(self) -> str:
        return "\n\n".join([str(self.map or ""), self.note, "\n".join(self.describe())]).strip()

    def html(self) -> str:
        """Return the map as a table, how far it is, and what is said of the chosen shape."""
        table = self.map._repr_html_() if self.map else ""
        return f"{table}{_paragraph(self.note)}{self.detail.value}"

    def _draw_grid(self) -> None:
        """Show the verdicts so far."""
        verdicts = self.map
        if verdicts is None or self.shown is None:  # another model is being made
            self.grid.marks, self.legend.value = {}, ""
            return
        self.grid.rows, self.grid.columns = list(self.shown.batch_sizes), list(self.shown.lengths)
        self.grid.traced = list(verdicts.traced)
        label = "batch {}, length {}: {}".format
        self.grid.marks = {
            f"{batch},{length}": {"kind": each.kind, "symbol": each.symbol, "label": label(batch, length, each)}
            for (batch, length), each in verdicts.items()
        }
        self.legend.value = f"<span style='white-space: pre-wrap'>{verdicts.legend()}</span>"

    def _draw_detail(self) -> None:
        self.grid.selected = list(self.selected or ())
        heading, *sentences = self.describe()
        text = "".join(map(_paragraph, sentences))
        self.detail.value = f"<div><b>{escape(heading)}</b></div>{self.picture()}{text}"


def _yours(
    traced: Traced | None, model: nn.Module | None, lengths: Sequence[int] | None, batch_sizes: Sequence[int] | None
) -> Subject | None:
    """Return the reader's own subject, or say what is wrong with it before anything runs."""
    if traced is None and model is None:
        return None
    if traced is None or model is None:
        alone = "the trace" if model is None else "the model"
        todo = "Give both, with traced = tsnb.trace(model, inputs): ShapeErrorExplorer(traced, model)."
        raise InputError(f"Expected a trace and the model that it was made from; got {alone} alone. {todo}")
    own, model = checked_traced(traced).contract, checked_module(model)
    lengths = sorted({*LENGTHS, own.length or LENGTHS[0]}) if lengths is None else lengths
    batch_sizes = sorted({*BATCH_SIZES, own.batch_size or BATCH_SIZES[0]}) if batch_sizes is None else batch_sizes
    grid(lengths, batch_sizes)
    return Subject(traced, model, tuple(lengths), tuple(batch_sizes))


def _paragraph(text: str) -> str:
    """Return a sentence as HTML, with the words that say what it is about in bold."""
    words, _, rest = text.partition(": ")
    about = words in ("Where", "Cause", "What to do")
    marked = f"<b>{words}:</b> {escape(rest)}" if about else escape(text)
    return f"<p style='margin: 4px 0; line-height: 1.4; overflow-wrap: anywhere'>{marked}</p>"
