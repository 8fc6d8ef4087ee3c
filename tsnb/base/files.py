"""Files that appear whole or not at all. Taught in notebook 03."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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
