"""Ways to damage an artefact, from a seed; run as a program, it tells what became of each."""

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


def flip(draw: random.Random, whole: bytes) -> bytes:
    """Change one bit, anywhere."""
    return _flipped(whole, draw.randrange(len(whole)), draw)


def flip_table(draw: random.Random, whole: bytes) -> bytes:
    """Change one bit of a header, of the table at the end, or of the digest."""
    table = whole.index(b"PK\x01\x02")
    with zipfile.ZipFile(BytesIO(whole)) as held:
        headers = [found.header_offset + draw.randrange(30) for found in held.infolist()]
    return _flipped(whole, draw.choice([*headers, *range(table, len(whole), 97)]), draw)


def flip_end(draw: random.Random, whole: bytes) -> bytes:
    """Change one bit of the last 100 bytes: the end of the archive, and the digest."""
    return _flipped(whole, len(whole) - 1 - draw.randrange(100), draw)


def cut(draw: random.Random, whole: bytes) -> bytes:
    """Keep the beginning only."""
    return whole[: draw.randrange(1, len(whole))]


def cut_end(draw: random.Random, whole: bytes) -> bytes:
    """Lose a few bytes at the end."""
    return whole[: -draw.randrange(1, 100)]


def cut_start(draw: random.Random, whole: bytes) -> bytes:
    """Lose a few bytes at the beginning."""
    return whole[draw.randrange(1, 100) :]


def add(draw: random.Random, whole: bytes) -> bytes:
    """Put bytes at the end, as many as a broken download may."""
    return whole + draw.randbytes(draw.choice([1, 2, 64, 4096]))


def insert(draw: random.Random, whole: bytes) -> bytes:
    """Put bytes somewhere inside."""
    place = draw.randrange(len(whole))
    return whole[:place] + draw.randbytes(draw.choice([1, 64])) + whole[place:]


def blank(draw: random.Random, whole: bytes) -> bytes:
    """Lose a block of the disk."""
    place = draw.randrange(len(whole) - 4096)
    return whole[:place] + bytes(4096) + whole[place + 4096 :]


def newlines(_: random.Random, whole: bytes) -> bytes:
    """Send the file as if it were text."""
    return whole.replace(b"\n", b"\r\n")


def swap(draw: random.Random, whole: bytes) -> bytes:
    """Let two members change places, with checksums that fit."""
    members = _members(whole)
    first, second = draw.sample([name for name in members if "/data/" in name], 2)
    members[first], members[second] = members[second], members[first]
    return _zipped(members, whole)


def drop(draw: random.Random, whole: bytes) -> bytes:
    """Leave a member out."""
    members = _members(whole)
    del members[draw.choice(list(members))]
    return _zipped(members, whole)


def double(draw: random.Random, whole: bytes) -> bytes:
    """Put a second member under the name of another."""
    members = _members(whole)
    name = draw.choice(list(members))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _zipped(members, whole, (name, bytes(len(members[name]))))


def append(draw: random.Random, whole: bytes) -> bytes:
    """Let another program add a member."""
    held = BytesIO(whole)
    with zipfile.ZipFile(held, "a") as archive:
        archive.writestr("notes.txt", draw.randbytes(10))
    return held.getvalue()


def unsealed(_: random.Random, whole: bytes) -> bytes:
    """Pack the members again without the digest."""
    return _zipped(_members(whole), b"")


def rename_members(draw: random.Random, whole: bytes) -> bytes:
    """Give a member the name of another of its size, in the archive's table only."""
    with zipfile.ZipFile(BytesIO(whole)) as held:
        names = [found.filename.encode() for found in held.infolist() if found.file_size == 512]
    alike = [name for name in names if len(name) == len(names[-1])]
    first, second = draw.sample(alike, 2)
    table = whole.index(b"PK\x01\x02")
    return whole[:table] + whole[table:].replace(first + b"PK", second + b"PK", 1)


def other_zip(draw: random.Random, _: bytes) -> bytes:
    """Be a zip archive of something else."""
    return _zipped({"word/document.xml": draw.randbytes(1000)}, b"")


def a_pickle(draw: random.Random, _: bytes) -> bytes:
    """Be what pickle wrote."""
    return pickle.dumps({"weights": draw.randbytes(1000)})


def torch_saved(draw: random.Random, _: bytes) -> bytes:
    """Be what torch.save wrote."""
    held = BytesIO()
    modern = draw.random() < 0.5
    torch.save({"weight": torch.ones(9)}, held, _use_new_zipfile_serialization=modern)
    return held.getvalue()


def noise(draw: random.Random, _: bytes) -> bytes:
    """Be no file of any kind."""
    return draw.randbytes(draw.choice([0, 1, 3, 100, 100_000]))


COUNTS: dict[Damage, int] = {
    flip: 150,
    flip_table: 60,
    flip_end: 40,
    cut: 40,
    cut_end: 20,
    cut_start: 10,
    add: 20,
    insert: 20,
    blank: 20,
    newlines: 1,
    swap: 30,
    drop: 20,
    double: 15,
    append: 5,
    unsealed: 1,
    rename_members: 15,
    other_zip: 3,
    a_pickle: 3,
    torch_saved: 12,
    noise: 15,
}


def _flipped(whole: bytes, place: int, draw: random.Random) -> bytes:
    changed = bytearray(whole)
    changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _members(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(whole)) as held:
        return {name: held.read(name) for name in held.namelist()}


def _zipped(members: dict[str, bytes], like: bytes, *more: tuple[str, bytes]) -> bytes:
    """Pack members, with the comment of another archive."""
    held = BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in [*members.items(), *more]:
            archive.writestr(name, content)
        if like:
            (length,) = struct.unpack_from("<H", like, like.rindex(b"PK\x05\x06") + 20)
            archive.comment = like[len(like) - length :]
    return held.getvalue()


def fate(path: Path, inputs: Any, expected: Any) -> str:
    """Load a file and run it: the key of the error, or whether the numbers are the same."""
    try:
        outputs = tsnb.load_traced(path)(**inputs)
    except tsnb.ArtifactError as error:
        return error.key
    pairs = zip(outputs.values(), expected.values(), strict=True)  # names travel in a contract
    return "same" if all(torch.equal(*pair) for pair in pairs) else "wrong"


def seen(path: Path) -> str:
    """Look into a file: the key of the error, or the state of its digest."""
    try:
        held = tsnb.inspect(path)
    except tsnb.ArtifactError as error:
        return error.key
    assert str(held)
    return held.digest


def main(folder: Path) -> None:
    """Damage two files in every way; print a line for each, the name before it is tried."""
    torch.set_num_threads(1)
    inputs, expected = torch.load(folder / "expected")
    whole, foreign = ((folder / name).read_bytes() for name in ("whole.pt", "foreign.pt"))
    path = folder / "damaged.pt"
    tries = [(way, whole, number) for way, count in COUNTS.items() for number in range(count)]
    tries += [(flip, foreign, 1000 + number) for number in range(60)]
    for way, content, seed in tries:
        name = f"{way.__name__} {seed}"
        sys.stderr.write(f"{name}\n")
        path.write_bytes(way(random.Random(f"{way.__name__} {seed}"), content))
        line = {"damage": name, "fate": fate(path, inputs, expected), "seen": seen(path)}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
