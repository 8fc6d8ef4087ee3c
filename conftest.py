"""For all tests and examples: the record of the exercises is a file of the test's own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from tsnb.practice.record import FILE, VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = count()


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
