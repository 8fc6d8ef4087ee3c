"""Files that appear whole or not at all, in folders that are there before the work begins. Taught in notebook 03."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tsnb.base.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; at the end of the block, put the file in the target's place in one step.

    The file is written in a temporary folder beside the target, and reaches the disk (`fsync`) before the
    old file goes. Where the block raises, the target stays as it was, and nothing is left beside it.

    Parameters
    ----------
    target
        The file; its folder exists.

    Raises
    ------
    OSError
        The folder cannot be written to, or the disk is full.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder, "note.txt")) as half:
    ...         _ = half.write_text("whole")
    ...     [path.name for path in Path(folder).iterdir()]
    ['note.txt']
    """
    with tempfile.TemporaryDirectory(prefix=".tsnb-", dir=target.parent) as folder:
        half = Path(folder, target.name.lstrip("."))  # torch takes no name that begins with a dot
        yield half
        _sync(half)
        os.replace(half, target)  # noqa: PTH105, the one atomic step
        _sync(target.parent)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk; Windows cannot open a folder for it."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def prepare_folder(folder: str | Path) -> Path:
    """Make a folder, and raise an ArtifactError where it cannot be written to, before minutes of work."""
    path = Path(folder).expanduser()
    with refusals(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; raise an ArtifactError where it cannot be."""
    with refusals(path), whole_file(path) as half:
        half.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, with the same ends of lines on every system, as `write_bytes` does."""
    write_bytes(path, text.encode())


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Raise an ArtifactError that names the path, where the system does not let it be read or written."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"{path} cannot be written: {error.strerror}. Name another folder or file.") from error
