"""Write and read what `tsnb.export` recorded, with contract and tokenizer inside. Taught in notebook 06.

The file is what torch or an ONNX exporter writes, so that `torch.export.load`, `torch._inductor.aoti_load_package`,
C++ and onnxruntime open it. In the two kinds of `.pt2`, which are zip archives, the extra files are members; in ONNX,
a protobuf message, they are a zip archive in a last field of a number that ONNX does not use and its readers skip.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from tsnb.artifacts.archive import DIGITS, EXTRA, SIGNATURE
from tsnb.tracing.exported import Program, from_onnx, from_package, from_program

if TYPE_CHECKING:
    import torch

    from tsnb.artifacts.archive import Archive

FIELD = 1000  # of the protobuf message
BITS = 7  # in each byte of its whole numbers; the eighth says that another byte follows


def write_program(program: Program, path: Path, extra: Mapping[str, str | bytes]) -> None:
    """Write a program and extra files, by name; a digest may be appended then."""
    import torch

    files = {f"{EXTRA}{name}": text for name, text in extra.items()}
    if program.format == "onnx":
        file = BytesIO()
        with ZipFile(file, "w") as new:
            for name, text in files.items():
                new.writestr(f"model/{name}", text)
        path.write_bytes(program.content + _field(file.tell() + len(SIGNATURE) + DIGITS) + file.getvalue())
        return
    if program.format == "export":
        with path.open("wb") as written:
            torch.export.save(program.content, written)
    else:  # what was loaded from a file has that file's contract inside
        with ZipFile(BytesIO(program.content)) as old, ZipFile(path, "w") as new:
            for item in old.infolist():
                if not item.filename.partition("/")[2].startswith(EXTRA):
                    new.writestr(item, old.read(item))
    with ZipFile(path, "a") as new:
        root = new.namelist()[0].partition("/")[0]
        for name, text in files.items():
            new.writestr(f"{root}/{name}", text)


def read_program(archive: Archive, names: tuple[str, ...], device: str | torch.device | None) -> Program:
    """Load a program from its file, whichever it is; a `torch.export` one onto a device.

    Parameters
    ----------
    archive
        Of the file.
    names
        Of the inputs, as the contract has them; empty where there is none.
    device
        `None` for the one that it was recorded on.
    """
    content = archive.path.read_bytes()
    if archive.format == "aotinductor":
        return from_package(content)
    if archive.format == "export":
        import torch
        from torch.export.passes import move_to_device_pass

        program = torch.export.load(BytesIO(content))
        return from_program(program if device is None else move_to_device_pass(program, device))
    if archive.members:
        with ZipFile(archive.path) as file:
            start = min(item.header_offset for item in file.infolist())
        content = content[: start - len(_field(len(content) - start))]
    return from_onnx(content, names)


def _field(size: int) -> bytes:
    """Return how a protobuf field of so many bytes begins: its number and type, and the size, as varints.

    >>> _field(300).hex(" ")
    'c2 3e ac 02'
    """
    begin = bytearray()
    for number in (FIELD << 3 | 2, size):
        groups = [number >> shift & 127 for shift in range(0, max(1, number.bit_length()), BITS)]
        begin += bytes(group | 128 for group in groups[:-1]) + bytes(groups[-1:])
    return bytes(begin)
