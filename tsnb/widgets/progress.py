"""The progress panel: which exercises are solved. Taught in notebook 01."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipywidgets import HTML
from traitlets import HasTraits, Int, link

from tsnb.practice.exercises import exercises
from tsnb.practice.progress import Progress, progress_in
from tsnb.widgets.base import View

if TYPE_CHECKING:
    from tsnb.practice.record import Record


class ProgressState(HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """A record as it is now; prints as the standing of each exercise.

    Parameters
    ----------
    record
        The reader's record.
    notebook
        Whose exercises; those of the course by default.

    Raises
    ------
    ExerciseError
        There is no such notebook.

    Attributes
    ----------
    changes
        A trait: grows with the record.
    """

    changes = Int(0)

    def __init__(self, record: Record, notebook: str | None = None) -> None:
        super().__init__()
        exercises(notebook)  # raises before the record is asked to tell its changes
        self.record, self.notebook = record, notebook
        link((record, "changes"), (self, "changes"))

    @property
    def progress(self) -> Progress:
        """How far the reader is."""
        return progress_in(self.record, self.notebook)

    def __str__(self) -> str:
        return str(self.progress)


class ProgressView(View):
    """Show the standing of each exercise, kept up to date with the answers given in this kernel.

    Parameters
    ----------
    record
        The reader's record.
    notebook
        Whose exercises; those of the course by default.

    Raises
    ------
    ExerciseError
        There is no such notebook.

    Taught in notebook 01.
    """

    state: ProgressState

    def __init__(self, record: Record, notebook: str | None = None) -> None:
        self.table = HTML()
        super().__init__(ProgressState(record, notebook), self.table)
        self.state.observe(lambda _: self.draw(), "changes")
        self.draw()

    def draw(self) -> None:
        """Bring the table to what the record is now."""
        self.table.value = self.state.progress._repr_html_()
