"""What the package says to a reader, kept apart from the logic: TOML files for each language.

`say("names.and", items="a", last="b")` looks the sentence up and fills its gaps. The language is
`TSNB_LANGUAGE` (default `en`); a sentence that a language lacks is said in English.
"""

from __future__ import annotations

import os
import textwrap
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FALLBACK = "en"
WIDTH = 76  # of a cell of output on a page 800 pixels wide


@cache
def sentences(language: str) -> dict[str, str]:
    """Return every sentence of a language by its key, `table.name`.

    They stand in `en.toml` and in `checks.en.toml`, `exercises.en.toml` and so on.
    """
    found = (path for path in files(__package__).iterdir() if path.name.endswith(".toml"))
    own = [path for path in found if path.name.split(".")[-2:] == [language, "toml"]]
    tables = (tomllib.loads(path.read_text(encoding="utf-8")) for path in own)
    return {key: text for table in tables for key, text in _flat(table)}


def _flat(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Give the sentences of a table and of the tables in it by their whole keys."""
    for name, held in table.items():
        if isinstance(held, dict):
            yield from _flat(held, f"{before}{name}.")
        else:
            yield f"{before}{name}", " ".join(held.split())


def say(key: str, /, **gaps: object) -> str:
    """Return a sentence in the reader's language with its gaps filled.

    Parameters
    ----------
    key
        `table.name` in the language's TOML file.
    **gaps
        Values for the sentence's `{gaps}`.

    Raises
    ------
    KeyError
        No language has the key: a mistake in tsnb, not the reader's.

    Examples
    --------
    >>> say("names.and", items="a, b", last="c")
    'a, b and c'
    """
    language = os.environ.get("TSNB_LANGUAGE", FALLBACK)
    text = sentences(language).get(key) or sentences(FALLBACK)[key]
    return text.format(**gaps)


def wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph in lines that fit a cell's output; JupyterLab would break inside words.

    Paths and names keep their hyphens on one line. Every line but the first begins with `indent`.

    >>> max(len(line) for line in wrapped("a word " * 40).splitlines()) <= WIDTH
    True
    """
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
