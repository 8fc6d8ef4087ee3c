"""An artefact as a file: what it looks like, its digest, its members. Needs no torch.

The format is described in `tsnb.artifacts.save`. Taught in notebook 03.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from tsnb.base.errors import ArtifactError
from tsnb.base.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Digest = Literal["matches", "differs", "absent", "newer"]

MEMBER = "tsnb_contract.json"
EXTRA = "extra/"
TOKENIZER = EXTRA + "tokenizer/"
SEAL = b"tsnb 1 xxh3-128 "  # then the digits, which end the file
DIGITS = 32
ANY_SEAL = re.compile(rb"tsnb (\d+) \S+ [0-9a-f]*\Z")
LONGEST_SEAL = 256
PIECE = 1 << 20  # bytes that are read at once
LIMIT = 64 << 20  # bytes of a member that is read whole; a zip bomb is longer
HEADS = {  # how files begin that are called a model too
    "empty": rb"\Z",
    "cut": rb"PK\x03\x04",
    "pickle": rb"\x80[\x02-\x05]",
    "safetensors": rb".{5}\0{3}\{",  # eight bytes of length, then JSON
    "onnx": rb"\x08[\x01-\x1f]\x12",  # the version of its format, then who wrote it
}


@dataclass(frozen=True)
class Archive:
    """The members of a TorchScript file.

    Attributes
    ----------
    path
        The file.
    root
        The folder in the archive that holds everything: the file's name when it was saved.
    sizes
        Bytes of each member, unpacked, by its name below the root.
    """

    path: Path
    root: str
    sizes: Mapping[str, int]

    def below(self, folder: str) -> list[str]:
        """Return the names of the members in a folder, such as `code/`."""
        return [name for name in self.sizes if name.startswith(folder)]

    def read(self, name: str) -> bytes:
        """Return the first 64 MiB of a member; nothing in it is run.

        Raises
        ------
        ArtifactError
            There is no such member, or it is damaged.
        """
        try:
            with zipfile.ZipFile(self.path) as held, held.open(f"{self.root}/{name}") as member:
                return member.read(LIMIT)
        except Exception as error:
            raise ArtifactError(
                f"{self.path} has no readable member {name}. Call tsnb.inspect(path) to see what it holds."
            ) from error

    def unpack(self, names: Iterable[str], folder: Path) -> None:
        """Write members to a folder, below their own folders."""
        with zipfile.ZipFile(self.path) as held:
            held.extractall(folder, [f"{self.root}/{name}" for name in names])

    def first_damaged(self) -> str | None:
        """Return a member that differs from its checksum in the archive, if there is one."""
        try:
            with zipfile.ZipFile(self.path) as held:
                return held.testzip()
        except Exception:  # noqa: BLE001, a damaged archive may raise anything
            return self.root


def seal(path: Path) -> None:
    """Append its own digest to a zip archive, as the archive's comment."""
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)  # the length of the comment: so far there is none
        file.write(struct.pack("<H", len(SEAL) + DIGITS) + SEAL)
        size = file.tell()
        file.seek(0)
        file.write(_digest(file, size))


def digest(path: Path) -> Digest:
    """Tell whether the digest that ends a file is that of its other bytes.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_SEAL))
        tail = file.read()
        found = ANY_SEAL.search(tail)
        if found is None:
            return "absent"
        if found[1] != b"1":
            return "newer"
        file.seek(0)
        return "matches" if tail.endswith(SEAL + _digest(file, size - DIGITS)) else "differs"


def look(path: Path) -> Archive:
    """Return the members of a TorchScript file; the digest is not looked at.

    Raises
    ------
    ArtifactError
        The file is something else; the sentence says what it looks like, and what to do.
    """
    try:
        with zipfile.ZipFile(path) as held:
            members = held.infolist()
    except Exception:  # noqa: BLE001, a damaged archive may raise anything
        members = []
    root = members[0].filename.partition("/")[0] if members else ""
    sizes = {found.filename.removeprefix(f"{root}/"): found.file_size for found in members}
    kind = _kind(sizes) if members else _kind_of_head(path)
    if kind != "torchscript":
        raise ArtifactError(
            f"{path} ({path.stat().st_size} bytes) is not a TorchScript file. "
            f"{say(f'artifacts.looks-{kind}')}"
        )
    return Archive(path, root, sizes)


def check(path: Path) -> Archive:
    """Return the members of a TorchScript file that is whole.

    A file by tsnb must have its digest; in anybody else's, the checksums of the archive must fit.

    Raises
    ------
    ArtifactError
        No such file, something else than TorchScript, damaged, or of a newer format.
    """
    state = digest_of(path)
    if state == "newer":
        raise ArtifactError(
            f"{path} says that a newer tsnb wrote it, in a format that this one does not "
            "know. Update tsnb; if it is the newest, the file is damaged: copy it again."
        )
    if state == "differs":
        raise ArtifactError(
            f"{path} is not as tsnb.save or torch.jit.save wrote it: bytes were changed, "
            "lost or added, by a copy that broke off, a failing disk or another program. It "
            "was not loaded. Copy it again, or save the trace again."
        )
    archive = look(path)
    by_tsnb = EXTRA + MEMBER in archive.sizes
    if state == "absent" and (by_tsnb or archive.first_damaged()):
        raise ArtifactError(
            f"{path} is not as tsnb.save or torch.jit.save wrote it: bytes were changed, "
            "lost or added, by a copy that broke off, a failing disk or another program. It "
            "was not loaded. Copy it again, or save the trace again."
        )
    return archive


def digest_of(path: Path) -> Digest:
    """Return the state of a file's digest, or say that there is no file to read."""
    try:
        if path.is_file():
            return digest(path)
        folder = path.is_dir()
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read: {error.strerror}. Check its permissions, and the disk."
        ) from error
    if folder:
        raise ArtifactError(
            f"{path} is a folder. Give the path of a .pt file; a folder that holds a "
            "Transformers model is loaded with tsnb.load."
        )
    raise ArtifactError(f"There is no file {path}. Save a trace first: tsnb.save(traced, path).")


def _kind(names: Iterable[str]) -> str:
    """Tell what a zip archive with these members is."""
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript"
    if "archive_format" in names:
        return "export"
    return "pickle" if "data.pkl" in names else "zip"


def _kind_of_head(path: Path) -> str:
    """Tell what a file that is no zip archive is, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(16)
    fitting = (kind for kind, pattern in HEADS.items() if re.match(pattern, head, re.DOTALL))
    return next(fitting, "unknown")


def _digest(file: BinaryIO, count: int) -> bytes:
    """Return the digits of the digest of the next bytes of a file."""
    import xxhash

    held = xxhash.xxh3_128()
    piece = memoryview(bytearray(PIECE))
    while count > 0 and (got := file.readinto(piece[: min(count, PIECE)])):  # type: ignore[attr-defined]
        held.update(piece[:got])
        count -= got
    return held.hexdigest().encode()
