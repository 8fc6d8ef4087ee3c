"""Tables as lines of text and as HTML."""

from __future__ import annotations

import pytest

from tsnb.base.tables import as_html, as_text

ROWS = [["plan", "tokens"], ["a < b", "1,024"], ["c", "8"]]


def test_columns_stand_under_each_other() -> None:
    assert as_text(ROWS).splitlines() == ["plan   tokens", "a < b   1,024", "c           8"]


def test_html_has_a_head_every_cell_and_the_notes() -> None:
    shown = as_html(ROWS, ["x & y"])
    assert shown.count("<tr>") == len(ROWS)
    assert "<thead><tr><th>plan</th><th>tokens</th></tr></thead>" in shown
    assert "<td>a &lt; b</td><td>1,024</td>" in shown
    assert shown.endswith("<p>x &amp; y</p>")
    assert "overflow-x: auto" in shown


def test_rows_of_unlike_length_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        as_text([["plan"], ["a", "b"]])
