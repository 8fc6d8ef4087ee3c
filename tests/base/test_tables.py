"""Tables as lines of text and as HTML, and paragraphs."""

import pytest

from tsnb.base.tables import WIDTH, as_html, as_text, wrapped

ROWS = [["plan", "tokens"], ["a < b", "1,024"], ["c", "8"]]


def test_columns_stand_under_each_other() -> None:
    assert as_text(ROWS).splitlines() == ["plan   tokens", "a < b   1,024", "c           8"]
    with pytest.raises(ValueError, match="zip"):
        as_text([["plan"], ["a", "b"]])


def test_html_has_a_head_every_cell_and_the_notes() -> None:
    shown = as_html(ROWS, ["x & y"])
    assert shown.count("<tr>") == len(ROWS)
    assert "<thead><tr><th>plan</th><th>tokens</th></tr></thead>" in shown
    assert "<td>a &lt; b</td><td>1,024</td>" in shown
    assert shown.endswith("<p>x &amp; y</p>")


def test_a_paragraph_is_broken_between_words_only() -> None:
    path = "/a-very-long/" * 8
    lines = wrapped("a word " * 20 + path, "  ").splitlines()
    assert (lines[-1].strip(), max(map(len, lines[:-1])) <= WIDTH) == (path, True)
    assert all(line.startswith("  ") for line in lines[1:])
