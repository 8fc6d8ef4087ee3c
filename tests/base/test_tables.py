"""Tables as lines of text and as HTML, and paragraphs."""

from tsnb.base.tables import as_html

ROWS = [["plan", "tokens"], ["a < b", "1,024"], ["c", "8"]]


def test_html_has_a_head_every_cell_and_the_notes() -> None:
    shown = as_html(ROWS, ["x & y"])
    assert shown.count("<tr>") == len(ROWS)
    assert "<thead><tr><th>plan</th><th>tokens</th></tr></thead>" in shown
    assert "<td>a &lt; b</td><td>1,024</td>" in shown
    assert shown.endswith("<p>x &amp; y</p>")
