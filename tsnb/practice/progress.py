"""How far a reader is with each exercise: one table, as text, as HTML and as a page in Markdown for the team."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from tsnb.base.tables import TableReport, as_markdown
from tsnb.practice.exercises import exercises
from tsnb.practice.record import HINT

if TYPE_CHECKING:
    from tsnb.practice.exercises.base import Exercise
    from tsnb.practice.record import Record


@dataclass
class Standing:
    """How far a reader is with one exercise.

    Attributes
    ----------
    exercise
        The exercise.
    attempts
        Answers that were judged until the first right one; the unchanged starter does not count.
    hints
        How many hints were taken, 0 to 2.
    solved
        When the first right answer was given, UTC, ISO 8601; empty before that.
    """

    exercise: Exercise
    attempts: int = 0
    hints: int = 0
    solved: str = ""

    def row(self, *, skill: bool = False) -> list[str]:
        """Return the row of the table; with `skill`, what the exercise shows stands beside its title."""
        state = "✓ solved" if self.solved else "… begun" if self.attempts or self.hints else "○ open"
        title = f"{self.exercise.notebook} {self.exercise.title}"
        title += f" · {self.exercise.text['skill']}" if skill else ""
        return [title, state, str(self.attempts or ""), str(self.hints or ""), self.solved[:10]]


@dataclass(frozen=True, repr=False)
class Progress(TableReport):
    """How far a reader is; prints as text, and shows as a table in a notebook.

    Attributes
    ----------
    standings
        One for each exercise, in the order of the course.
    note
        What there is to know about the record's file.
    """

    standings: tuple[Standing, ...]
    note: str = ""

    @property
    def total(self) -> str:
        """`3 of 9 exercises solved`, in words."""
        solved = sum(bool(standing.solved) for standing in self.standings)
        return f"{solved} of {len(self.standings)} exercises solved"

    def table(self, *, skill: bool = False) -> list[list[str]]:
        """Return the table; with `skill`, it says what each exercise shows."""
        first = "exercise, and what it shows" if skill else "exercise"
        head = [first, "state", "attempts", "hints", "solved on"]
        return [head, *(standing.row(skill=skill) for standing in self.standings)]

    def notes(self) -> list[str]:
        """Return how many are solved, and the note if there is one."""
        return [self.total, *filter(None, [self.note])]

    def page(self, name: str = "") -> str:
        """Return a page for the team in Markdown; `name` is the reader's, if it is to be there."""
        versions = ", ".join(f"{package} {version(package)}" for package in ("tsnb", "torch", "transformers"))
        about = " · ".join(filter(None, (name, self.total, datetime.now(UTC).date().isoformat())))
        made = f"Made on the reader's own machine, with {versions}, Python {platform.python_version()}."
        parts = "# TorchScript, hands on: exercises solved", about, as_markdown(self.table(skill=True))
        return "\n\n".join([*parts, f"{made} Nothing was sent anywhere.\n"])


def progress_in(record: Record, notebook: str | None = None) -> Progress:
    """Return how far a reader is, from the record.

    Raises
    ------
    ExerciseError
        There is no such notebook.
    """
    standings = {exercise.name: Standing(exercise) for exercise in exercises(notebook)}
    for event in record.events():
        standing = standings.get(event.exercise)
        if standing is None or standing.solved:  # after the first right answer nothing counts
            continue
        if event.kind == HINT:
            standing.hints += 1
        else:
            standing.attempts += 1
            standing.solved = event.at if event.kind == "done" else ""
    return Progress(tuple(standings.values()), record.note)
