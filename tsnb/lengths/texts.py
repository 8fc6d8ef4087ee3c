"""Read a reader's own texts from a file; what is wrong with it is said with its line."""

from __future__ import annotations

import csv
import json
from codecs import BOM_UTF8
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tsnb.base.errors import InputError, suggest
from tsnb.tracing.inputs import is_unicode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

WIDTH = 40  # characters of what was given, in an error
EXAMPLE = '{{"{column}": "a text"}}'


class Source(NamedTuple):
    """A file's whole text, and which column of it is wanted."""

    path: Path
    text: str
    column: str


def read_texts(path: str | Path, column: str = "text") -> list[str]:
    r"""Read texts from a `.txt`, `.csv` or `.jsonl` file in UTF-8.

    A `.txt` holds one text a line; a `.csv` has a header and one text a row; a `.jsonl` holds one
    JSON object a line. Blank lines and blank texts are skipped, and so is a byte order mark. Spaces
    around a line of a `.txt` are taken away.

    Parameters
    ----------
    path
        The file; `~` is the home folder.
    column
        The column of a `.csv`, or the key in a `.jsonl`, that holds the text.

    Raises
    ------
    InputError
        The file cannot be read, has another ending, is no UTF-8, holds no text, or has a line that
        does not fit; file and line are named.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "mine.jsonl")
    ...     _ = path.write_text('{"text": "Who was Jim Henson ?"}\n{"text": "A puppeteer"}\n')
    ...     read_texts(path)
    ['Who was Jim Henson ?', 'A puppeteer']

    Taught in notebook 02.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in READERS:
        raise InputError(
            f"{path} ends in none of {', '.join(READERS)}. Give a .txt (one text a line), a "
            ".csv (with a header) or a .jsonl file (one JSON object a line)."
        )
    source = Source(path, _decoded(path), column)
    found = [_checked(source, *item) for item in READERS[path.suffix.lower()](source)]
    if not (texts := [text for text in found if text.strip()]):
        raise InputError(f"{path} holds no text. Expected at least one, in a line that is not blank.")
    return texts


def _decoded(path: Path) -> str:
    """Return a file's text; bytes that are no UTF-8, and zero bytes, are told with their line."""
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {(error.strerror or error)}. Give the path of a .txt, "
            ".csv or .jsonl file of texts."
        ) from error
    try:
        text, zero = data.decode(), data.find(b"\0")
    except UnicodeDecodeError as error:
        text, zero = "", error.start
    if zero >= 0:
        line = len(data[: zero + 1].splitlines())
        raise InputError(
            f"{path} is no UTF-8 text: line {line} holds bytes that are none. Save it as "
            "UTF-8, or check that it is a file of texts."
        )
    return text


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    """Give each line with its number, without spaces around it, blank ones left out."""
    for number, line in enumerate(StringIO(source.text, newline=None), 1):
        if line.strip():
            yield number, line.strip()


def _rows(source: Source) -> Iterator[tuple[int, object]]:
    """Give the text of each row of a CSV file, with the number of the row's first line."""
    rows = _split(source)
    for line, header in islice(rows, 1):
        _pick(source, line, dict.fromkeys(header))
    for line, row in rows:
        if len(row) > len(header):
            raise InputError(
                f"{source.path}, line {line}: the row has more fields than the header. A text "
                "that holds commas must stand in quotation marks."
            )
        yield line, _pick(source, line, dict(zip(header, row, strict=False)))


def _split(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Give each row of a CSV file, the header too, with the number of its first line."""
    reader = csv.reader(StringIO(source.text, newline=""), strict=True)
    row: list[str] | None = []
    while row is not None:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{source.path}, line {line}: the row cannot be read as CSV ({error}). Check its "
                "quotation marks."
            ) from error
        if row:
            yield line, row


def _objects(source: Source) -> Iterator[tuple[int, object]]:
    """Give the text of each line of a JSON Lines file, with its number."""
    for line, text in _lines(source):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", None) or type(error).__name__
            raise InputError(
                f"{source.path}, line {line}: this is no JSON ({why}). Expected an object a line."
            ) from error
        if not isinstance(row, dict) or not row:
            given, example = _short(text), EXAMPLE.format(column=source.column)
            raise InputError(
                f"{source.path}, line {line}: expected a JSON object such as {example}; got {given}."
            )
        yield line, _pick(source, line, row)


def _pick(source: Source, line: int, row: Mapping[str, object]) -> object:
    """Return what a row has in the wanted column, or raise an error with the nearest name."""
    path, column = source.path, source.column
    if column not in row:
        near = suggest(column, row)
        raise InputError(f"{path}, line {line}: nothing here is called {column}. {near}")
    return row[column]


def _checked(source: Source, line: int, text: object) -> str:
    """Return a text that is one, or raise an error with its line."""
    path, column = source.path, source.column
    if not isinstance(text, str):
        given = _short(json.dumps(text))
        raise InputError(f"{path}, line {line}: {column} is {given}; expected a text.")
    if not is_unicode(text):
        raise InputError(
            f"{path}, line {line}: {column} holds half of a surrogate pair, which is no character."
        )
    return text


def _short(text: str) -> str:
    return f"{text[:WIDTH]} …" if len(text) > WIDTH else text


READERS: dict[str, Callable[[Source], Iterable[tuple[int, object]]]] = {
    ".txt": _lines,
    ".csv": _rows,
    ".jsonl": _objects,
}
