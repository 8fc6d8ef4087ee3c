"""The record of the exercises: a small file of the reader's own, a line of JSON an event; never sent."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_data_path
from traitlets import HasTraits, Int

from tsnb.base.files import whole_file

VARIABLE = "TSNB_PROGRESS"  # names another file
FILE = "progress.jsonl"
HINT = "hint"  # the kind of an event that is not an attempt


class Event(NamedTuple):
    """Something that was done: when (UTC, ISO 8601), on which exercise, what came of it."""

    at: str
    exercise: str
    kind: str
    mistake: str = ""


class Record(HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """Attempts and hints, in a file that several kernels may append to at once.

    Lines that are no events are skipped, and stay. Where the file cannot be read or written, or is of another
    program, the record goes on in memory. Neither raises: `note` says it.

    Parameters
    ----------
    path
        The file; it is made by the first event.

    Attributes
    ----------
    changes
        A trait: grows with every event, for views to observe.
    note
        What there is to know about the file; empty where all is well.
    """

    changes = Int(0)

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.note = self._noted = ""
        self._memory: list[Event] = []

    def add(self, exercise: str, kind: str, mistake: str = "") -> None:
        """Append an event, with the time of now."""
        event = Event(datetime.now(UTC).isoformat(timespec="seconds"), exercise, kind, mistake)
        try:
            lines = self._lines()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:  # one write a line: kernels do not mix theirs
                torn = "\n" if lines[-1] else ""
                file.write(f"{torn}{json.dumps(event._asdict())}\n".encode())
        except OSError as error:
            self._memory.append(event)
            self._keep_in_memory(error)
        self.changes += 1

    def events(self) -> list[Event]:
        """Return all events in their order; a record that was never written to has none."""
        try:
            lines = [line for line in self._lines() if line.strip()]
        except OSError as error:
            self._keep_in_memory(error)
            return [*self._memory]
        events = [event for event in map(_event, lines) if event]
        if len(events) < len(lines):
            self.note = f"Lines of {self.path} that are no events, and were skipped: {len(lines) - len(events)}."
        return events + self._memory

    def hints(self, exercise: str) -> int:
        """Return how many hints were taken."""
        return sum((event.exercise, event.kind) == (exercise, HINT) for event in self.events())

    def forget(self, exercises: list[str]) -> None:
        """Take the events of some exercises out of the file."""
        self._memory = [event for event in self._memory if event.exercise not in exercises]
        try:
            lines = self._lines()
            kept = [line for line in lines if not ((event := _event(line)) and event.exercise in exercises)]
            if kept != lines:
                with whole_file(self.path) as half:
                    half.write_bytes("\n".join(kept).encode(errors="surrogateescape"))
        except OSError as error:
            self._keep_in_memory(error)
        self.changes += 1

    def news(self) -> str:
        """Return the note the first time, and nothing after that."""
        before, self._noted = self._noted, self.note
        return "" if before == self.note else self.note

    def _lines(self) -> list[str]:
        """Return the lines of the file; the last is empty unless it was torn off. Another's file raises."""
        if str(self.path).startswith("~"):
            raise OSError("there is no such home folder")
        if self.path.exists() and not self.path.is_file():
            raise OSError("it is no file")  # reading a pipe or a device may never end
        try:
            lines = self.path.read_bytes().decode(errors="surrogateescape").split("\n")
        except FileNotFoundError:
            return [""]
        if any(lines) and not any(map(_event, lines)):
            raise OSError("it holds something else")
        return lines

    def _keep_in_memory(self, error: OSError) -> None:
        self.note = (
            f"The record of your exercises cannot be kept in {self.path}: {error.strerror or error}. It is "
            f"kept in memory, until this kernel ends. {VARIABLE} names another file."
        )


def record() -> Record:
    """Return the reader's record: the file that `TSNB_PROGRESS` names, or the person's own.

    >>> record().path.suffix
    '.jsonl'
    """
    named = os.environ.get(VARIABLE)
    try:
        path = Path(named).expanduser() if named else user_data_path("tsnb", appauthor=False) / FILE
    except RuntimeError:  # somebody without a home, as in some containers
        path = Path(named or f"~/{FILE}")
    return _record_in(path)


@cache
def _record_in(path: Path) -> Record:
    return Record(path)


def _event(line: str) -> Event | None:
    try:
        event = Event(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    return event if line.isascii() and all(isinstance(value, str) for value in event) else None
