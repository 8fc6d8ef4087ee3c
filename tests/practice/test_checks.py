"""The machinery of the exercises: judging, hints, the record's events, the page for the team."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import tsnb
from tsnb import checks
from tsnb.base.errors import ExerciseError
from tsnb.practice.exercises import exercise
from tsnb.practice.exercises.base import Exercise, is_blank, short, short_text
from tsnb.practice.feedback import SYMBOLS, Feedback
from tsnb.practice.record import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RIGHT = {"float32": 250_002 * 768 * 4, "float16": 250_002 * 768 * 2}


class Odd:
    """An answer that raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


def loop(first: Any, second: Any) -> bool:
    while first is not second:
        pass
    return loop(second, first)


def endless(_: Any, __: Any) -> bool:
    while True:
        pass


def broken(first: Any, _: Any) -> bool:
    return bool(first.no_such_thing)  # the reader's own line


def leaves(_: Any, __: Any) -> bool:
    raise SystemExit


def events() -> list[tuple[str, str, str | None]]:
    return [event[1:] for event in record().events()]


def test_the_starter_is_no_attempt_and_makes_no_file(progress_file: Path) -> None:
    found = checks.check("untying-price", {"float32": ..., "float16": 3})
    assert (found.kind, found.done) == ("not-yet", False)
    assert not progress_file.exists()


def test_an_answer_is_an_attempt() -> None:
    checks.check("untying-price", {"float32": 1, "float16": 1})
    checks.check("untying-price", [1])
    checks.check("untying-price", RIGHT)
    assert [event[1] for event in events()] == ["mistake", "type", "done"]
    assert events()[0] == ("untying-price", "mistake", "megabytes")


def test_what_was_given_is_told() -> None:
    found = checks.check("untying-price", [1, 2])
    assert "You gave a list, [1, 2]." in found.text
    assert "a dict with the keys float32 and float16" in found.text


@pytest.mark.parametrize("name", [found.name for found in tsnb.practice.exercises.exercises()])
@pytest.mark.parametrize("answer", [None, 0, "x", [], {}, (), Odd, object, [[]], {"a": {}}])
def test_no_answer_makes_a_check_raise(name: str, answer: Any) -> None:
    found = checks.check(name, Odd() if answer is Odd else answer, limit=60)
    assert found.kind != "done"
    assert str(found)
    assert found._repr_html_()


def test_an_endless_loop_is_stopped_and_told() -> None:
    begun = time.perf_counter()
    found = checks.check("shares-storage", endless, limit=0.2)
    assert time.perf_counter() - begun < 30
    assert found.kind == "time"
    assert "after 0.2 s" in found.text
    assert events() == [("shares-storage", "time", None)]


def test_a_recursion_without_end_is_told() -> None:
    assert checks.check("shares-storage", loop, limit=0.5).kind in {"time", "raises"}


def test_an_exception_is_told_with_its_line() -> None:
    found = checks.check("shares-storage", broken)
    assert found.kind == "raises"
    assert "AttributeError: 'Tensor' object has no attribute 'no_such_thing'" in found.text
    assert "'no_such_thing'. In your line: " in found.text
    assert "`return bool(first.no_such_thing)  # the reader's own line`" in found.text


def test_exit_is_told_and_ends_nothing() -> None:
    told = checks.check("shares-storage", leaves).text
    assert "SystemExit. In your line: `raise SystemExit`" in told


def test_a_plain_value_has_no_limit() -> None:
    """Loading a model on a slow machine is not the reader's fault."""
    found = replace(exercise("untying-price"), prepare=lambda: time.sleep(0.05))
    assert found.judge(RIGHT, limit=0.01).done


def test_preparing_for_a_function_does_not_count() -> None:
    found = replace(exercise("shares-storage"), prepare=lambda: time.sleep(0.3))
    assert found.judge(lambda a, b: a is b, limit=0.25).mistake == "same-object"


def test_in_another_thread_it_judges_too() -> None:
    found: list[Feedback] = []
    thread = threading.Thread(target=lambda: found.append(checks.check("shares-storage", broken)))
    thread.start()
    thread.join()
    assert found[0].kind == "raises"


def test_a_result_that_nobody_can_use_is_told_apart_from_another_kind_of_answer() -> None:
    found = checks.check("argument-order", int)  # a function, and none for these arguments
    assert found.kind == "type"
    assert "could not go on with what came back: TypeError" in found.text
    assert "This exercise takes a function" in found.text


@pytest.mark.parametrize("call", [checks.check, lambda name, _: checks.hint(name)])
def test_an_unknown_exercise_is_the_callers_mistake(call: Callable[[str, Any], Any]) -> None:
    with pytest.raises(ExerciseError, match=r"called untying-prize\. Did you mean untying-price"):
        call("untying-prize", 1)
    assert events() == []


@pytest.mark.parametrize("call", [checks.progress, checks.quiz, checks.reset])
def test_an_unknown_notebook_is_the_callers_mistake(call: Callable[[str], Any]) -> None:
    with pytest.raises(ExerciseError, match=r"no notebook 7 with exercises\. Known: 01, 02"):
        call("7")


def test_a_panel_that_could_not_be_made_is_no_burden_to_later_answers(progress_file: Path) -> None:
    with pytest.raises(ExerciseError):
        checks.progress("09")
    assert checks.check("untying-price", RIGHT).done
    assert progress_file.exists()


def test_hints_come_one_after_the_other_and_then_the_solution() -> None:
    first, second, third = (str(checks.hint("safe-order")) for _ in range(3))
    assert first.startswith("Hint 1: ")
    assert second.startswith(f"{first}\nHint 2: ")
    assert third.startswith(f"{second}\nThe solution: `%load solutions/01_safe_order.py`")
    assert events() == [("safe-order", "hint", None)] * 2


def test_a_hint_is_html_too() -> None:
    checks.hint("untying-price")
    shown = checks.hint("untying-price")._repr_html_()
    assert shown.count("<p>") == 2
    assert "<code>250_002 * 768 * 4</code>" in shown


def test_every_kind_has_a_symbol_and_a_head() -> None:
    for kind, symbol in SYMBOLS.items():
        found = Feedback("safe-order", kind, None, "Text.", "Title", "file.py")
        assert found.head.startswith(f"{symbol} ")
        assert found.head.endswith(" · Title")
        assert (found.foot == "") is (kind == "done")


def test_feedback_prints_all_and_escapes_what_was_given() -> None:
    found = checks.check("untying-price", "<b>bold</b>")
    assert str(found).count("\n") == 2
    assert "<b>" in str(found)
    assert "<b>" not in found._repr_html_()
    assert "checks.hint" in found._repr_html_()


def test_a_note_about_the_record_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TSNB_PROGRESS", str(tmp_path / "file" / "progress.sqlite"))
    first, second = (checks.check("untying-price", RIGHT) for _ in range(2))
    assert "kept in memory" in str(first)
    assert "kept in memory" in first._repr_html_()
    assert "kept in memory" not in str(second)
    assert first.done


def test_reset_forgets_a_notebook_or_all() -> None:
    for name in ("untying-price", "find-the-trap"):
        checks.hint(name)
    assert "safe-order" in checks.reset("01")
    assert [event[0] for event in events()] == ["find-the-trap"]
    checks.reset()
    assert events() == []


@pytest.mark.parametrize("ending", [".md", ".html"])
def test_export_writes_a_page_and_never_over_one(tmp_path: Path, ending: str) -> None:
    checks.check("untying-price", RIGHT)
    path = tmp_path / f"progress{ending}"
    assert str(path) in checks.export(path, "Ana")
    assert "Ana" in path.read_text(encoding="utf-8")
    with pytest.raises(ExerciseError, match="is there already"):
        checks.export(path)
    assert "Ana" in path.read_text(encoding="utf-8")
    checks.export(path, "Bo", replace=True)
    assert "Bo" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("progress.pdf", "neither"),
        ("progress", "neither"),
        ("no such folder/progress.md", "cannot be written"),
    ],
)
def test_export_says_what_is_wrong(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ExerciseError, match=why):
        checks.export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_export_onto_a_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "progress.md").mkdir()
    with pytest.raises(ExerciseError, match="cannot be written"):
        checks.export(tmp_path / "progress.md", replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["progress.md"]


@pytest.mark.parametrize(
    ("answer", "blank"),
    [
        (..., True),
        ([1, ...], True),
        ({"a": {"b": (1, {...})}}, True),
        ({"a": 1}, False),
        ("...", False),
        (None, False),
        ([], False),
    ],
)
def test_blanks(answer: Any, blank: bool) -> None:  # noqa: FBT001, what is expected
    assert is_blank(answer) is blank


def test_an_answer_is_shown_short() -> None:
    assert len(short({"key": "x" * 10_000})) < 200
    assert len(short(list(range(10_000)))) < 200
    assert short(Odd()) == "a Odd, ?"


def test_of_a_long_message_one_line_is_told() -> None:
    said = "The following operation failed in the TorchScript interpreter.\nTraceback\n\nError: 3\n"
    assert short_text(said) == "Error: 3"
    assert short_text("Tracing failed sanity checks!\nERROR: a page of graph") == (
        "Tracing failed sanity checks!"
    )
    assert len(short_text("word " * 1000)) <= 200
    assert short_text("") == ""


def test_the_checks_need_no_torch(python: Callable[..., str]) -> None:
    code = "import sys; from tsnb import checks; print({'torch', 'ipywidgets'} & set(sys.modules))"
    assert python(code) == "set()\n"


def test_an_exercise_finds_its_solution() -> None:
    found = exercise("safe-order")
    assert isinstance(found, Exercise)
    assert found.solution == "solutions/01_safe_order.py"
