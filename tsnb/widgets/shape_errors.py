"""The shape-error explorer: which shapes a trace takes, and what is wrong with the others.

Taught in notebook 02.
"""

from __future__ import annotations

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
from tsnb.widgets.base import LABELS, RestingButton, View, live_region, row
from tsnb.widgets.event_loop import Steps

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from torch import nn

    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

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


class ShapeErrorState(traitlets.HasTraits):  # type: ignore[misc]  # traitlets is not typed
    """A subject, the verdicts on its shapes so far, the shape that was chosen; prints as text.

    Parameters
    ----------
    yours
        A subject of the reader's own, in front of those of the course.

    Attributes
    ----------
    subject
        A trait: a name in `tsnb.tracing.subjects.SUBJECTS`, or `yours`; a new one is probed at once.
    shown
        The `Subject` of that name, once it is made.
    cells
        A trait: a `Verdict` for each `(batch, length)` probed so far.
    selected
        A trait: the shape that is explained.
    probing, note
        Traits: whether a probe runs, and how far it is.
    steps
        The probe, shape by shape.

    Examples
    --------
    >>> state = ShapeErrorState()
    >>> state.start()
    >>> state.cells[1, 16].kind
    'same'

    Taught in notebook 02.
    """

    subject = traitlets.Unicode()
    cells = traitlets.Dict()
    selected = traitlets.Instance(tuple, allow_none=True)
    probing = traitlets.Bool(default_value=False)
    note = traitlets.Unicode()

    def __init__(self, yours: Subject | None = None) -> None:
        self.makers = dict(SUBJECTS) if yours is None else {YOURS: lambda: yours, **SUBJECTS}
        self.steps = Steps(failed=lambda error: self._end(f"The probe stopped: {error}"))
        self.shown: Subject | None = None
        self._made: dict[str, Subject] = {}
        super().__init__(subject=next(iter(self.makers)))
        self.observe(lambda _: self.start(), "subject")

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
        self.shown = self._made.get(self.subject)
        self.cells, self.selected, self.probing = {}, None, True
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
        self.shown = self._made[self.subject] = self.shown or self.makers[self.subject]()
        shapes = self.shapes
        for shape, verdict in probe_each(self.shown.traced, self.shown.model, shapes):
            self.cells = {**self.cells, shape: verdict}
            self.note = f"{len(self.cells)} of {len(shapes)} shapes probed so far."
            yield
        self._end(f"{len(shapes)} shapes probed.")

    def _end(self, note: str) -> None:
        """Say how it ended, and choose the first shape that raises or is wrong, unless one was chosen."""
        self.probing, self.note = False, note
        if self.selected not in self.shapes:
            kinds = ("raises", "wrong")
            bad = [shape for kind in kinds for shape, verdict in self.cells.items() if verdict.kind == kind]
            traced = [shape for shape in self.cells if self.map and shape == self.map.traced]
            self.selected = next(iter([*bad, *traced, *self.cells]), None)

    def describe(self) -> list[str]:
        """Return what is to say about the chosen shape: a heading, then a sentence or so each."""
        if self.map is None or self.selected is None:
            return ["Click a cell, or move with the arrow keys."]
        verdict = self.cells.get(self.selected)
        heading = f"Batch {self.selected[0]}, length {self.selected[1]}"
        if verdict is None:
            return [heading, "This shape was not probed."]
        here = ["This is the shape that was traced."] * (self.selected == self.map.traced)
        difference = f"{verdict.difference or 0:.2g}"
        if verdict.kind == "raises":
            error = self.map.explain(self.selected)
            where = str(error).partition("\nCause: ")[0].splitlines()
            text = [*where, f"Cause: {error.cause}", f"What to do: {error.advice}"]
        elif verdict.kind == "wrong":
            beyond = f"they differ from the model's by {difference}, and {TOLERANCE:g} is allowed."
            text = [f"Cause: No error, and wrong numbers: {beyond}", f"What to do: {self._advice()}"]
        elif verdict.kind == "same":
            text = [f"Trace and model agree here; the largest difference is {difference}."]
        else:
            text = [str(verdict), "The model cannot run this shape either, so that no trace of it can."]
        return [heading, *here, *text]

    def picture(self) -> str:
        """Return the picture of the chosen shape as SVG: boxes to scale, or the difference."""
        verdict = self.cells.get(self.selected) if self.selected else None
        if verdict is None or self.map is None or self.selected is None:
            return ""
        batch, length = self.map.traced
        traced, words = (batch or 1, length or 1), " ".join(self.describe())
        drawn = svg(shape_boxes(traced, self.selected, self._axis(traced)), words)
        if verdict.kind == "wrong":
            drawn += svg(difference_bar(verdict.difference or 0.0, TOLERANCE), words)
        return drawn

    def __str__(self) -> str:
        return "\n\n".join([str(self.map or ""), self.note, "\n".join(self.describe())]).strip()

    def _advice(self) -> str:
        """Return that a reader should pad to the traced shape, unless that is wrong itself."""
        if not self._fails(self.map.traced if self.map else None):
            return "Do not use this shape. Pad to the traced shape with a mask, or trace once more for this shape."
        return (
            "Not even the traced shape is right, so that padding does not help. Something random or changing was "
            "recorded: dropout, if the model was in training mode. Trace again after model.eval()."
        )

    def _fails(self, shape: object) -> bool:
        """Tell whether a shape was probed and is not the same as the model."""
        return shape in self.cells and self.cells[shape].kind != "same"

    def _axis(self, traced: Shape) -> Any:
        """Return the side of the input that is to blame: by the error, or the one that fails alone."""
        if self.map is None or self.selected is None or not self._fails(self.selected):
            return None
        batch, length = self.selected
        alone = {"batch": (batch, traced[1]), "length": (traced[0], length)}
        bad = [side for side, shape in alone.items() if shape != traced and self._fails(shape)]
        return self.map.explain(self.selected).input_dimension or (bad[0] if len(bad) == 1 else None)


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
    """Show which shapes a trace takes, and explain the one that is chosen.

    Parameters
    ----------
    traced, model
        The reader's own trace and its model; without them the explorer starts on BERT.
    lengths, batch_sizes
        The shapes to probe for the reader's own trace; by default some small ones, and its own.

    Raises
    ------
    InputError
        A trace without its model or the other way round, something that is neither, or a list of
        sizes that does not rise.

    Examples
    --------
    >>> explorer = ShapeErrorExplorer()
    >>> explorer.state.cells[1, 16].kind
    'same'

    Taught in notebook 02.
    """

    state: ShapeErrorState

    def __init__(
        self,
        traced: Traced | None = None,
        model: nn.Module | None = None,
        lengths: Sequence[int] | None = None,
        batch_sizes: Sequence[int] | None = None,
    ) -> None:
        state = ShapeErrorState(_yours(traced, model, lengths, batch_sizes))
        options = [(LABEL.get(name, name), name) for name in state.makers]
        self.models = Dropdown(options=options, description="model", style=LABELS)
        self.again = Button(description="Probe again", icon="refresh")
        self.stopper = RestingButton(description="Stop", icon="stop", resting=True)
        self.note, self.legend, self.detail = live_region(), HTML(), live_region()
        self.grid = VerdictGrid()
        controls = row(self.models, self.again, self.stopper, self.note)
        super().__init__(state, controls, self.grid, self.legend, self.detail)
        traitlets.link((state, "subject"), (self.models, "value"))
        traitlets.dlink((state, "note"), (self.note, "value"), escape)
        self.again.on_click(lambda _: state.start())
        self.stopper.on_click(lambda _: state.stop())
        self.grid.observe(self._chosen, "selected")
        state.observe(lambda _: self._draw_grid(), ["cells", "probing"])
        state.observe(lambda _: self._draw_detail(), ["selected", "cells"])
        state.start()

    def html(self) -> str:
        """Return the map as a table, how far it is, and what is said of the chosen shape."""
        table = self.state.map._repr_html_() if self.state.map else ""
        return f"{table}{_paragraph(self.state.note)}{self.detail.value}"

    def _chosen(self, change: Any) -> None:
        self.state.selected = tuple(change.new) or None

    def _draw_grid(self) -> None:
        """Show the verdicts so far; the button that stops the probe rests where none runs."""
        state, verdicts = self.state, self.state.map
        self.stopper.resting = not state.probing
        if verdicts is None or state.shown is None:  # another model is being made
            self.grid.marks, self.legend.value = {}, ""
            return
        self.grid.rows, self.grid.columns = list(state.shown.batch_sizes), list(state.shown.lengths)
        self.grid.traced = list(verdicts.traced)
        self.grid.marks = {
            f"{batch},{length}": {
                "kind": verdict.kind,
                "symbol": verdict.symbol,
                "label": f"batch {batch}, length {length}: {verdict}",
            }
            for (batch, length), verdict in verdicts.items()
        }
        self.legend.value = f"<span style='white-space: pre-wrap'>{verdicts.legend()}</span>"

    def _draw_detail(self) -> None:
        self.grid.selected = list(self.state.selected or ())
        heading, *sentences = self.state.describe()
        text = "".join(map(_paragraph, sentences))
        self.detail.value = f"<div><b>{escape(heading)}</b></div>{self.state.picture()}{text}"


def _yours(
    traced: Traced | None, model: nn.Module | None, lengths: Sequence[int] | None, batch_sizes: Sequence[int] | None
) -> Subject | None:
    """Return the reader's own subject, or say what is wrong with it before anything runs."""
    if traced is None and model is None:
        return None
    if traced is None or model is None:
        alone = "the trace" if model is None else "the model"
        raise InputError(
            f"Expected a trace and the model that it was made from; got {alone} alone. Give both, with "
            "traced = tsnb.trace(model, inputs): ShapeErrorExplorer(traced, model)."
        )
    own, model = checked_traced(traced).contract, checked_module(model)
    if lengths is None:
        lengths = sorted({*LENGTHS, own.length or LENGTHS[0]})
    if batch_sizes is None:
        batch_sizes = sorted({*BATCH_SIZES, own.batch_size or BATCH_SIZES[0]})
    grid(lengths, batch_sizes)
    return Subject(traced, model, tuple(lengths), tuple(batch_sizes))


def _paragraph(text: str) -> str:
    """Return a sentence as HTML, with the words that say what it is about in bold."""
    words, _, rest = text.partition(": ")
    about = words in ("Where", "Cause", "What to do")
    marked = f"<b>{words}:</b> {escape(rest)}" if about else escape(text)
    return f"<p style='margin: 4px 0; line-height: 1.4; overflow-wrap: anywhere'>{marked}</p>"
