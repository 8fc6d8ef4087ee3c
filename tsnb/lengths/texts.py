"""Read a reader's own texts from a file; an error names the line that is wrong. Taught in notebook 02."""

from __future__ import annotations

import csv
import json
from codecs import BOM_UTF8
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from tsnb.base.errors import InputError, suggest
from tsnb.tracing.inputs import is_unicode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Rows = Iterator[tuple[int, Mapping[str, object] | str]]  # a row's line, and the row or what is wrong with it

WIDTH = 40  # characters of a value that an error shows


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
            f"{path} ends in none of {', '.join(READERS)}. Give a .txt (one text a line), a .csv (with a "
            "header) or a .jsonl file (one JSON object a line)."
        )
    texts = []
    for line, row in READERS[path.suffix.lower()](_decoded(path), column):
        if isinstance(row, str):
            wrong = row
        elif column not in row:
            wrong = f"nothing here is called {column}. {suggest(column, row)}"
        elif not isinstance(text := row[column], str):
            wrong = f"{column} is {_short(json.dumps(text))}; expected a text."
        elif not is_unicode(text):
            wrong = f"{column} holds half of a surrogate pair, which is no character."
        else:
            texts.append(text)
            continue
        raise InputError(f"{path}, line {line}: {wrong}")
    if not (texts := [text for text in texts if text.strip()]):
        raise InputError(f"{path} holds no text. Expected at least one, in a line that is not blank.")
    return texts


def _decoded(path: Path) -> str:
    """Return a file's text, or raise an InputError with the line of a byte that is none."""
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
        text, bad = data.decode(), data.find(b"\0")
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{path} cannot be read: {why}. Give the path of a file of texts.") from error
    except UnicodeDecodeError as error:
        text, bad = "", error.start
    if bad >= 0:
        raise InputError(
            f"{path} is no UTF-8 text: line {len(data[: bad + 1].splitlines())} holds bytes that are none. "
            "Save it as UTF-8, or check that it is a file of texts."
        )
    return text


def _txt_rows(text: str, column: str) -> Rows:
    for number, line in enumerate(StringIO(text, newline=None), 1):
        if line.strip():
            yield number, {column: line.strip()}


def _csv_rows(text: str, _: str) -> Rows:
    """Give the header as a row of blank texts, then the rows.

    `csv.DictReader` doesn't know a row's first line, where a quotation mark that is never closed stands.
    """
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for row in reader:
            if row and not header:
                header = row
                yield line, dict.fromkeys(header, "")
            elif len(row) > len(header):
                yield (line, "the row has more fields than the header. A text with commas needs quotation marks.")
            elif row:
                yield line, dict(zip(header, row, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        yield line, f"the row cannot be read as CSV ({error}). Check its quotation marks."


def _jsonl_rows(text: str, column: str) -> Rows:
    for number, line in enumerate(StringIO(text, newline=None), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", None) or type(error).__name__
            yield number, f"this is no JSON ({why}). Expected an object a line."
        else:
            example = f'expected a JSON object such as {{"{column}": "a text"}}; got {_short(line.strip())}.'
            yield number, row if row and isinstance(row, dict) else example


def _short(value: str) -> str:
    return f"{value[:WIDTH]} …" if len(value) > WIDTH else value


READERS = {".txt": _txt_rows, ".csv": _csv_rows, ".jsonl": _jsonl_rows}
