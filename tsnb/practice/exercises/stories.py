"""What can happen to a file on its way: six stories, each done to a copy of it."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from tsnb.artifacts.archive import DIGITS, SIGNATURE, append_digest, read
from tsnb.artifacts.inspect import inspect

WEIGHT = "embeddings.LayerNorm.weight"  # every text's numbers depend on it
HEADER = 30  # bytes before a member's name; the last four are the lengths of name and extra field


def half(copy: Path) -> None:
    """Let the copy break off half-way."""
    os.truncate(copy, copy.stat().st_size // 2)


def byte_more(copy: Path) -> None:
    """Add a line break at the end, as a program for text may."""
    with copy.open("ab") as file:
        file.write(b"\n")


def hole_in_code(copy: Path) -> None:
    """Lose a part of the longest piece of code."""
    code = inspect(copy).code
    blank(copy, max(code, key=lambda name: code[name]))


def hole_in_weights(copy: Path) -> None:
    """Lose a part of a weight."""
    blank(copy, _weight(copy))


def forged(copy: Path) -> None:
    """Change a weight, and put a digest at the end that fits."""
    blank(copy, _weight(copy))
    os.truncate(copy, copy.stat().st_size - len(SIGNATURE) - DIGITS)
    append_digest(copy)


def renamed(_: Path) -> None:
    """Do nothing: the copy has another name than the file already."""


STORIES: dict[str, Callable[[Path], None]] = {
    story.__name__: story for story in (half, byte_more, hole_in_code, hole_in_weights, forged, renamed)
}


def write(path: str | Path, folder: str | Path) -> dict[str, Path]:
    """Write a copy of a file for each story; see `tsnb.checks.stories`."""
    copies = {story: Path(folder) / f"{story}.pt" for story in STORIES}
    Path(folder).mkdir(parents=True, exist_ok=True)
    for story, copy in copies.items():
        shutil.copyfile(path, copy)
        STORIES[story](copy)
    return copies


def blank(copy: Path, member: str) -> None:
    """Put zeros in place of the middle half of a member, as it is stored."""
    with zipfile.ZipFile(copy) as archive:
        info = archive.getinfo(f"{read(copy).root}/{member}")
    with copy.open("r+b") as file:
        file.seek(info.header_offset + HEADER - 4)
        start = info.header_offset + HEADER + sum(struct.unpack("<HH", file.read(4)))
        file.seek(start + info.compress_size // 4)
        file.write(bytes(info.compress_size // 2))


def _weight(copy: Path) -> str:
    weights = inspect(copy).weights
    return next(weight.member for weight in weights if weight.name.endswith(WEIGHT))
