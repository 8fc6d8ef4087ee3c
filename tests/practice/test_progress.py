"""How far a reader is: counting, the table, and the page for the team."""

from pathlib import Path

import pytest

from tsnb.practice.exercises import exercises
from tsnb.practice.progress import progress_in
from tsnb.practice.record import Record, record


@pytest.fixture
def events(progress_file: Path) -> Record:
    assert record().path == progress_file
    return record()


def test_attempts_and_hints_count_until_the_first_right_answer(events: Record) -> None:
    for kind in ("hint", "wrong", "raises", "done", "mistake", "hint", "done"):
        events.add("safe-order", kind)
    [standing] = [one for one in progress_in(events).standings if one.exercise.name == "safe-order"]
    assert (standing.attempts, standing.hints, standing.solved) == (3, 1, events.events()[3].at)


def test_the_table_of_one_notebook(events: Record) -> None:
    events.add("tied-or-not", "wrong")
    events.add("safe-order", "done")
    events.add("find-the-trap", "done")
    events.add("of-an-older-course", "done")
    expected = f"""
    exercise state attempts hints solved on
    01 Tied or not? … begun 1
    01 Write the test for shared storage ○ open
    01 What would untying cost here? ○ open
    01 Put the steps in order ✓ solved 1 {events.events()[1].at[:10]}
    1 of 4 exercises solved
    """
    assert str(progress_in(events, "01")).split() == expected.split()
    shown = progress_in(events)._repr_html_()
    assert (shown.count("✓ solved"), shown.count("… begun")) == (2, 1)
    assert f"2 of {len(exercises())} exercises solved" in shown
