"""Ways to damage an artefact, from a seed; run as a program, it says what became of each."""

from __future__ import annotations

import json
import pickle
import random
import struct
import sys
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import tsnb

if TYPE_CHECKING:
    from collections.abc import Callable

    Damage = Callable[[random.Random, bytes], bytes]


def flip(whole: bytes, place: int, draw: random.Random) -> bytes:
    changed = bytearray(whole)
    changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)


def flip_table(draw: random.Random, whole: bytes) -> bytes:
    """Change one bit of a header, of the table at the end, or of the digest."""
    table = whole.index(b"PK\x01\x02")
    with zipfile.ZipFile(BytesIO(whole)) as archive:
        headers = [member.header_offset + draw.randrange(30) for member in archive.infolist()]
    return flip(whole, draw.choice([*headers, *range(table, len(whole), 97)]), draw)


def insert(draw: random.Random, whole: bytes) -> bytes:
    place = draw.randrange(len(whole))
    return whole[:place] + draw.randbytes(draw.choice([1, 64])) + whole[place:]


def blank(draw: random.Random, whole: bytes) -> bytes:
    """Lose a block of the disk."""
    place = draw.randrange(len(whole) - 4096)
    return whole[:place] + bytes(4096) + whole[place + 4096 :]


def members(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(contents: dict[str, bytes], like: bytes, *more: tuple[str, bytes]) -> bytes:
    """Pack members, with the comment of another archive."""
    packed = BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in [*contents.items(), *more]:
            archive.writestr(name, content)
        if like:
            (length,) = struct.unpack_from("<H", like, like.rindex(b"PK\x05\x06") + 20)
            archive.comment = like[len(like) - length :]
    return packed.getvalue()


def swap(draw: random.Random, whole: bytes) -> bytes:
    """Let two members change places, with checksums that fit."""
    contents = members(whole)
    first, second = draw.sample([name for name in contents if "/data/" in name], 2)
    contents[first], contents[second] = contents[second], contents[first]
    return zipped(contents, whole)


def drop(draw: random.Random, whole: bytes) -> bytes:
    contents = members(whole)
    del contents[draw.choice(list(contents))]
    return zipped(contents, whole)


def double(draw: random.Random, whole: bytes) -> bytes:
    """Put a second member under the name of another."""
    contents = members(whole)
    name = draw.choice(list(contents))
    return zipped(contents, whole, (name, bytes(len(contents[name]))))


def append(draw: random.Random, whole: bytes) -> bytes:
    """Let another program add a member."""
    packed = BytesIO(whole)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("notes.txt", draw.randbytes(10))
    return packed.getvalue()


def rename_members(draw: random.Random, whole: bytes) -> bytes:
    """Give a member the name of another of its size, in the archive's table only."""
    with zipfile.ZipFile(BytesIO(whole)) as archive:
        names = [member.filename.encode() for member in archive.infolist() if member.file_size == 512]
    first, second = draw.sample([name for name in names if len(name) == len(names[-1])], 2)
    table = whole.index(b"PK\x01\x02")
    return whole[:table] + whole[table:].replace(first + b"PK", second + b"PK", 1)


def torch_saved(draw: random.Random, _: bytes) -> bytes:
    packed = BytesIO()
    modern = draw.random() < 0.5
    torch.save({"weight": torch.ones(9)}, packed, _use_new_zipfile_serialization=modern)
    return packed.getvalue()


def flip_anywhere(draw: random.Random, whole: bytes) -> bytes:
    return flip(whole, draw.randrange(len(whole)), draw)


COUNTS: list[tuple[int, str, Damage]] = [
    (150, "flip", flip_anywhere),
    (60, "flip table", flip_table),
    (40, "flip end", lambda draw, whole: flip(whole, len(whole) - 1 - draw.randrange(100), draw)),
    (40, "cut", lambda draw, whole: whole[: draw.randrange(1, len(whole))]),
    (20, "cut end", lambda draw, whole: whole[: -draw.randrange(1, 100)]),
    (10, "cut start", lambda draw, whole: whole[draw.randrange(1, 100) :]),
    (20, "add", lambda draw, whole: whole + draw.randbytes(draw.choice([1, 2, 64, 4096]))),
    (20, "insert", insert),
    (20, "blank", blank),
    (1, "newlines", lambda _, whole: whole.replace(b"\n", b"\r\n")),  # sent as if it were text
    (30, "swap", swap),
    (20, "drop", drop),
    (15, "double", double),
    (5, "append", append),
    (1, "without digest", lambda _, whole: zipped(members(whole), b"")),
    (15, "rename members", rename_members),
    (3, "another zip", lambda draw, _: zipped({"word/document.xml": draw.randbytes(1000)}, b"")),
    (3, "a pickle", lambda draw, _: pickle.dumps({"weights": draw.randbytes(1000)})),
    (12, "torch.save", torch_saved),
    (15, "noise", lambda draw, _: draw.randbytes(draw.choice([0, 1, 3, 100, 100_000]))),
]


def outcome(path: Path, inputs: Any, expected: Any) -> tuple[str, str]:
    """Load a file and run it, and inspect it: an error's sentence, or the numbers and the digest."""
    try:
        outputs = tsnb.load_traced(path)(**inputs)
        pairs = zip(outputs.values(), expected.values(), strict=True)  # names travel in a contract
        loaded = "same" if all(torch.equal(*pair) for pair in pairs) else "wrong"
    except tsnb.ArtifactError as error:
        loaded = str(error)
    try:
        artifact = tsnb.inspect(path)
        inspected = artifact.digest if str(artifact) else "no text"
    except tsnb.ArtifactError as error:
        inspected = str(error)
    return loaded, inspected


def main(folder: Path) -> None:
    """Damage two files in every way; print a line for each, its name to stderr before it is tried."""
    torch.set_num_threads(1)
    inputs, expected = torch.load(folder / "expected")
    whole, foreign = ((folder / name).read_bytes() for name in ("whole.pt", "foreign.pt"))
    tries = [(name, way, whole, number) for count, name, way in COUNTS for number in range(count)]
    tries += [("foreign flip", flip_anywhere, foreign, number) for number in range(60)]
    for name, way, content, number in tries:
        sys.stderr.write(f"{name} {number}\n")
        (folder / "damaged.pt").write_bytes(way(random.Random(f"{name} {number}"), content))
        loaded, inspected = outcome(folder / "damaged.pt", inputs, expected)
        sys.stdout.write(json.dumps({"damage": name, "loaded": loaded, "inspected": inspected}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
