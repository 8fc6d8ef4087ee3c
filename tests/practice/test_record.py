"""The record: several kernels at once, damage, folders that cannot be written, forgetting."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.artifacts.test_archive import without_rights
from tests.kinds import MonkeyPatch
from tsnb.practice.record import Record, record

WRITER = """
import sys
from tsnb.practice.record import record
for number in range(200):
    record().add(f"from-{sys.argv[1]}", "wrong", str(number))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made by it" / "progress.jsonl"


def names(events: Record) -> list[str]:
    return [event.exercise for event in events.events()]


def test_events_come_back_in_order_with_their_times(path: Path) -> None:
    events = Record(path)
    events.forget(["one"])
    assert (events.events(), events.note) == ([], "")
    assert not path.parent.exists()  # reading makes no file
    events.add("one", "wrong", "a-mistake")
    events.add("two", "hint")
    again = Record(path)
    assert [event[1:] for event in again.events()] == [("one", "wrong", "a-mistake"), ("two", "hint", "")]
    assert all(event.at.endswith("+00:00") for event in again.events())
    assert (again.hints("one"), again.hints("two"), events.changes, again.note) == (0, 1, 3, "")


def test_forgetting_is_of_what_was_named_and_leaves_nothing_of_it(path: Path) -> None:
    events = Record(path)
    for name in ("one", "two", "o'ne"):
        events.add(name, "done")
    events.forget(["one", "o'ne"])
    events.add("three", "done")
    assert names(events) == ["two", "three"]
    assert '"o' not in path.read_text(encoding="utf-8")


def test_two_processes_write_200_events_each_and_none_is_lost(path: Path) -> None:
    environment = os.environ | {"TSNB_PROGRESS": str(path)}
    arguments = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*arguments, name], env=environment) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    events = Record(path)
    for name in "ab":
        own = [event.mistake for event in events.events() if event.exercise == f"from-{name}"]
        assert own == [str(number) for number in range(200)]
    assert (len(events.events()), events.note) == (400, "")


@pytest.mark.parametrize("line", ["{", "[" * 100_000, '{"at": 1}', "\x00\xff"])
def test_damaged_lines_are_skipped_and_said_and_stay(path: Path, line: str) -> None:
    Record(path).add("one", "done")
    damage = line.encode("latin-1")
    with path.open("ab") as file:
        file.write(damage)  # torn off: no end of line
    events = Record(path)
    events.add("two", "done")
    assert names(events) == ["one", "two"]
    assert "were skipped: 1" in events.news()
    assert events.news() == ""
    events.forget(["one"])
    assert names(events) == ["two"]
    assert damage + b"\n" in path.read_bytes()


@pytest.mark.parametrize(
    "content", [b"SQLite format 3\x00\xff\xfe", b'{"text": "one"}\n{"text": "two"}\n', b"id;text\n"]
)
def test_a_file_of_something_else_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    events = Record(path)
    events.add("one", "done")
    assert names(events) == ["one"]
    events.forget(["one"])
    assert names(events) == []
    assert "something else. It is kept in memory" in events.note
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("file", "home", "why"),
    [
        ("closed/progress.jsonl", None, "Permission denied"),
        ("file/progress.jsonl", None, "Not a directory"),
        ("closed", None, "it is no file"),
        ("pipe", None, "it is no file"),
        ("", "closed", "Permission denied"),
        ("", "", "there is no such home folder"),
        ("~nobody-of-that-name/progress.jsonl", "", "there is no such home folder"),
    ],
)
def test_where_no_record_can_be_kept_one_line_says_so_and_the_exercises_go_on(
    tmp_path: Path, monkeypatch: MonkeyPatch, file: str, home: str | None, why: str
) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    (tmp_path / "file").touch(0o444)
    os.mkfifo(tmp_path / "pipe")
    for parent in (tmp_path, *tmp_path.parents[:3]):  # of a worker too
        parent.chmod(0o755)
    monkeypatch.setenv("TSNB_PROGRESS", file if not file or file[0] == "~" else str(tmp_path / file))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / home)) if home else monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", Mock(side_effect=KeyError))  # nobody whom the machine knows
    monkeypatch.chdir(tmp_path)
    with without_rights():
        events = record()
        events.add("one", "done")
        assert names(events) == ["one"]
        note = events.news()
        events.forget(["one"])
        assert names(events) == []
        assert events.news() == ""
    assert f"{why}. It is kept in memory" in note
    assert {path.name for path in tmp_path.iterdir()} == {"closed", "file", "pipe"}


def test_a_file_that_can_only_be_read_keeps_its_events(path: Path, monkeypatch: MonkeyPatch) -> None:
    Record(path).add("one", "done")
    events = Record(path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", Mock(side_effect=PermissionError(13, "Permission denied")))
        events.add("two", "done")
    assert names(events) == ["one", "two"]
    assert "Permission denied" in events.note
    assert names(Record(path)) == ["one"]


def test_the_variable_names_the_file(progress_file: Path, monkeypatch: MonkeyPatch) -> None:
    assert record().path == progress_file
    monkeypatch.setenv("TSNB_PROGRESS", "~/elsewhere.jsonl")
    assert record().path == Path.home() / "elsewhere.jsonl"
    monkeypatch.setenv("TSNB_PROGRESS", "")
    assert record().path.is_relative_to(Path.home())
