"""The machinery of the exercises: judging, hints, the record's events, the panel, the page for the team."""

from pathlib import Path
from typing import Any

import pytest

from tests.kinds import MonkeyPatch, Python
from tsnb import checks
from tsnb.base.errors import ExerciseError, TsnbError
from tsnb.practice.exercises import exercises
from tsnb.practice.record import record

RIGHT = {"float32": 250_002 * 768 * 4, "float16": 250_002 * 768 * 2}


class Odd:
    """An answer that raises when it is printed."""

    def __repr__(self) -> str:
        raise RuntimeError


def broken(first: Any, _: Any) -> bool:
    return bool(first.no_such_thing)


def leaves(_: Any, __: Any) -> bool:
    raise SystemExit


def events() -> list[tuple[str, ...]]:
    return [event[1:] for event in record().events()]


def test_answers_are_attempts_and_the_starter_is_none(progress_file: Path) -> None:
    assert checks.check("untying-price", {"float32": ..., "float16": 3}).kind == "not-yet"
    assert not progress_file.exists()
    checks.check("untying-price", {"float32": 250_002 * 768, "float16": 1})
    checks.check("untying-price", [1])
    assert checks.check("untying-price", RIGHT).done
    expected = [("mistake", "numbers"), ("type", ""), ("done", "")]
    assert events() == [("untying-price", *event) for event in expected]


@pytest.mark.parametrize("name", [exercise.name for exercise in exercises()])
def test_no_answer_makes_a_check_raise(name: str) -> None:
    answers: list[Any] = [None, 0, "x", [], {}, (), Odd(), object, [[]], {"a": {}}]
    for answer in answers:
        feedback = checks.check(name, answer)
        assert feedback.kind not in {"done", "not-yet"}
        assert str(feedback)
    feedback = checks.check(name, ...)
    assert feedback.kind == "not-yet"
    assert "Put yours in place of `...`." in feedback.text


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (broken, "raises", "'no_such_thing'. In your line: `return bool(first.no_such_thing)"),
        (leaves, "raises", "SystemExit. In your line: `raise SystemExit`"),
        ([1, 2], "type", "This exercise takes a function of two tensors. You gave a list, [1, 2]."),
        (int, "type", "could not go on with what came back: TypeError"),
    ],
)
def test_what_an_answer_does_is_shown(answer: Any, kind: str, text: str) -> None:
    feedback = checks.check("shares-storage", answer)
    assert feedback.kind == kind
    assert text in feedback.text
    assert events() == [("shares-storage", kind, "")]


def test_ctrl_c_stops_an_endless_loop_and_the_kernel_goes_on(python: Python) -> None:
    code = """
import _thread, threading
from tsnb import checks
def endless(*_):
    threading.Timer(0.2, _thread.interrupt_main).start()
    while True:
        pass
print(checks.check("shares-storage", endless).text)
"""
    assert "Does your code have a loop that never ends?" in python(code)


def test_an_unknown_name_is_refused() -> None:
    for exercise in (lambda name: checks.check(name, 1), checks.hint):
        with pytest.raises(ExerciseError, match=r"called untying-prize\. Did you mean untying-price"):
            exercise("untying-prize")
    for notebook in (checks.progress, checks.quiz, checks.reset):
        with pytest.raises(ExerciseError, match=r"no notebook 7 with exercises\. Known: 01, 02"):
            notebook("7")
    assert checks.check("untying-price", RIGHT).done  # no panel is left that cannot be drawn
    assert len(events()) == 1


def test_hints_come_one_after_the_other_and_then_the_solution() -> None:
    first, second, third = (str(checks.hint("safe-order")) for _ in range(3))
    assert first.startswith("Hint 1: ")
    assert second.startswith(f"{first}\nHint 2: ")
    assert third.startswith(f"{second}\nThe solution: `%load solutions/01_safe_order.py`")
    assert events() == [("safe-order", "hint", "")] * 2


def test_feedback_is_whole_and_escaped() -> None:
    feedback = checks.check("untying-price", "<b>bold</b>")
    assert "<b>bold" in str(feedback)
    assert 'checks.hint("untying-price")' in str(feedback)
    assert "<b>bold" not in feedback._repr_html_()
    assert "checks.hint" in feedback._repr_html_()
    assert "checks.hint" not in str(checks.check("untying-price", RIGHT))


def test_a_note_about_the_record_is_shown_once(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TSNB_PROGRESS", str(tmp_path / "file" / "progress.jsonl"))
    first, second = (checks.check("untying-price", RIGHT) for _ in range(2))
    assert first.done
    assert "kept in memory" in str(first)
    assert "kept in memory" not in str(second)
    assert "kept in memory" in str(checks.progress())


def test_export_writes_a_page_and_never_over_one(tmp_path: Path) -> None:
    path = tmp_path / "progress.md"
    assert str(path) in checks.export(path, "Ana")
    with pytest.raises(ExerciseError, match="is there already"):
        checks.export(path)
    assert "Ana" in path.read_text(encoding="utf-8")
    for name, why in (("progress.pdf", "does not end in .md"), ("no such folder/progress.md", "cannot be")):
        with pytest.raises(TsnbError, match=why):
            checks.export(tmp_path / name, replace=True)
    assert list(tmp_path.iterdir()) == [path]


def test_long_answers_and_messages_are_shown_short() -> None:
    def fails(*_: Any) -> None:
        raise ValueError("word " * 1000)

    for answer in ({"key": "x" * 10_000}, list(range(10_000)), fails):
        assert len(checks.check("shares-storage", answer).text) < 400
