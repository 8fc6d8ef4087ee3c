"""No damage crashes the process or gives wrong numbers."""

import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

import tsnb
from tests.artifacts.test_save import example, plain_save
from tests.kinds import Load, Traces

Damage = Callable[[random.Random, bytes], bytes]
Outcome = tuple[str, str]  # of loading and running it, and of inspecting it

REFUSED = ("bytes were changed", "Update tsnb", "is not a TorchScript file")


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


def members(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(contents: dict[str, bytes], like: bytes = b"", *more: tuple[str, bytes]) -> bytes:
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


def flip_anywhere(draw: random.Random, whole: bytes) -> bytes:
    return flip(whole, draw.randrange(len(whole)), draw)


DAMAGES: list[tuple[int, str, Damage]] = [
    (214, "flip", flip_anywhere),
    (80, "flip table", flip_table),
    (40, "flip end", lambda draw, whole: flip(whole, len(whole) - 1 - draw.randrange(100), draw)),
    (40, "cut", lambda draw, whole: whole[: draw.randrange(1, len(whole))]),
    (20, "cut end", lambda draw, whole: whole[: -draw.randrange(1, 100)]),
    (10, "cut start", lambda draw, whole: whole[draw.randrange(1, 100) :]),
    (20, "add", lambda draw, whole: whole + draw.randbytes(draw.choice([1, 2, 64, 4096]))),
    (30, "drop", drop),
    (25, "double", double),
    (5, "append", append),
    (1, "without digest", lambda _, whole: zipped(members(whole))),
    (15, "noise", lambda draw, _: draw.randbytes(draw.choice([0, 1, 3, 100, 100_000]))),
]


def outcome(path: Path, inputs: Any, expected: Any) -> Outcome:
    """Load a file and run it, and inspect it: an error's sentence, or the numbers and the digest."""
    try:
        outputs = tsnb.load_traced(path)(**inputs)
        pairs = zip(outputs.values(), expected.values(), strict=True)  # names travel in a contract
        loaded = "same" if all(torch.equal(*pair) for pair in pairs) else "wrong"
    except tsnb.ArtifactError as error:
        loaded = str(error)
    try:
        artifact = tsnb.inspect(path)
        return loaded, artifact.digest if str(artifact) else "no text"
    except tsnb.ArtifactError as error:
        return loaded, str(error)


def test_500_damages_are_refused_in_one_sentence(traced: Traces, load: Load, tmp_path: Path) -> None:
    trace, path = traced(), tmp_path / "damaged.pt"
    inputs = example(trace)
    expected, whole = trace(**inputs), tsnb.save(trace, tmp_path / "whole.pt", load()[1]).read_bytes()
    inspected = []
    for count, name, damage in DAMAGES:
        for number in range(count):
            path.write_bytes(damage(random.Random(f"{name} {number}"), whole))
            loaded, digest = outcome(path, inputs, expected)
            assert any(words in loaded for words in REFUSED), (name, number, loaded)
            assert "\n" not in loaded
            assert digest in {"differs", "absent", "newer"} or "is not a TorchScript file" in digest
            inspected.append(digest)
    assert len(inspected) == 500
    assert inspected.count("differs") > 100


def test_a_damaged_file_of_somebody_else_is_refused_or_gives_the_same_numbers(traced: Traces, tmp_path: Path) -> None:
    trace, path = traced(), tmp_path / "damaged.pt"
    inputs = example(trace)
    expected, whole = trace(**inputs), plain_save(trace.module, tmp_path / "foreign.pt").read_bytes()
    for number in range(60):
        path.write_bytes(flip_anywhere(random.Random(number), whole))
        loaded, _ = outcome(path, inputs, expected)
        assert loaded == "same" or any(words in loaded for words in (*REFUSED, "cannot load")), number
