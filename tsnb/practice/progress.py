"""What the record says about each exercise, as text, as HTML and as a page for the team."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from itertools import groupby
from typing import TYPE_CHECKING

from tsnb.base.tables import CELL
from tsnb.base.words import say
from tsnb.practice.exercises import exercises
from tsnb.practice.record import HINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsnb.practice.record import Record

SYMBOLS = {"done": "✓", "tried": "…", "open": "○"}
COLUMNS = ("state", "exercise", "attempts", "hints", "solved")
PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em }}
th {{ font-weight: 600 }} small {{ color: #555 }}
td:first-child, td:last-child {{ white-space: nowrap }}
</style></head><body><h1>{title}</h1><p>{about}</p>{tables}<p><small>{foot}</small></p></body></html>
"""


@dataclass(frozen=True)
class Standing:
    """How far a reader is with one exercise.

    Attributes
    ----------
    notebook, name
        The exercise.
    attempts
        Answers that were judged until the first right one; the unchanged starter does not count.
    solved
        When the first right answer was given, UTC, ISO 8601; empty before that.
    hints
        How many hints were taken, 0 to 2.
    """

    notebook: str
    name: str
    attempts: int = 0
    solved: str = ""
    hints: int = 0

    @property
    def state(self) -> str:
        """`"done"`, `"tried"` or `"open"`."""
        return "done" if self.solved else "tried" if self.attempts or self.hints else "open"

    @property
    def symbol(self) -> str:
        """`✓`, `…` or `○`."""
        return SYMBOLS[self.state]

    @property
    def title(self) -> str:
        """The exercise's title in the reader's language."""
        return say(f"exercise.{self.name}.title")

    @property
    def effort(self) -> str:
        """Attempts and hints in words, as far as there are any."""
        counts = {"attempts": self.attempts, "hints": self.hints}
        return ", ".join(say(f"progress.{key}", count=count) for key, count in counts.items() if count)


@dataclass(frozen=True, repr=False)
class Progress:
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
    def solved(self) -> int:
        """How many exercises are solved."""
        return sum(bool(found.solved) for found in self.standings)

    @property
    def total(self) -> str:
        """`3 of 9 exercises solved`, in words."""
        return f"{self.solved} of {len(self.standings)} exercises solved"

    def __str__(self) -> str:
        lines = [
            line for notebook, group in self._groups() for line in (_notebook(notebook), *map(_line, group))
        ]
        return "\n".join([*lines, self.total, *filter(None, [self.note])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tables = "".join(_table(notebook, group) for notebook, group in self._groups())
        ends = "".join(f"<p>{escape(text)}</p>" for text in (self.total, self.note) if text)
        return tables + ends

    def to_markdown(self, name: str = "") -> str:
        """Return a page in Markdown for the team; `name` is the reader's, if it is to be there."""
        parts = [f"# {say('progress.page-title')}", _about(name, self.total)]
        for notebook, group in self._groups():
            rows = ["| " + " | ".join(_columns()) + " |", "|---" * len(COLUMNS) + "|"]
            rows += [f"| {' | '.join(_cells(found))} |" for found in group]
            parts += [f"## {_notebook(notebook)}", "\n".join(rows)]
        return "\n\n".join([*parts, _foot()]) + "\n"

    def to_html(self, name: str = "") -> str:
        """Return the page as HTML, whole in itself."""
        tables = "".join(_page_table(notebook, group) for notebook, group in self._groups())
        texts = {"title": "TorchScript, hands on: exercises solved", "about": _about(name, self.total)}
        return PAGE.format(
            **{key: escape(text) for key, text in texts.items()},
            tables=tables,
            foot=escape(_foot()),
        )

    def _groups(self) -> Iterator[tuple[str, list[Standing]]]:
        for notebook, group in groupby(self.standings, lambda found: found.notebook):
            yield notebook, list(group)


def progress_in(record: Record, notebook: str | None = None) -> Progress:
    """Return how far a reader is, from the record.

    Raises
    ------
    ExerciseError
        There is no such notebook.
    """
    found = {held.name: Standing(held.notebook, held.name) for held in exercises(notebook)}
    for event in record.events():
        before = found.get(event.exercise)
        if before is not None:
            found[event.exercise] = _after(before, event.kind, event.at)
    return Progress(tuple(found.values()), record.note)


def _after(before: Standing, kind: str, at: str) -> Standing:
    """Return a standing after one more event; after the first right answer none counts."""
    if before.solved:
        return before
    if kind == HINT:
        return replace(before, hints=before.hints + 1)
    return replace(before, attempts=before.attempts + 1, solved=at if kind == "done" else "")


def _notebook(number: str) -> str:
    return f"{number} {say(f'notebooks.{number}')}"


def _line(found: Standing) -> str:
    effort = f" ({found.effort})" if found.effort else ""
    return f"  {found.symbol} {found.title}{effort}"


def _table(notebook: str, group: list[Standing]) -> str:
    rows = "".join(
        f"<tr><td style='{CELL}'><span role='img' aria-label='{escape(_state(found))}'>"
        f"{found.symbol}</span></td><td style='{CELL}'>{escape(found.title)}</td>"
        f"<td style='{CELL}'>{escape(_state(found))}</td>"
        f"<td style='{CELL}'>{escape(found.effort)}</td></tr>"
        for found in group
    )
    head = f"<caption style='{CELL}'><strong>{escape(_notebook(notebook))}</strong></caption>"
    return f"<table style='margin: 0'>{head}<tbody>{rows}</tbody></table>"


def _state(found: Standing) -> str:
    return say(f"progress.state-{found.state}")


def _page_table(notebook: str, group: list[Standing]) -> str:
    head = "".join(f"<th style='{CELL}'>{escape(text)}</th>" for text in _columns())
    rows = "".join(
        "<tr>" + "".join(f"<td style='{CELL}'>{escape(text)}</td>" for text in _cells(found)) + "</tr>"
        for found in group
    )
    return f"<h2>{escape(_notebook(notebook))}</h2><table><tr>{head}</tr>{rows}</table>"


def _columns() -> list[str]:
    return [say(f"progress.column-{key}") for key in COLUMNS]


def _cells(found: Standing) -> list[str]:
    skill = f"{found.title} · {say(f'exercise.{found.name}.skill')}"
    counts = [str(found.attempts or ""), str(found.hints or "")]
    return [f"{found.symbol} {_state(found)}", skill, *counts, found.solved[:10]]


def _about(name: str, total: str) -> str:
    today = datetime.now(UTC).date().isoformat()
    return " · ".join(filter(None, (name, total, today)))


def _foot() -> str:
    versions = {name: version(name) for name in ("tsnb", "torch", "transformers")}
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    return say("progress.foot", versions=f"{named}, Python {platform.python_version()}")
