"""How tests and examples run: which share a worker, which start processes, where exercises are recorded."""

import os
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tsnb.practice.record import FILE, VARIABLE

NUMBERS = count()
LINE = int(version("transformers").partition(".")[0])  # `make test` runs on 4, and what may differ on 5 too
STARTERS = {"python", "loader", "results", "book", "dockerfile", "machine"}  # fixtures that start processes
MODULES = {"subprocess", "psutil"}  # a test file that imports one starts its own
BOTH = (  # what a reader meets may differ with transformers 5: `make test` runs these on it too
    "tests/base/test_versions.py",
    "tests/claims",
    "tests/cli/test_doctor.py",
    "tests/models/test_load.py",
    "tests/models/test_tying.py",
    "tests/notebooks/test_execution.py",
    "tests/practice/exercises",
)
BOTH_ALONE = "BOTH_LINES" in os.environ
FIRST = ("tests/browser/", "tests/notebooks/test_execution.py")  # what takes longest

os.environ["OMP_NUM_THREADS"] = "1"  # here and in every process of the tests: a worker has one core


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Give the tests of a file to one worker, and all that use one browser."""

    def _split_scope(self, nodeid: str) -> str:
        return FIRST[0] if nodeid.startswith(FIRST[0]) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Share tests out as above; pytest-xdist's own `loadgroup` does nothing with pytest 9.2."""
    return ByFile(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Save the time of collecting what is left out below."""
    if collection_path.is_dir() or not BOTH_ALONE:
        return None
    return not collection_path.relative_to(config.rootpath).as_posix().startswith(BOTH) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the other line of transformers; mark what starts a process.

    Files with such tests come first, the longest before all.
    """
    marks = [(item, item.get_closest_marker("line")) for item in items]
    other = [
        item
        for item, mark in marks
        if (mark and mark.args != (LINE,)) or (BOTH_ALONE and not item.nodeid.startswith(BOTH))
    ]
    config.hook.pytest_deselected(items=other)
    items[:] = [item for item in items if item not in other]
    starting = set()
    for item in items:
        started = STARTERS & set(getattr(item, "fixturenames", ()))
        if started or MODULES & vars(getattr(item, "module", pytest)).keys():
            item.add_marker("process")
            starting.add(item.path)

    def place(item: pytest.Item) -> tuple[bool, bool, tuple[str, ...]]:
        callspec = getattr(item, "callspec", None)
        book = callspec.params.get("book", ()) if callspec else ()  # each notebook is opened once
        return not item.nodeid.startswith(FIRST), item.path not in starting, book

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured and recorded as properties."""
    measured = [
        f"{report.nodeid.partition('::')[2]}: {name} {value}"
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
    ]
    if measured:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(measured))


@pytest.fixture(autouse=True)
def progress_file(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the reader's own record out of a test; return the file that is used in its place."""
    path = tmp_path_factory.getbasetemp() / f"record{next(NUMBERS)}" / FILE
    monkeypatch.setenv(VARIABLE, str(path))
    return path
