"""Lay the course's notebooks and solutions into a folder of the reader's, as `tsnb course` does."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from tsnb.base.files import prepare_folder, refusals, write_bytes
from tsnb.cli.run import notebooks_in

ROOTS = Path(__file__).parents[1:3]  # the notebooks lie in the package of a wheel, in a checkout beside it
MANIFEST = ".tsnb-course.json"
FIRST = "00_start_here.ipynb"


def lay_out(folder: str | Path) -> tuple[list[str], list[str]]:
    """Lay notebooks and solutions into a folder, beside what else is there.

    A file that is there already is replaced only where it still is, byte for byte, what an earlier call wrote:
    the digests of those are kept in `.tsnb-course.json`. What the reader changed or brought stays.

    Parameters
    ----------
    folder
        A folder, which may hold other files; made where it is missing.

    Returns
    -------
    written
        Files that are new there, or newer than the ones that lay there untouched.
    kept
        Files that are there and are not as the course laid them; they were left alone.

    Raises
    ------
    ArtifactError
        It cannot be written to.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     (written, _), again = lay_out(folder), lay_out(folder)
    >>> written[0], again
    ('00_start_here.ipynb', ([], []))
    """
    source = next(root / "notebooks" for root in ROOTS if (root / "notebooks" / FIRST).is_file())
    target = prepare_folder(folder)
    prepare_folder(target / "solutions")
    try:
        laid = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the first time, or damaged: then what is there counts as the reader's
        laid = {}
    written, kept = [], []
    for path in [*notebooks_in(source), *sorted((source / "solutions").glob("*.py"))]:
        name, content = path.relative_to(source).as_posix(), path.read_bytes()
        own, there = sha256(content).hexdigest(), target / name
        with refusals(there):
            present = sha256(there.read_bytes()).hexdigest() if there.exists() else None
        if present not in (None, own, laid.get(name)):
            kept.append(name)
            continue
        if present != own:
            write_bytes(there, content)
            written.append(name)
        laid[name] = own
    write_bytes(target / MANIFEST, json.dumps(laid, indent=1).encode())
    return written, kept
