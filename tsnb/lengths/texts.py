"""Read a reader's own texts from a file; an error names the line that is wrong. Taught in notebook 02."""

from __future__ import annotations

import csv
import json
import re
import warnings
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import Any

from tsnb.base.errors import InputError, suggest
from tsnb.tracing.inputs import is_unicode

Values = Iterable[tuple[int, object]]  # each with its line; a value is to be a text

WIDTH = 40  # characters of a value that a sentence shows
BYTE_ORDER_MARKS = {
    "utf-8": (BOM_UTF8,),
    "utf-32": (BOM_UTF32_LE, BOM_UTF32_BE),
    "utf-16": (BOM_UTF16_LE, BOM_UTF16_BE),
}
END_OF_FILE = re.compile(r"\x1a[\x1a\s]*\Z")  # DOS's
SEPARATORS, TABS_FIRST = ",;\t|", "\t,;|"
SEPARATOR_LINE = re.compile(r'"?sep=([^" \r\n])"?[,;\t ]*(?:\r\n?|\n|\Z)')  # Excel's, above the header
FIELD_SIZE_LIMIT = Lock()  # csv has one for the whole process
BETWEEN = re.compile(r"[\s,]*")  # two values of JSON
# What other encodings look like when they are read as Windows-1252: letters and signs that Western European languages
# hardly have (Czech, Turkish, Baltic), three accents in a row (Cyrillic, Greek, Chinese), signs inside words (Polish,
# Japanese, DOS), or õ before another letter than e (Hungarian).
LETTERS, SIGNS = "À-ÏÑ-ÖØ-Üß-ïñ-öø-üŒœ", r"\u201a\u201c-\u201e•¡£§ª«»°²³µº¿½"
NOT_WESTERN = re.compile(
    rf"[^\x01-\x7f{LETTERS}{SIGNS}\xa0€…\u2013\u2014\u2018\u2019™©®±\xb4·×]"
    rf"|[{LETTERS}]{{3}}|[^\W\d_][{SIGNS}][^\W\d_]|[Õõ](?![Ee])"
)


class TextsWarning(UserWarning):
    """A file of texts that can be read in more than one way; the sentence names the one that was taken."""


def read_texts(path: str | Path, column: str = "text", *, encoding: str | None = None) -> list[str]:
    r"""Read texts from a `.txt`, `.csv`, `.tsv`, `.json` or `.jsonl` file.

    A `.txt` holds one text a line; where its first line names the column, beside others and between
    tabs, it is a table. A `.csv` or `.tsv` has a header and one text a row; the header shows whether
    commas, semicolons, tabs or `|` separate its columns, or Excel's `sep=;` in a line above it does.
    A `.json` or `.jsonl` holds JSON objects one after another, or a list of objects or of texts.
    Blank lines and blank texts are skipped, byte order marks and DOS's end of file are taken out.
    Spaces around a line of a `.txt` are taken away.

    A byte order mark tells the encoding; without one it is UTF-8. A file that is none, and that
    looks Western European in Excel's older Windows-1252, is read as that. A `TextsWarning` names what
    was taken for such a file, and for a `.txt` with tabs.

    Parameters
    ----------
    path
        The file; `~` is the home folder.
    column
        The column, or the key in JSON, that holds the text.
    encoding
        Of the file, where neither a byte order mark nor UTF-8 is right, such as `"cp1250"`.

    Raises
    ------
    InputError
        The file cannot be read, has another ending, is not in the encoding, holds no text, or has a
        line that does not fit; file and line are named.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "export.csv")
    ...     _ = path.write_text('id;text\n1;"Who was Jim Henson ?"\n2;A puppeteer\n')
    ...     read_texts(path)
    ['Who was Jim Henson ?', 'A puppeteer']

    Taught in notebook 02.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise InputError(
            f"{path} ends in none of {', '.join(READERS)}. Give a .txt (one text a line), a .csv or .tsv (with a "
            'header; in Excel, "Save As" and "CSV UTF-8"), a .json or a .jsonl file (JSON objects).'
        )
    text, values, texts = _decoded(path, encoding), READERS[suffix], []
    first = text.lstrip("\r\n").partition("\n")[0].strip().split("\t")
    if suffix == ".txt" and len(first) > 1:  # as in Excel's "Unicode Text"
        values, taken = (_cells, "a table") if column in first else (_lines, "one text a line")
        sentence = (
            f"{path} was read as {taken}; its first line holds tabs. To read a column of a table, pass its name."
        )
        warnings.warn(sentence, TextsWarning, stacklevel=2)
    for line, value in values(path, text, column):
        if not isinstance(value, str):
            pandas = ' With pandas: df.to_json(path, orient="records").' * isinstance(value, dict)
            raise InputError(
                f"{path}, line {line}: {column} is {_short(json.dumps(value))}; expected a text. Put one there, in "
                f"quotation marks, or leave the row out.{pandas}"
            )
        if not is_unicode(value):
            raise InputError(
                f"{path}, line {line}: {column} holds half of a surrogate pair, which is no character. Mend it."
            )
        if value.strip():
            texts.append(value)
    if not texts:
        raise InputError(f"{path} holds no text. Expected at least one, in a line that is not blank.")
    return texts


def _decoded(path: Path, encoding: str | None) -> str:
    """Return a file's text, or raise an InputError with the line of a byte that is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{path} cannot be read: {why}. Give the path of a file of texts.") from error
    known = encoding or next((name for name, marks in BYTE_ORDER_MARKS.items() if data.startswith(marks)), None)
    try:
        text = data.decode(known or "utf-8")
    except LookupError as error:
        raise InputError(f"Python has no encoding called {known}. Some are utf-8, utf-16, cp1250, cp1252.") from error
    except UnicodeDecodeError as error:
        start, text = error.start, data.decode("cp1252", "replace")
        line = _line(data[:start].decode(known or "utf-8", "ignore"))
        way_out = 'ave it as UTF-8 (in Excel, "CSV UTF-8"), or pass its own encoding, such as "cp1250" or "cp1252".'
        beyond_ascii = re.sub(r"[\x00-\x7f]+", "", data.decode(errors="replace"))
        if known or beyond_ascii.count("\ufffd") * 2 <= len(beyond_ascii) or NOT_WESTERN.search(text):
            wrong = f"the byte 0x{data[start]:02x} is no {known or 'utf-8'}"
            raise InputError(f"{path}, line {line}: {wrong}. S{way_out}") from error
        before, after = text[max(0, start - WIDTH // 2) : start], text[start : start + WIDTH // 2]
        around = re.split(r"[\r\n]", before)[-1] + re.split(r"[\r\n]", after)[0]
        sentence = f'{path} is no UTF-8. It was read as Windows-1252, where line {line} holds "{around}".'
        warnings.warn(f"{sentence} If that is wrong, s{way_out}", TextsWarning, stacklevel=3)
    if (zero := text.find("\0")) >= 0:
        raise InputError(
            f'{path}, line {_line(text[:zero])}: here is a zero byte. Take it out, data.replace(b"\\0", b""), or, if '
            f'every second byte is one, pass encoding="utf-16-{"le" if zero % 2 else "be"}".'
        )
    return END_OF_FILE.sub("", text.replace("\ufeff", ""))


def _lines(_path: Path, text: str, _column: str) -> Values:
    return ((number, line.strip()) for number, line in enumerate(StringIO(text, newline=None), 1))


def _cells(path: Path, text: str, column: str) -> Values:
    """Return a column's cells, of any length, each with the line where its row begins."""
    with FIELD_SIZE_LIMIT:
        limit = csv.field_size_limit(max(len(text), csv.field_size_limit()))
        try:
            return list(_column_of_table(path, text, column))
        finally:
            csv.field_size_limit(limit)


def _column_of_table(path: Path, text: str, column: str) -> Values:
    above, lines = SEPARATOR_LINE.match(text), StringIO(text, newline="")

    def rows(separator: str, **dialect: Any) -> Iterator[tuple[int, list[str]]]:
        """Yield each row that is not blank, with its first line, which `csv.DictReader` doesn't know."""
        lines.seek(above.end() if above else 0)
        reader = csv.reader(lines, delimiter=separator, **dialect)
        line = skipped = 1 + bool(above)
        try:
            for row in reader:
                if any(map(str.strip, row)):
                    yield line, row
                line = reader.line_num + skipped
        except csv.Error as error:
            raise InputError(
                f"{path}, line {line}: the row cannot be read as CSV ({error}). Check its quotation marks; one "
                'inside a quoted text is written twice: "".'
            ) from error

    candidates = above[1] if above else TABS_FIRST if path.suffix.lower() == ".tsv" else SEPARATORS
    headers = {one: [*map(str.strip, next(rows(one, skipinitialspace=True), (0, []))[1])] for one in candidates}
    separator = max(headers, key=lambda one: (column in headers[one], len(headers[one])))
    header, escaped = headers[separator], re.escape(separator)
    # an opening quotation mark after a space; inside of a quoted text none stands alone like this
    spaced = re.search(rf'(?:^|{escaped}) +"(?![{escaped}"\r\n]|\Z)', text, re.MULTILINE)
    numbered = rows(separator, strict=True, skipinitialspace=bool(spaced))
    line, _ = next(numbered, (1, []))
    named = "a tab" if separator == "\t" else f'"{separator}"'
    if header and column not in header:
        known = [*filter(None, map(_short, header))]
        hint = suggest(column, known) if len(known) > 1 else f"There is one column, {known[0]}."
        other = f"If another character than {named} separates columns, put it into a line above, as Excel does: sep=;"
        raise InputError(f"{path}, line {line}: nothing here is called {column}. {hint} {other}")
    if header.count(column) > 1:
        raise InputError(f"{path}, line {line}: more than one column is called {column}. Rename all but one.")
    for line, row in numbered:
        if len(row) <= header.index(column) or any(map(str.strip, row[len(header) :])):
            raise InputError(
                f"{path}, line {line}: this row's number of fields is {len(row)}, the header's {len(header)}. "
                f"Mend the row; a text that holds {named} needs quotation marks."
            )
        yield line, row[header.index(column)]


def _objects(path: Path, text: str, column: str) -> Values:
    """Yield from JSON objects one after another, or from a list of objects or of texts."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if [name for name, _ in pairs].count(column) > 1:
            raise json.JSONDecodeError(f"an object holds {column} twice", "", 0)
        return dict(pairs)

    text = StringIO(text, newline=None).read()
    decoder, in_list = json.JSONDecoder(object_pairs_hook=once), text.lstrip().startswith("[")
    line, counted, place = 1, 0, text.index("[") + 1 if in_list else 0
    end = re.compile(r"\]\s*\Z" if in_list else r"\Z")
    while not end.match(text, place := BETWEEN.match(text, place).end()):  # type: ignore[union-attr]  # it may be empty
        line, counted = line + text.count("\n", counted, place), place
        try:
            row, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", None) or type(error).__name__
            raise InputError(
                f"{path}, line {line}: this cannot be read as JSON ({why}). Expected objects, one a line, or a list."
            ) from error
        if isinstance(row, dict) and row:
            if column not in row:
                raise InputError(
                    f"{path}, line {line}: nothing here is called {column}. {suggest(column, map(_short, row))}"
                )
            yield line, row[column]
        elif in_list and isinstance(row, str):
            yield line, row
        else:
            example = f'expected a JSON object such as {{"{column}": "a text"}}; got {_short(json.dumps(row))}.'
            raise InputError(f"{path}, line {line}: {example}")


def _line(before: str) -> int:
    """Return the number of the line that follows a text."""
    return 1 + len(re.findall(r"\r\n?|\n", before))


def _short(value: str) -> str:
    value = " ".join(value.split())
    return f"{value[:WIDTH]} …" if len(value) > WIDTH else value


READERS = {".txt": _lines, ".csv": _cells, ".tsv": _cells, ".json": _objects, ".jsonl": _objects}
