"""Where commands write: a folder that is there before the work begins, and files that appear whole."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tsnb.base.errors import ArtifactError
from tsnb.base.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"{path} cannot be written: {error}. Name another folder.") from error


def prepare(folder: str | Path) -> Path:
    """Make a folder, and raise an ArtifactError where it cannot be written, before minutes of work."""
    path = Path(folder).expanduser()
    with _writing(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path


def write(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all; raise an ArtifactError where it cannot be."""
    with _writing(path), whole_file(path) as half:
        half.write_text(text, encoding="utf-8")
