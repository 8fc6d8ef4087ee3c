"""The record: several kernels at once, damage, folders that cannot be written, forgetting."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tsnb.practice import record as module
from tsnb.practice.record import Record, record

if TYPE_CHECKING:
    from collections.abc import Callable

WRITER = """
import sys
from tsnb.practice.record import record
for number in range(200):
    record().add(f"from-{sys.argv[1]}", "wrong", str(number))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made by it" / "progress.sqlite"


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*damaged*"))


def test_events_come_back_in_order_with_their_times(path: Path) -> None:
    held = Record(path)
    held.add("one", "wrong", "a-mistake")
    held.add("two", "done")
    events = Record(path).events()
    assert [event[1:] for event in events] == [("one", "wrong", "a-mistake"), ("two", "done", None)]
    assert all(event.at.endswith("+00:00") for event in events)
    assert held.changes == 2


def test_reading_makes_no_file(path: Path) -> None:
    held = Record(path)
    assert held.events() == []
    held.forget(["one"])
    assert held.hints("one") == 0
    assert not path.parent.exists()
    assert held.note == ""


def test_forgetting_is_of_what_was_named(path: Path) -> None:
    held = Record(path)
    for name in ("one", "two", "o'ne"):
        held.add(name, "done")
    held.forget(["one", "o'ne"])
    assert [event.exercise for event in held.events()] == ["two"]
    held.forget([])
    assert len(held.events()) == 1


def test_hints_are_counted_for_each_exercise(path: Path) -> None:
    held = Record(path)
    held.add("one", "hint")
    held.add("one", "wrong")
    held.add("two", "hint")
    assert (held.hints("one"), held.hints("two"), held.hints("three")) == (1, 1, 0)


def test_two_processes_write_200_events_each_and_none_is_lost(path: Path) -> None:
    environment = {"TSNB_PROGRESS": str(path), "PYTHONPATH": str(Path(module.__file__).parents[1])}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, name],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
        )
        for name in "ab"
    ]
    assert [writer.communicate()[1] for writer in writers] == [b"", b""]
    events = Record(path).events()
    for name in "ab":
        own = [event.mistake for event in events if event.exercise == f"from-{name}"]
        assert own == [str(number) for number in range(200)]
    assert len(events) == 400
    assert aside(path) == []


def not_a_database(path: Path) -> None:
    path.write_bytes(b"What was this file again?" * 100)


def torn_in_the_middle(path: Path) -> None:
    held = Record(path)
    for number in range(500):
        held.add("one", "wrong", "x" * 50 + str(number))
    content = bytearray(path.read_bytes())
    content[5000:20000] = b"\xff" * 15000
    path.write_bytes(content)


def of_another_program(path: Path) -> None:
    opened = sqlite3.connect(path)
    opened.execute("CREATE TABLE events (something TEXT)")
    opened.commit()
    opened.close()


@pytest.mark.parametrize("damage", [not_a_database, torn_in_the_middle, of_another_program])
def test_a_damaged_file_is_kept_and_a_new_one_begun(path: Path, damage: Callable[[Path], None]) -> None:
    path.parent.mkdir()
    damage(path)
    content = path.read_bytes()
    held = Record(path)
    assert held.events() == []
    held.add("one", "done")
    assert [event.exercise for event in Record(path).events()] == ["one"]
    [kept] = aside(path)
    assert kept.read_bytes() == content
    assert kept.name in held.note
    assert held.news() == held.note
    assert held.news() == ""


def test_two_damages_are_two_files(path: Path) -> None:
    path.parent.mkdir()
    held = Record(path)
    for _ in range(2):
        not_a_database(path)
        held.add("one", "done")
    assert len(aside(path)) == 2


def test_an_empty_file_is_a_new_record(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    held = Record(path)
    held.add("one", "done")
    assert (len(Record(path).events()), held.note, aside(path)) == (1, "", [])


def test_where_no_file_can_be_made_it_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    held = Record(tmp_path / "a file" / "progress.sqlite")
    held.add("one", "done")
    held.add("one", "hint")
    assert [event.kind for event in held.events()] == ["done", "hint"]
    assert "kept in memory" in held.news()
    assert held.news() == ""
    held.forget(["one"])
    assert held.events() == []


def test_a_folder_in_its_place_is_not_moved(tmp_path: Path) -> None:
    held = Record(tmp_path)
    held.add("one", "done")
    assert len(held.events()) == 1
    assert "kept in memory" in held.note
    assert tmp_path.is_dir()


def test_what_a_read_only_file_holds_is_not_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so the connection is made read-only in place of the folder."""
    Record(path).add("one", "done")
    connect = sqlite3.connect

    def read_only(database: object, **options: object) -> sqlite3.Connection:
        address = f"{path.as_uri()}?mode=ro" if database == path else database
        return connect(address, **(options | {"uri": True}))  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", read_only)
    held = Record(path)
    assert [event.exercise for event in held.events()] == ["one"]
    assert held.note == ""
    held.add("two", "done")
    assert [event.exercise for event in held.events()] == ["one", "two"]
    assert "readonly" in held.note
    monkeypatch.undo()
    assert [event.exercise for event in Record(path).events()] == ["one"]


def test_a_file_that_another_one_holds_is_not_taken_for_damaged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT", 0.05)
    Record(path).add("one", "done")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    held = Record(path)
    held.add("two", "done")
    assert "locked" in held.note
    assert [event.exercise for event in held.events()] == ["two"]
    other.close()
    assert aside(path) == []


def test_the_variable_names_the_file(progress_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record().path == progress_file
    assert record() is record()
    monkeypatch.setenv("TSNB_PROGRESS", "~/elsewhere.sqlite")
    assert record().path == Path.home() / "elsewhere.sqlite"


def test_without_it_the_file_is_the_persons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSNB_PROGRESS", "")
    assert record().path.name == "progress.sqlite"
    assert record().path.parent.name == "tsnb"
    assert record().path.is_relative_to(Path.home())
