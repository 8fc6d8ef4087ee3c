"""An artefact as a file: its digest, what else a file may be, its members."""

import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import tsnb
from tsnb.artifacts import archive

NOBODY = 65534


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    linear = tsnb.trace(nn.Linear(2, 3).eval(), {"input": torch.zeros(1, 2)})
    return tsnb.save(linear, tmp_path / "linear.pt")


def refused(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(tsnb.ArtifactError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def without_rights() -> Iterator[None]:
    """Be nobody within the block, where the tests run as root, whom permissions do not bind."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("word/document.xml", "<document/>")


def test_the_digest_of_every_byte_before_it_is_the_comment_of_the_archive(saved: Path) -> None:
    import xxhash

    content = saved.read_bytes()
    with zipfile.ZipFile(saved) as file:
        assert file.comment == b"tsnb 1 xxh3-128 " + xxhash.xxh3_128_hexdigest(content[:-32]).encode()
    assert content.endswith(file.comment)
    renamed = saved.rename(saved.with_name("other name.bin"))
    assert (archive.digest(renamed), archive.check(renamed).root) == ("matches", "linear")


def test_a_file_of_a_newer_format_or_with_a_changed_byte_is_refused(saved: Path) -> None:
    content = saved.read_bytes()
    for changed, words in ((b"tsnb 2 blak", "Update tsnb"), (b"tsnb 1 xxh4", "bytes were changed")):
        saved.write_bytes(content.replace(b"tsnb 1 xxh3", changed))
        for call in (tsnb.load_traced, tsnb.load_tokenizer):
            assert words in refused(call, saved)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.touch(), "It is empty"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "cut off"),
        (lambda path: torch.save({"a": torch.ones(2)}, path), "a pickle, as torch.save"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "a pickle, as torch.save"),
        (lambda path: save_file({"weight": torch.ones(2)}, path), "safetensors"),
        (write_zip, "a zip archive of something else"),
        (lambda path: path.write_text("just some text"), "Nothing known begins like it"),
    ],
)
def test_what_else_a_file_is_is_told(tmp_path: Path, write: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "model.pt"
    write(path)
    for call in (tsnb.load_traced, tsnb.inspect, tsnb.load_tokenizer):
        message = refused(call, path)
        assert f"({path.stat().st_size} bytes) is not a TorchScript file" in message
        assert words in message


def test_a_folder_no_file_and_one_that_may_not_be_read(saved: Path, tmp_path: Path) -> None:
    saved.chmod(0)
    for folder in saved.parents[:2]:
        folder.chmod(0o755)
    for call in (tsnb.load_traced, tsnb.inspect, tsnb.load_tokenizer):
        assert f"{tmp_path} is a folder" in refused(call, tmp_path)
        assert "There is no file" in refused(call, tmp_path / "none.pt")
        with without_rights():
            assert "cannot be read: Permission denied" in refused(call, saved)
