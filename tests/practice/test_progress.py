"""How far a reader is: counting, the text, and the page for the team."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tsnb.practice.exercises import exercises
from tsnb.practice.progress import progress_in
from tsnb.practice.record import Record, record

if TYPE_CHECKING:
    from pathlib import Path

    from tsnb.practice.progress import Standing


@pytest.fixture
def held(progress_file: Path) -> Record:
    assert record().path == progress_file
    return record()


def standing(held: Record, name: str = "safe-order") -> Standing:
    [found] = [found for found in progress_in(held).standings if found.name == name]
    return found


def test_nothing_done_is_open(held: Record) -> None:
    found = progress_in(held)
    assert [one.name for one in found.standings] == [one.name for one in exercises()]
    assert {one.state for one in found.standings} == {"open"}
    assert found.total == f"0 of {len(exercises())} exercises solved"


def test_attempts_count_until_the_first_right_one(held: Record) -> None:
    for kind in ("wrong", "raises", "done", "mistake", "done"):
        held.add("safe-order", kind)
    found = standing(held)
    assert (found.attempts, found.state, found.symbol) == (3, "done", "✓")
    assert found.solved == held.events()[2].at


def test_hints_are_no_attempts_and_count_before_the_solution_only(held: Record) -> None:
    held.add("safe-order", "hint")
    assert (standing(held).attempts, standing(held).hints, standing(held).state) == (0, 1, "tried")
    held.add("safe-order", "done")
    held.add("safe-order", "hint")
    assert (standing(held).hints, standing(held).attempts) == (1, 1)
    assert standing(held).effort == "attempts: 1, hints: 1"


def test_one_notebook_alone(held: Record) -> None:
    held.add("safe-order", "done")
    held.add("find-the-trap", "done")
    assert progress_in(held, "01").solved == progress_in(held, "02").solved == 1
    assert progress_in(held).solved == 2


def test_an_exercise_that_there_is_no_more_is_left_out(held: Record) -> None:
    held.add("of-an-older-course", "done")
    assert progress_in(held).solved == 0
    assert "older" not in str(progress_in(held))


def test_the_text(held: Record) -> None:
    held.add("tied-or-not", "wrong")
    held.add("safe-order", "done")
    assert str(progress_in(held, "01")).splitlines() == [
        "01 Flag and untying",
        "  … Tied or not? (attempts: 1)",
        "  ○ Write the test for shared storage",
        "  ○ What would untying cost here?",
        "  ✓ Put the steps in order (attempts: 1)",
        "1 of 4 exercises solved",
    ]


def test_symbols_have_words_beside_them(held: Record) -> None:
    held.add("safe-order", "done")
    shown = progress_in(held)._repr_html_()
    assert shown.count("aria-label='solved'>✓") == 1
    assert shown.count(">open<") == len(exercises()) - 1


def test_a_note_about_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    held = Record(tmp_path / "file" / "progress.sqlite")
    held.add("safe-order", "done")
    assert "kept in memory" in str(progress_in(held))
    assert "kept in memory" in progress_in(held)._repr_html_()


class Whole(HTMLParser):
    """Counts tags that are open, and collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if name in {"src", "href"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(held: Record) -> None:
    held.add("safe-order", "done")
    page = Whole()
    page.feed(progress_in(held).to_html("<script>alert('Ana')</script>"))
    assert (page.open, page.addresses) == ([], [])
    assert "&lt;script&gt;" in progress_in(held).to_html("<script>")


def test_the_page_in_markdown(held: Record) -> None:
    held.add("safe-order", "mistake")
    held.add("safe-order", "done")
    text = progress_in(held).to_markdown("Ana")
    [row] = [line for line in text.splitlines() if "Put the steps in order" in line]
    today = held.events()[1].at[:10]
    assert row.startswith("| ✓ solved | Put the steps in order · trains, unties and saves")
    assert row.endswith(f"| 2 |  | {today} |")
    assert "Ana · 1 of" in text
    assert "torch 2.13.0" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {6}
