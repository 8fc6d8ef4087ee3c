"""The quiz: its state without a browser, what choosing does, its text and its folded answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ipywidgets import RadioButtons

from tsnb.practice.exercises import MODULES
from tsnb.widgets import base
from tsnb.widgets.quiz import QuizView
from tsnb.widgets.quiz_state import QuizState

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=MODULES)
def view(request: pytest.FixtureRequest) -> QuizView:
    return QuizView(request.param)


def test_the_state_needs_no_ipywidgets(python: Callable[..., str]) -> None:
    code = "import sys, tsnb.widgets.quiz_state; print('ipywidgets' in sys.modules)"
    assert python(code) == "False\n"


def test_nothing_is_told_before_one_chooses(view: QuizView) -> None:
    assert [choice.value for choice in view.choices] == [None] * 3
    assert [verdict.value for verdict in view.verdicts] == [""] * 3
    live = "".join(question.value for question in view.questions)
    assert all(view.state.why(index) not in live for index in range(3))


def test_every_choice_is_explained(view: QuizView) -> None:
    for index, right in enumerate(view.state.right):
        for letter in "abc":
            view.choices[index].value = letter
            told = view.state.verdict(index)
            assert told.startswith("✓ Right." if letter == right else "✗ Not that one.")
            assert told.endswith(view.state.why(index))
            assert view.verdicts[index].value


def test_the_questions_are_apart(view: QuizView) -> None:
    view.choices[1].value = "a"
    assert view.state.chosen == ["", "a", ""]
    assert [bool(verdict.value) for verdict in view.verdicts] == [False, True, False]


def test_the_state_moves_the_buttons(view: QuizView) -> None:
    view.state.chosen = ["b", "", "c"]
    assert [choice.value for choice in view.choices] == ["b", None, "c"]
    view.state.chosen = ["", "", ""]
    assert [choice.value for choice in view.choices] == [None] * 3
    assert [verdict.value for verdict in view.verdicts] == [""] * 3


def test_the_controls_are_those_that_a_keyboard_moves(view: QuizView) -> None:
    assert all(isinstance(choice, RadioButtons) for choice in view.choices)
    assert [label for label, _ in view.choices[0].options] == [
        f"{letter}) {text}" for letter, text in view.state.choices(0).items()
    ]


def test_the_text_has_questions_choices_and_answers_at_the_end(view: QuizView) -> None:
    text = str(view)
    questions, answers = text.split("\nAnswers\n")
    for index in range(3):
        assert view.state.question(index) in questions
        assert view.state.why(index) not in questions
        assert all(choice in questions for choice in view.state.choices(index).values())
    assert [line[:5] for line in answers.splitlines()] == [
        f"{index + 1}. {letter})" for index, letter in enumerate(view.state.right)
    ]


def test_the_page_folds_the_answers(view: QuizView) -> None:
    page = view.html()
    assert page.count("<details ") == page.count("<summary>Answer</summary>") == 3
    for part in page.split("<details ")[:-1]:
        visible = part.rsplit("</details>", maxsplit=1)[-1]
        assert "<ol style='list-style-type: lower-alpha'>" in visible  # Jupyter overrides `type`
    assert page.count("<details style='margin-bottom: 1em'>") == 3


def test_verdicts_are_said(view: QuizView) -> None:
    assert all(base.SAID in verdict._dom_classes for verdict in view.verdicts)


def test_the_state_is_new_for_each() -> None:
    first, second = QuizState("01"), QuizState("01")
    first.chosen = ["a", "", ""]
    assert second.chosen == ["", "", ""]
