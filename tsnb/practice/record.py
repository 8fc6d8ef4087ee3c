"""The record of the exercises: one small SQLite file of the reader's own, never sent anywhere."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from traitlets import HasTraits, Int

if TYPE_CHECKING:
    from collections.abc import Sequence

VARIABLE = "TSNB_PROGRESS"  # names another file
FILE = "progress.sqlite"
WAIT = 10  # seconds for another kernel that is writing
TABLE = """CREATE TABLE IF NOT EXISTS events
    (at TEXT NOT NULL, exercise TEXT NOT NULL, kind TEXT NOT NULL, mistake TEXT)"""
INSERT = "INSERT INTO events VALUES (?, ?, ?, ?)"
ALL = "SELECT at, exercise, kind, mistake FROM events ORDER BY rowid"
HINT = "hint"  # the kind of an event that is not an attempt
DAMAGE = {  # SQLite's codes for a file that is not what it should be; others: not now, not here
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
}


class Event(NamedTuple):
    """Something that was done: when (UTC, ISO 8601), on which exercise, what came of it."""

    at: str
    exercise: str
    kind: str
    mistake: str | None


class Record(HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """Attempts and hints, in a file that several kernels may use at once.

    A file that is damaged is kept under another name, and a new one begun. Where the file cannot
    be written, the record is kept in memory, with what the file held. Neither raises: `note` says
    it.

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
        self.note = self._told = ""
        self._memory: sqlite3.Connection | None = None

    def add(self, exercise: str, kind: str, mistake: str | None = None) -> None:
        """Write an event, with the time of now."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self._do(INSERT, (at, exercise, kind, mistake))
        self.changes += 1

    def events(self) -> list[Event]:
        """Return all events in their order; a record that was never written to has none."""
        if self._memory is None and not self.path.exists():
            return []
        return [Event(*row) for row in self._do(ALL)]

    def hints(self, exercise: str) -> int:
        """Return how many hints were taken."""
        return sum(event[1:3] == (exercise, HINT) for event in self.events())

    def forget(self, exercises: list[str]) -> None:
        """Delete the events of some exercises."""
        if self._memory is not None or self.path.exists():
            marks = ", ".join("?" * len(exercises))
            # only question marks go into the text
            self._do(f"DELETE FROM events WHERE exercise IN ({marks})", exercises)  # noqa: S608
        self.changes += 1

    def news(self) -> str:
        """Return the note the first time, and nothing after that."""
        told, self._told = self._told, self.note
        return "" if told == self.note else self.note

    def _do(self, command: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a command on the file; where that is impossible, on a new file, or in memory."""
        while self._memory is None:
            try:
                return self._on_file(command, values)
            except (OSError, sqlite3.Error) as error:
                if not self._set_aside(error):
                    self._go_to_memory(error)
        return self._memory.execute(command, values).fetchall()

    def _on_file(self, command: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)) as opened:
            opened.execute(TABLE)
            return opened.execute(command, values).fetchall()

    def _set_aside(self, error: Exception) -> bool:
        """Keep a damaged file under another name; return whether it is worth trying again."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGE:
            return False
        aside = _unused(self.path)
        try:
            with suppress(sqlite3.Error):
                self._on_file(ALL)
                return True  # another kernel was quicker
            journal = self.path.with_name(f"{self.path.name}-journal")
            if journal.exists():
                journal.replace(f"{aside}-journal")  # it belongs to the damaged file alone
            self.path.replace(aside)
        except OSError:
            return False
        self.note = (
            f"The record of your exercises, {self.path}, was damaged. It is kept as "
            f"{aside.name}, and a new one was begun."
        )
        return True

    def _go_to_memory(self, error: Exception) -> None:
        """Give the file up, and go on with what can be read of it."""
        self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._memory.execute(TABLE)
        with suppress(sqlite3.Error):
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, timeout=0, uri=True)) as held:
                rows = held.execute(ALL).fetchall()  # not backup(), which waits for a lock forever
            self._memory.executemany(INSERT, rows)
        self.note = (
            f"The record of your exercises cannot be kept in {self.path} ({error}). It is "
            "kept in memory, until this kernel ends. TSNB_PROGRESS names another file."
        )


def record() -> Record:
    """Return the reader's record: the file that `TSNB_PROGRESS` names, or the person's own.

    >>> record().path.suffix
    '.sqlite'
    """
    named = os.environ.get(VARIABLE)
    return _record_in(Path(named).expanduser() if named else _own_folder() / FILE)


@cache
def _record_in(path: Path) -> Record:
    return Record(path)


def _own_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("tsnb", appauthor=False)


def _unused(path: Path) -> Path:
    """Return a name beside a file, with the time in it, that nothing has yet."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = (f"{path.stem}.damaged-{now}{end}{path.suffix}" for end in ("", *range(2, 1000)))
    return next(found for found in map(path.with_name, names) if not found.exists())
