"""The quiz: what choosing does, its text and its folded answers."""

import pytest

from tsnb import checks
from tsnb.widgets import base
from tsnb.widgets.quiz import QuizView


@pytest.fixture
def view() -> QuizView:
    return checks.quiz("02")


def test_every_choice_is_explained_and_the_questions_are_apart(view: QuizView) -> None:
    for index, text in enumerate(view.texts):
        for letter in "abc":
            view.choices[index].value = letter
            right = letter == text["right"]
            assert view.verdicts[index].value.startswith("✓ Right." if right else "✗ Not that one.")
        assert sum(bool(verdict.value) for verdict in view.verdicts) == index + 1
        assert base.LIVE in view.verdicts[index]._dom_classes  # screen readers say it


def test_the_text_has_questions_choices_and_answers_at_the_end(view: QuizView) -> None:
    questions, answers = str(view).split("\nAnswers\n")
    for text in view.texts:
        assert all(text[key] in questions for key in ("question", "a", "b", "c"))
        assert text["why"] not in questions
    expected = [f"{n}. {text['right']})" for n, text in enumerate(view.texts, 1)]
    assert [line[:5] for line in answers.splitlines()] == expected


def test_the_page_folds_the_answers(view: QuizView) -> None:
    asked, answers = view.html().split("<details><summary>Answers</summary>")
    for n, text in enumerate(view.texts, 1):
        assert (f"{n}. {text['right']}) " in answers, f"{n}. {text['right']}) " in asked) == (True, False)
