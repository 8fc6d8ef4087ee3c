"""An artefact as a file: its digest, what else a file may be, its members."""

from __future__ import annotations

import os
import pickle
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import tsnb
from tsnb.artifacts import archive
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOBODY = 65534
ONNX = b"\x08\x07\x12\x07pytorch\x1a\x062.13.0:P\n\x15\n\x01X\n\x01W\x12\x01Y"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    linear = tsnb.trace(nn.Linear(2, 3).eval(), {"input": torch.zeros(1, 2)})
    return tsnb.save(linear, tmp_path / "linear.pt")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.pt"
    with quiet_jit() as jit:
        jit.save(jit.script(nn.Linear(2, 3)), str(path))
    return path


def refused(call: Callable[..., object], *arguments: object) -> tsnb.ArtifactError:
    with pytest.raises(tsnb.ArtifactError) as caught:
        call(*arguments)
    return caught.value


@contextmanager
def without_rights() -> Iterator[None]:
    """Be nobody within the block, where the tests run as root, whom permissions do not bind."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def change(path: Path, place: int, bits: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= bits
    path.write_bytes(content)


def write_export(path: Path) -> None:
    program = torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),))
    with path.open("wb") as file:
        torch.export.save(program, file)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as held:
        held.writestr("word/document.xml", "<document/>")


def test_the_digest_is_the_end_of_the_file_and_the_comment_of_the_archive(saved: Path) -> None:
    with zipfile.ZipFile(saved) as held:
        comment = held.comment
    assert saved.read_bytes().endswith(comment)
    assert comment.startswith(b"tsnb 1 xxh3-128 ")
    assert len(comment) == len(b"tsnb 1 xxh3-128 ") + 32


def test_the_digest_is_that_of_every_byte_before_it(saved: Path) -> None:
    import xxhash

    content = saved.read_bytes()
    assert xxhash.xxh3_128_hexdigest(content[:-32]).encode() == content[-32:]


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_how_many_bytes_are_read_at_once_does_not_matter(
    saved: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(archive, "PIECE", piece)
    assert archive.digest(saved) == "matches"


def test_two_saves_of_one_trace_are_the_same_bytes(tmp_path: Path) -> None:
    linear = tsnb.trace(nn.Linear(2, 3).eval(), {"input": torch.zeros(1, 2)})
    paths = [tmp_path / name / "linear.pt" for name in ("first", "second")]
    first, second = (tsnb.save(linear, path).read_bytes() for path in paths)
    assert first == second


def test_any_changed_byte_is_found(saved: Path) -> None:
    size = saved.stat().st_size
    for place in range(0, size - 1, 101):
        change(saved, place)
        assert archive.digest(saved) in {"differs", "absent", "newer"}, place
        change(saved, place)
    assert archive.digest(saved) == "matches"


def test_a_file_of_somebody_else_has_no_digest(foreign: Path) -> None:
    assert archive.digest(foreign) == "absent"
    assert archive.check(foreign).root == "foreign"


def test_a_damaged_file_of_somebody_else_is_refused(foreign: Path) -> None:
    with zipfile.ZipFile(foreign) as held:
        found = held.getinfo("foreign/data/0")
    change(foreign, found.header_offset + 64)
    error = refused(archive.check, foreign)
    assert (error.key, error.gaps["path"]) == ("artifacts.damaged", foreign)


def test_a_file_of_tsnb_without_its_digest_is_refused(saved: Path) -> None:
    content = bytearray(saved.read_bytes()[:-48])
    content[-2:] = b"\0\0"
    saved.write_bytes(content)
    assert archive.digest(saved) == "absent"
    assert archive.look(saved).first_damaged() is None
    assert refused(archive.check, saved).key == "artifacts.damaged"


def test_a_newer_format_is_named(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes().replace(b"tsnb 1 xxh3", b"tsnb 2 blak"))
    assert archive.digest(saved) == "newer"
    assert refused(archive.check, saved).key == "artifacts.newer"


def test_a_renamed_file_is_the_same_file(saved: Path) -> None:
    path = saved.rename(saved.with_name("other name.bin"))
    assert (archive.digest(path), archive.check(path).root) == ("matches", "linear")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.touch(), "It is empty"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "cut off"),
        (lambda path: torch.save({"weight": torch.ones(2)}, path), "a pickle, as torch.save"),
        (
            lambda path: torch.save(
                torch.ones(2), path, _use_new_zipfile_serialization=False
            ),
            "a pickle, as torch.save",
        ),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "a pickle, as torch.save"),
        (lambda path: save_file({"weight": torch.ones(2)}, path), "safetensors"),
        (lambda path: path.write_bytes(ONNX), "an ONNX model"),
        (write_export, "torch.export.load"),
        (write_zip, "a zip archive of something else"),
        (lambda path: path.write_text("just some text"), "Nothing known begins like it"),
    ],
)  # fmt: skip
def test_what_else_a_file_is_is_told(tmp_path: Path, write: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "model.pt"
    write(path)
    error = refused(archive.check, path)
    assert (error.key, error.gaps["size"]) == ("artifacts.not-torchscript", path.stat().st_size)
    assert words in str(error)


def test_a_folder_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refused(archive.check, tmp_path).key == "artifacts.folder"
    assert refused(archive.check, tmp_path / "none.pt").key == "artifacts.no-file"


def test_a_file_that_may_not_be_read(saved: Path) -> None:
    saved.chmod(0)
    for folder in saved.parents[:2]:
        folder.chmod(0o755)
    with without_rights():
        error = refused(archive.digest_of, saved)
    assert (error.key, error.gaps["why"]) == ("artifacts.unreadable", "Permission denied")


def test_members_and_their_sizes(saved: Path) -> None:
    held = archive.check(saved)
    assert held.below("data/") == ["data/0", "data/1"]
    assert (held.sizes["data/0"], len(held.read("data/0"))) == (24, 24)
    assert refused(held.read, "data/9").key == "artifacts.no-member"


def test_no_more_than_the_limit_of_a_member_is_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LIMIT", 10)
    assert len(archive.look(saved).read("data/0")) == 10


def test_unpacking_stays_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    names = ["code/a.py", "constants.pkl", "extra/tokenizer/../../../../evil.txt"]
    with zipfile.ZipFile(path, "w") as held:
        for name in names:
            held.writestr(f"evil/{name}", "text")
    folder = tmp_path / "some" / "folder"
    archive.look(path).unpack(names, folder)
    outside = [held for held in tmp_path.rglob("*.txt") if folder not in held.parents]
    assert outside == []


def test_looking_needs_no_torch(saved: Path, python: Callable[..., str]) -> None:
    code = (
        "import sys; from pathlib import Path; from tsnb import archive; "
        "print(archive.check(Path(sys.argv[1])).root, 'torch' in sys.modules)"
    )
    assert python(code, saved) == "linear False\n"
