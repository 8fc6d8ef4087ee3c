"""A table of words and numbers, as lines of text and as HTML; its first row is the head. And paragraphs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from html import escape

Rows = Sequence[Sequence[str]]

WIDTH = 76  # characters of a cell of output on a page 800 pixels wide


def as_text(rows: Rows) -> str:
    """Return a line a row: the first column stands to the left, numbers to the right.

    >>> print(as_text([["plan", "tokens"], ["padded", "96"]]))
    plan    tokens
    padded      96
    """
    first, *others = ((column, max(map(len, column))) for column in zip(*rows, strict=True))
    columns = [[cell.ljust(first[1]) for cell in first[0]]]
    columns += [[cell.rjust(width) for cell in column] for column, width in others]
    return "\n".join(map("  ".join, zip(*columns, strict=True)))


def as_html(rows: Rows, notes: Iterable[str] = ()) -> str:
    """Return a table that scrolls by itself where lines of text would be broken, and what is below.

    >>> as_html([["plan"], ["padded"]], ["4 texts"]).endswith("</table></div><p>4 texts</p>")
    True
    """
    head, *body = rows
    lines = f"<thead>{_row(head, 'th')}</thead><tbody>{''.join(map(_row, body))}</tbody>"
    table = f"<table style='border-spacing: 0.8em 0.1em'>{lines}</table>"
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<div style='overflow-x: auto' tabindex='0'>{table}</div>{below}"


class TableReport:
    """What prints as a table with lines below it, and shows as HTML in a notebook; a subclass gives both."""

    def table(self) -> Rows:
        """Return the table, its head first."""
        raise NotImplementedError

    def notes(self) -> Iterable[str]:
        """Return what stands below the table, a line each."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join([as_text(self.table()), *self.notes()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return as_html(self.table(), self.notes())


def wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph in lines that fit a cell's output, where JupyterLab would break inside words.

    Paths and names keep their hyphens on one line. Every line but the first begins with `indent`.

    >>> max(len(line) for line in wrapped("a word " * 40).splitlines()) <= WIDTH
    True
    """
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def as_markdown(rows: Rows) -> str:
    """Return a table in Markdown, which is aligned as plain text too.

    >>> print(as_markdown([["plan", "tokens"], ["padded", "96"]]))
    | plan   | tokens |
    | ------ | ------ |
    | padded | 96     |
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = rows[0], ["-" * width for width in widths], *rows[1:]
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def listed(numbers: Iterable[int]) -> str:
    """Return numbers as text, thousands apart as everywhere else.

    >>> listed([600, 25304])
    '600, 25,304'
    """
    return ", ".join(f"{number:,}" for number in numbers)


def _row(cells: Sequence[str], tag: str = "td") -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def marked(text: str) -> str:
    """Return a sentence as HTML, with what stands between backticks as code.

    >>> marked("`a < b` & so on")
    '<code>a &lt; b</code> &amp; so on'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
