"""Files that appear whole or not at all, in folders that are there before the work begins. Taught in notebook 03."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tsnb.base.errors import ArtifactError

DAY = 86_400  # seconds, after which a temporary folder is nobody's any more
BOOT = Path("/proc/sys/kernel/random/boot_id")
SYSTEM = BOOT.read_text(encoding="ascii")[:8] if BOOT.exists() else platform.node()  # the same in all its containers


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; at the end of the block, put the file in the target's place in one step.

    The file is written in a temporary folder beside the target, and reaches the disk (`fsync`) before the
    old file goes. Where the block raises, the target stays as it was, and nothing is left beside it. What
    killed processes left beside it goes: see `_temporary_folder`.

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
    with _temporary_folder(target.parent) as folder:
        half = folder / target.name.lstrip(".")  # torch takes no name that begins with a dot
        yield half
        _sync(half)
        os.replace(half, target)  # noqa: PTH105, the one atomic step
        with suppress(OSError):  # the new file stands; some file systems cannot sync a folder
            _sync(target.parent)


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder, and hold its lock (`flock`), which the system lets go however a process ends.

    Containers of one system see each other's locks, where process numbers mean nothing. So a folder of this
    system that can be locked is a dead process's, and goes, or is so new that its own lock comes too late: then
    its process makes another. Of other systems' folders, and where locks do nothing (Windows, some shared file
    systems), only age tells.
    """
    prefix = f".tsnb-{SYSTEM}-"
    with ExitStack() as stack:
        folder, locks = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)), False
        stack.callback(lambda: shutil.rmtree(folder, ignore_errors=True))
        with suppress(OSError, ImportError):
            while not _lock(folder, stack):
                folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            locks = not _lock(folder, stack)  # one that everybody gets says nothing
        for other in parent.glob(".tsnb-*"):
            with suppress(OSError), ExitStack() as ending:
                old = time.time() - other.stat().st_mtime > DAY
                if old or (locks and other.name.startswith(prefix) and _lock(other, ending)):
                    shutil.rmtree(other)
        yield folder


def _lock(folder: Path, stack: ExitStack) -> bool:
    """Lock a folder until the stack ends; return False where somebody else has it, or removed it."""
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
        stack.callback(os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return folder.exists()


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
