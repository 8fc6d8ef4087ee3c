"""How tests and examples run: which share a worker, which start processes, where exercises are recorded."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tsnb.practice.record import FILE, VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = count()
# What is made once for all tests that use it, which therefore share a worker; the longest first.
SHARED = {"book": "browser", "results": "notebooks", "peak_of_the_build": "compiler"}
STARTERS = {"python", "dockerfile", *SHARED}  # fixtures that start processes, as do these modules:
MODULES = {"subprocess", "psutil"}

os.environ["OMP_NUM_THREADS"] = "1"  # here and in every process of the tests: a worker has one core


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist adds a test's group to its name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a process; group tests by what they share, else by file; put the longest first."""
    groups: dict[pytest.Item, str] = {}
    ranks: dict[str, int] = {group: rank for rank, group in enumerate(SHARED.values())}
    for item in items:
        fixtures, file = set(getattr(item, "fixturenames", ())), item.nodeid.partition("::")[0]
        groups[item] = next((SHARED[fixture] for fixture in SHARED if fixture in fixtures), file)
        item.add_marker(pytest.mark.xdist_group(groups[item]))
        if fixtures & STARTERS or vars(getattr(item, "module", pytest)).keys() & MODULES:
            item.add_marker("process")
            ranks.setdefault(groups[item], len(SHARED))
    items.sort(key=lambda item: ranks.get(groups[item], len(SHARED) + 1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured and recorded as properties."""
    measured = [
        f"{report.nodeid.partition('::')[2].partition('@')[0]}: {name} {value}"
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
    ]
    if measured:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(measured))


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tests' records."""
    return tmp_path_factory.mktemp("records")


@pytest.fixture(autouse=True)
def progress_file(records: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the reader's own record out of a test; return the file that is used in its place."""
    path = records / str(next(NUMBERS)) / FILE
    monkeypatch.setenv(VARIABLE, str(path))
    return path
