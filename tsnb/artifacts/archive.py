"""An artefact as a file: its digest, its members, and what else a file may be. Needs no torch.

The format is described in `tsnb.artifacts.save`. Taught in notebook 03.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from tsnb.base.errors import ArtifactError
from tsnb.tracing.contract import Contract

Digest = Literal["matches", "differs", "absent", "newer"]

MEMBER = "tsnb_contract.json"
EXTRA = "extra/"
TOKENIZER = EXTRA + "tokenizer/"
SIGNATURE = b"tsnb 1 xxh3-128 "  # then the digest's digits, which end the file
DIGITS = 32
ANY_DIGEST = re.compile(rb"tsnb (\d+) \S+ [0-9a-f]*\Z")
LONGEST_TAIL = 256  # bytes at the end in which a digest is looked for
PIECE = 1 << 20  # bytes that are read at once
LIMIT = 64 << 20  # bytes of a member that is read whole; a zip bomb is longer

ONNX = re.compile(rb"\x08[\x01-\x1f][\x12:]")  # the version of its format, then who wrote it, or the graph
PICKLE = (
    "It looks like a pickle, as torch.save writes: weights or an object, without the code of a trace. Load "
    "it as its maker says, then tsnb.trace and tsnb.save; a pickle runs what its maker wants."
)
BEGINNINGS = {  # how files begin that are called a model too
    rb"\Z": "It is empty. Copy or save it again.",
    rb"PK\x03\x04": "It is the beginning of a zip archive, cut off or damaged. Copy or download it again.",
    rb"\x80[\x02-\x05]": PICKLE,
    rb".{5}\0{3}\{": (  # eight bytes of length, then JSON
        "It looks like safetensors: weights, without the code of a trace. Load the folder that it came "
        "from with tsnb.load, then tsnb.trace and tsnb.save."
    ),
    rb"": "Nothing known begins like it. Expected what tsnb.save or torch.jit.save writes.",
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
    members
        Bytes of each member, unpacked, by its name below the root.
    format
        What recorded it: `torchscript`, or one of `tsnb.export`.
    """

    path: Path
    root: str
    members: Mapping[str, int]
    format: str = field(default="torchscript", kw_only=True)

    def below(self, folder: str) -> list[str]:
        """Return the names of the members in a folder, such as `code/`."""
        return [name for name in self.members if name.startswith(folder)]

    def read_bytes(self, name: str) -> bytes:
        """Return the first 64 MiB of a member; nothing in it is run.

        Raises
        ------
        ArtifactError
            There is no such member, or it is damaged.
        """
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.root}/{name}") as member:
                return member.read(LIMIT)
        except Exception as error:
            raise ArtifactError(
                f"{self.path} has no readable member {name}. Call tsnb.inspect(path) to see what it holds."
            ) from error

    def read_contract(self) -> Contract | None:
        """Return the contract that travels in the file; `None` where tsnb did not write it.

        Raises
        ------
        ArtifactError
            There is one, and it cannot be read.
        """
        if EXTRA + MEMBER not in self.members:
            return None
        try:
            return Contract.from_json(self.read_bytes(EXTRA + MEMBER).decode())
        except (ValueError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{self.path} is TorchScript, but the contract inside cannot be read: {error}. Save the "
                "trace again with tsnb.save, or run the file with torch.jit.load."
            ) from error

    def first_damaged(self) -> str | None:
        """Return the first member that differs from its checksum in the archive, if there is one."""
        name = self.root
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name in archive.namelist():
                    with archive.open(name) as member:
                        while member.read(PIECE):
                            pass
        except Exception:  # noqa: BLE001, a damaged archive may raise anything, and testzip lets some of it through
            return name
        return None


def append_digest(path: Path) -> None:
    """Append its own digest to a zip archive, as the archive's comment."""
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)  # the length of the comment: so far there is none
        file.write(struct.pack("<H", len(SIGNATURE) + DIGITS) + SIGNATURE)
        size = file.tell()
        file.seek(0)
        file.write(_digits(file, size))


def digest(path: Path) -> Digest:
    """Compare the digest that ends a file with that of its other bytes.

    Raises
    ------
    ArtifactError
        There is no such file, or it cannot be read.
    """
    try:
        if path.is_dir():
            raise ArtifactError(
                f"{path} is a folder. Give the path of a .pt file; the folder of a Transformers model is "
                "loaded with tsnb.load."
            )
        if not path.is_file():
            raise ArtifactError(f"There is no file {path}. Save a trace first: tsnb.save(traced, path).")
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LONGEST_TAIL))
            tail = file.read()
            match = ANY_DIGEST.search(tail)
            if match is None or match[1] != b"1":
                return "newer" if match else "absent"
            file.seek(0)
            return "matches" if tail.endswith(SIGNATURE + _digits(file, size - DIGITS)) else "differs"
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read: {error.strerror}. Check its permissions, and the disk."
        ) from error


def read(path: Path) -> Archive:
    """Return the members of a file of TorchScript, or of `tsnb.export`; the digest is not compared.

    Raises
    ------
    ArtifactError
        The file is something else; the sentence says what it looks like, and what to do.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception:  # noqa: BLE001, a damaged archive may raise anything
        members = []
    root = members[0].filename.partition("/")[0] if members else ""
    sizes = {member.filename.removeprefix(f"{root}/"): member.file_size for member in members}
    with path.open("rb") as file:
        beginning = file.read(16)
    form = ""
    if "constants.pkl" in sizes and any(name.startswith("code/") for name in sizes):
        form = "torchscript"
    elif "archive_format" in sizes:
        form = "aotinductor" if any(name.startswith("data/aotinductor/") for name in sizes) else "export"
    elif ONNX.match(beginning):
        form = "onnx"
    if form:
        return Archive(path, root, sizes, format=form)
    raise ArtifactError(
        f"{path} ({path.stat().st_size} bytes) is not a TorchScript file. {_looks_like(beginning, sizes)}"
    )


def check(path: Path) -> Archive:
    """Return the members of a file that is whole.

    A file by tsnb must have its digest; in anybody else's, the checksums of the archive must fit, where it has any.

    Raises
    ------
    ArtifactError
        No such file, something else than a recorded model, damaged, or of a newer format.
    """
    state = digest(path)
    if state == "newer":
        raise ArtifactError(
            f"{path} says that a newer tsnb wrote it, in a format that this one does not know. Update tsnb; "
            "if it is the newest, the file is damaged: copy it again."
        )
    if state != "differs":
        archive = read(path)
        by_tsnb = EXTRA + MEMBER in archive.members
        if state == "matches" or not (by_tsnb or (archive.members and archive.first_damaged())):
            return archive
    raise ArtifactError(
        f"{path} is not as it was saved: bytes were changed, lost or added, by a broken copy, a failing "
        "disk or another program. It was not loaded. Copy it again, or save the trace again."
    )


def _looks_like(beginning: bytes, members: Mapping[str, int]) -> str:
    """Say what a file is by its members or, where it is no zip archive, by its first bytes."""
    if "data.pkl" in members:
        return PICKLE
    if members:
        return "It is a zip archive of something else. Expected what tsnb.save or torch.jit.save writes."
    return next(words for pattern, words in BEGINNINGS.items() if re.match(pattern, beginning, re.DOTALL))


def _digits(file: BinaryIO, count: int) -> bytes:
    """Return the digits of the digest of the next bytes of a file."""
    import xxhash

    state = xxhash.xxh3_128()
    while count > 0 and (piece := file.read(min(count, PIECE))):
        state.update(piece)
        count -= len(piece)
    return state.hexdigest().encode()
