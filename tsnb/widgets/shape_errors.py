"""The shape-error explorer: which shapes a trace takes, and what is wrong with the others.

Taught in notebook 02.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
from ipywidgets import HTML, Button, Dropdown, IntProgress
from traitlets import Dict, Int, List, Unicode, dlink, link

from tsnb.base.errors import InputError
from tsnb.base.words import say
from tsnb.tracing.probe import grid
from tsnb.tracing.subjects import Subject
from tsnb.tracing.traced import checked_module, checked_traced
from tsnb.widgets.base import LABELS, RestingButton, View, row, said
from tsnb.widgets.shape_error_state import ShapeErrorState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from tsnb.tracing.compare import Verdict
    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

LENGTHS, BATCH_SIZES = (8, 16, 32, 64, 128), (1, 2, 3)
FIRST_WAIT = 2.0  # seconds that showing the explorer may take: small models are probed by then


class VerdictGrid(anywidget.AnyWidget):
    """A grid of verdicts in the browser; a click or the arrow keys set `selected`."""

    _esm = Path(__file__).parent / "grid.js"
    _css = Path(__file__).parent / "grid.css"
    rows = List(Int()).tag(sync=True)
    columns = List(Int()).tag(sync=True)
    marks = Dict().tag(sync=True)
    traced = List().tag(sync=True)
    selected = List().tag(sync=True)
    corner = Unicode().tag(sync=True)
    label = Unicode().tag(sync=True)


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
    >>> explorer.state.wait()
    >>> explorer.state.cells[1, 16].kind
    'same'

    Taught in notebook 02.
    """

    def __init__(
        self,
        traced: Traced | None = None,
        model: nn.Module | None = None,
        lengths: Sequence[int] | None = None,
        batch_sizes: Sequence[int] | None = None,
    ) -> None:
        state = ShapeErrorState(_yours(traced, model, lengths, batch_sizes))
        self._make_parts(state)
        controls = row(self.models, self.again, self.stopper, self.progress, self.note)
        super().__init__(state, controls, self.grid, self.legend, self.detail)
        self._join()
        state.start()
        state.wait(FIRST_WAIT)

    def html(self) -> str:
        """Return the map as a table, and what is said of the chosen shape."""
        table = self.state.map._repr_html_() if self.state.map else ""
        return f"{table}{self.detail.value}"

    def _make_parts(self, state: ShapeErrorState) -> None:
        options = [(say(f"explorer.subject-{name}"), name) for name in state.makers]
        self.models = Dropdown(options=options, value=state.subject, description="model", style=LABELS)
        self.again = Button(description="Probe again", icon="refresh")
        self.stopper = RestingButton(description="Stop", icon="stop", resting=True)
        self.progress = IntProgress(min=0, max=1, layout={"width": "120px"})
        self.note, self.legend, self.detail = said(), HTML(), said()
        self.grid = VerdictGrid(
            corner="batch \\ length",
            label=("Verdicts by batch size and length. Arrow keys move, the words below say what happened."),
        )

    def _join(self) -> None:
        """Let the state follow the controls, and the view the state."""
        link((self.state, "subject"), (self.models, "value"))
        dlink((self.state, "note"), (self.note, "value"))
        self.again.on_click(lambda _: self.state.start())
        self.stopper.on_click(lambda _: self.state.stop())
        self.grid.observe(self._chosen, "selected")
        self.state.observe(lambda _: self._draw_grid(), ["cells", "probing"])
        self.state.observe(lambda _: self._draw_detail(), "selected")
        self.state.observe(self._probed, "cells")

    def _chosen(self, change: Any) -> None:
        self.state.selected = tuple(change["new"]) or None

    def _probed(self, change: Any) -> None:
        """Explain the chosen shape when its verdict comes in."""
        if self.state.selected in change["new"].keys() - change["old"].keys():
            self._draw_detail()

    def _draw_grid(self) -> None:
        """Show the verdicts so far and how far the probe is."""
        state, found = self.state, self.state.map
        self.stopper.resting = not state.probing
        self.progress.max, self.progress.value = max(state.total, 1), len(state.cells)
        self.progress.layout.display = "" if state.probing else "none"
        if found is None or state.held is None:
            return
        self.grid.rows, self.grid.columns = list(state.held.batch_sizes), list(state.held.lengths)
        self.grid.traced = list(found.traced)
        self.grid.marks = {f"{shape[0]},{shape[1]}": _mark(shape, found[shape]) for shape in found}
        self.legend.value = f"<span style='white-space: pre-wrap'>{found.legend()}</span>"

    def _draw_detail(self) -> None:
        self.grid.selected = list(self.state.selected or ())
        heading, *sentences = self.state.describe()
        told = "".join(map(_paragraph, sentences))
        self.detail.value = f"<div><b>{escape(heading)}</b></div>{self.state.picture()}{told}"


def _yours(
    traced: Traced | None,
    model: nn.Module | None,
    lengths: Sequence[int] | None,
    batch_sizes: Sequence[int] | None,
) -> Subject | None:
    """Return the reader's own subject, or say what is wrong with it before anything runs."""
    if traced is None and model is None:
        return None
    if traced is None or model is None:
        raise InputError("explorer.no-model" if model is None else "explorer.no-trace")
    own, model = checked_traced(traced).contract, checked_module(model)
    lengths = _with(LENGTHS, own.length) if lengths is None else lengths
    batch_sizes = _with(BATCH_SIZES, own.batch_size) if batch_sizes is None else batch_sizes
    grid(lengths, batch_sizes)
    return Subject(traced, model, tuple(lengths), tuple(batch_sizes))


def _with(sizes: Sequence[int], traced: int | None) -> Sequence[int]:
    """Return rising sizes with the one that was traced, where it is known."""
    return sizes if traced is None else sorted({*sizes, traced})


def _paragraph(text: str) -> str:
    """Return a sentence as HTML, with the word before its colon in bold."""
    word, colon, rest = text.partition(": ")
    short = colon and " " not in word.replace("What to do", "")
    said = f"<b>{escape(word)}:</b> {escape(rest)}" if short else escape(text)
    return f"<p style='margin: 4px 0; line-height: 1.4; overflow-wrap: anywhere'>{said}</p>"


def _mark(shape: Shape, verdict: Verdict) -> dict[str, str]:
    """Return what the grid shows and says for one shape."""
    label = f"batch {shape[0]}, length {shape[1]}: {verdict}"
    return {"kind": verdict.kind, "symbol": verdict.symbol, "label": label}
