"""The C++ loader, built once for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tsnb

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the loader is built; the name has a space, as folders of people have."""
    return tmp_path_factory.mktemp("my loader")


@pytest.fixture(scope="session")
def loader(folder: Path) -> Path:
    return tsnb.cpp.build(folder)
