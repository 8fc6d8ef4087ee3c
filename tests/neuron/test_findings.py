from __future__ import annotations

import pytest

from tsnb.base.words import WIDTH
from tsnb.neuron.findings import SYMBOLS, Finding, Preflight
from tsnb.neuron.operators import Operators
from tsnb.neuron.targets import target

FINE = Finding("ok", "device", "No device is written into the graph.", source="the trace")
LOOK = Finding("attention", "shapes", "A long line. " * 20, "Do this.", "https://x.example/" + "y" * 99)
STOP = Finding("blocker", "outputs", "A dict.", "Return a tuple.")
REPORT = Preflight(target("inf1"), (FINE, LOOK, STOP), Operators(), 9, 1, "code", "analyze")


def test_a_finding_is_a_symbol_a_topic_and_why() -> None:
    assert str(FINE) == "✓ device: No device is written into the graph.\n  (the trace)"
    assert str(STOP) == "✗ outputs: A dict.\n  → Return a tuple."


def test_long_lines_are_wrapped_and_addresses_stay_whole() -> None:
    lines = str(LOOK).splitlines()
    assert lines[0].startswith("! shapes: A long line.")
    assert lines[-1] == f"  ({LOOK.source})"
    assert max(map(len, lines[:-1])) <= WIDTH + 2


def test_a_report_counts_and_finds() -> None:
    assert REPORT.of("attention") == (LOOK,)
    assert REPORT.about("outputs") == (STOP,)
    assert not REPORT.ok
    head = str(REPORT).splitlines()[0]
    assert head == "Preflight for inf1: 1 in order, 1 to know about, 1 in the way."
    assert repr(REPORT) == str(REPORT)


@pytest.mark.parametrize("kind", SYMBOLS)
def test_without_a_blocker_it_is_in_order(kind: str) -> None:
    finding = {"ok": FINE, "attention": LOOK, "blocker": STOP}[kind]
    report = Preflight(target("inf2"), (finding,), Operators(), 9, None, "", "")
    assert report.ok == (kind != "blocker")
    assert finding.symbol == SYMBOLS[finding.kind]


def test_a_notebook_shows_what_is_to_do_and_folds_the_rest() -> None:
    shown = REPORT._repr_html_()
    assert "Preflight for inf1: 1 in order" in shown
    assert shown.count("<details") == 3
    assert shown.count("<details open") == 2
    assert "<b>outputs:</b> A dict." in shown
    assert f"href='{LOOK.source}'" in shown
    assert FINE._repr_html_() in shown
