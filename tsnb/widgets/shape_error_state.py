"""What the shape-error explorer knows: verdicts as they come in, and the shape that was chosen."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Dict, HasTraits, Instance, Int, Unicode

from tsnb import figures
from tsnb.base.errors import TsnbError
from tsnb.base.words import say
from tsnb.tracing.compare import TOLERANCE, Verdict
from tsnb.tracing.probe import ShapeMap, grid, probe_each
from tsnb.tracing.subjects import SUBJECTS, Subject

if TYPE_CHECKING:
    from tsnb.tracing.contract import Shape

YOURS = "yours"


class ShapeErrorState(HasTraits):  # type: ignore[misc]  # traitlets is not typed
    """What the explorer knows: the subject, the verdicts so far, the shape that was chosen.

    Attributes
    ----------
    subject
        A name in `tsnb.tracing.subjects.SUBJECTS`, or `yours`.
    cells
        A `Verdict` for each `(batch, length)` probed so far.
    selected
        The shape that is explained.
    probing, note
        Whether a probe runs, and what to say about it.
    """

    subject = Unicode("bert")
    cells = Dict()
    selected = Instance(tuple, allow_none=True)
    probing = Bool(False)
    total = Int(0)
    note = Unicode()

    def __init__(self, yours: Subject | None = None, **traits: Any) -> None:
        self.held: Subject | None = None
        self.makers = dict(SUBJECTS)
        if yours is not None:
            self.makers = {YOURS: lambda: yours, **self.makers}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        super().__init__(subject=next(iter(self.makers)), **traits)
        self.observe(lambda _: self.start(), "subject")

    @property
    def shapes(self) -> list[Shape]:
        """The shapes to probe, a row a batch size."""
        return grid(self.held.lengths, self.held.batch_sizes) if self.held else []

    @property
    def map(self) -> ShapeMap | None:
        """The verdicts so far as a `ShapeMap`."""
        return ShapeMap(dict(self.cells), self.held.traced.contract, TOLERANCE) if self.held else None

    def start(self) -> None:
        """Begin to probe in the background; a probe that runs is stopped first."""
        self.stop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the shape that runs now; what was found stays."""
        self._stop.set()
        self.wait()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the probe has ended, or for some seconds."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def move(self, rows: int, columns: int) -> None:
        """Choose a neighbour of the chosen shape, as the arrow keys do; stay at the edge."""
        if self.held is None or self.selected is None:
            return
        batches, lengths = self.held.batch_sizes, self.held.lengths
        at = batches.index(self.selected[0]) + rows, lengths.index(self.selected[1]) + columns
        if at[0] in range(len(batches)) and at[1] in range(len(lengths)):
            self.selected = (batches[at[0]], lengths[at[1]])

    def _run(self, stop: threading.Event) -> None:
        """Make the subject, probe shape by shape, and say how it ended."""
        self.probing, self.cells, self.selected = True, {}, None
        try:
            self.held = self.makers[self.subject]()
            self.total = len(self.shapes)
            self._probe(self.held, stop)
        except (TsnbError, RuntimeError) as error:
            self.note = f"The probe stopped: {error}"
        finally:
            self.probing = False

    def _probe(self, subject: Subject, stop: threading.Event) -> None:
        for shape, verdict in probe_each(subject.traced, subject.model, self.shapes):
            self.cells = {**self.cells, shape: verdict}
            self.note = f"Probing: {len(self.cells)} of {self.total} shapes"
            if stop.is_set():
                break
        ended = "done" if len(self.cells) == self.total else "stopped"
        self.note = say(f"explorer.{ended}", done=len(self.cells), total=self.total)
        if self.selected not in self.shapes:  # else the reader has chosen meanwhile
            self.selected = self._worth_a_look(subject)

    def _worth_a_look(self, subject: Subject) -> Shape:
        """Return the first shape that is not right, else the traced one, else the first of all."""
        contract = subject.traced.contract
        traced = [shape for shape in self.cells if shape == (contract.batch_size, contract.length)]
        return first_worth_a_look(self.cells) or [*traced, *self.cells][0]

    def describe(self) -> list[str]:
        """Return what is to say about the chosen shape, a sentence or so each."""
        if self.held is None or self.selected is None:
            return ["Click a cell, or move with the arrow keys."]
        verdict = self.cells.get(self.selected)
        batch, length = self.selected
        heading = f"Batch {batch}, length {length}"
        if verdict is None:
            return [heading, "This shape was not probed."]
        traced = self.held.traced.contract
        here = ["This is the shape that was traced."] * (self.selected == (traced.batch_size, traced.length))
        return [heading, *here, *self._told(verdict)]

    def _told(self, verdict: Verdict) -> list[str]:
        """Return the sentences for a verdict."""
        found = self.map
        if verdict.kind == "raises" and found is not None and self.selected is not None:
            return str(found.explain(self.selected)).splitlines()
        gaps = {"difference": f"{verdict.difference or 0:.2g}", "tolerance": f"{TOLERANCE:g}"}
        if verdict.kind == "wrong":
            cause, advice = say("explorer.wrong-cause", **gaps), self._wrong_advice()
            return [f"Cause: {cause}", f"What to do: {advice}"]
        if verdict.kind == "same":
            return [say("explorer.same-advice", **gaps)]
        return [str(verdict), "The model cannot run this shape either, so that no trace of it can."]

    def _wrong_advice(self) -> str:
        """Say to pad to the traced shape, unless that is wrong itself."""
        at = self.map.traced if self.map else None
        if at not in self.cells or self.cells[at].kind == "same":
            return (
                "Do not use this shape. Pad to the traced shape with a mask, or trace once more "
                "for this shape."
            )
        return (
            "Not even the traced shape is right, so that padding does not help. Something "
            "random or changing was recorded: dropout, if the model was in training mode. "
            "Trace again after model.eval()."
        )

    def picture(self) -> str:
        """Return the picture of the chosen shape as SVG: boxes to scale, or the difference."""
        verdict = self.cells.get(self.selected) if self.selected else None
        if verdict is None or self.held is None or self.selected is None:
            return ""
        contract = self.held.traced.contract
        traced = (contract.batch_size or 1, contract.length or 1)
        words = " ".join(self.describe())
        axis = self._axis(traced, verdict)
        drawn = figures.svg(figures.shape_boxes(traced, self.selected, axis), words)
        if verdict.kind == "wrong":
            drawn += figures.svg(figures.difference_bar(verdict.difference or 0.0, TOLERANCE), words)
        return drawn

    def _axis(self, traced: Shape, verdict: Verdict) -> Any:
        """Return the side of the input that is to blame, by the error or by the other cells."""
        if verdict.kind == "same" or self.selected is None or self.map is None:
            return None
        batch, length = self.selected
        alone = {"batch": (batch, traced[1]), "length": (traced[0], length)}
        bad = [
            side
            for side, shape in alone.items()
            if shape != traced and shape in self.cells and self.cells[shape].kind != "same"
        ]
        told = self.map.explain(self.selected).input_dimension
        return told or (bad[0] if len(bad) == 1 else None)

    def __str__(self) -> str:
        return "\n\n".join([str(self.map or ""), self.note, "\n".join(self.describe())]).strip()


def first_worth_a_look(cells: dict[Shape, Verdict]) -> Shape | None:
    """Return the first shape that raises, else the first that is wrong, if there is one."""
    for kind in ("raises", "wrong"):
        found = [shape for shape, verdict in cells.items() if verdict.kind == kind]
        if found:
            return found[0]
    return None
