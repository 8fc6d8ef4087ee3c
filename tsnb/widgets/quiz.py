"""The quiz at the end of a notebook: three questions, explained when one has chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ipywidgets import HTML, Layout, RadioButtons

from tsnb.base.tables import marked
from tsnb.widgets.base import View, live_region

Question = Mapping[str, str]

LETTERS = "abc"
LINES = "white-space: pre-wrap; line-height: 1.45"


class QuizView(View):
    """Show the questions of a notebook; Tab and the arrow keys choose, as the mouse does.

    Without a front end for widgets, the answers are folded below the questions. Prints as questions, choices
    and, at the end, answers.

    Parameters
    ----------
    questions
        For each, the texts `question`, `a`, `b` and `c`, the letter that is `right`, and `why`.

    Examples
    --------
    >>> view = QuizView([{"question": "1 + 1?", "a": "1", "b": "2", "c": "3", "right": "b", "why": "Count."}])
    >>> view.choices[0].value = "b"
    >>> view.verdicts[0].value
    '✓ Right. Count.'
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self.texts, self.choices, self.verdicts = questions, [], []
        parts: list[Any] = []
        for n, text in enumerate(questions, 1):
            options = [(f"{letter}) {text[letter]}", letter) for letter in LETTERS]
            layout = Layout(width="max-content", max_width="100%")
            choice, verdict = RadioButtons(options=options, value=None, layout=layout), live_region()
            choice.observe(partial(_explain, text, verdict), "value")
            self.choices.append(choice)
            self.verdicts.append(verdict)
            parts += HTML(f"<strong>{n}. {marked(text['question'])}</strong>"), choice, verdict
        super().__init__(*parts)

    def html(self) -> str:
        """Return questions and choices, with the answers folded."""
        asked, _, answers = marked(repr(self)).partition("\n\nAnswers\n")
        block = f"<div style='{LINES}'>{{}}</div>".format
        return f"{block(asked)}<details><summary>Answers</summary>{block(answers)}</details>"

    def __repr__(self) -> str:
        lines, answers = [], ["", "Answers"]
        for n, text in enumerate(self.texts, 1):
            lines += [f"{n}. {text['question']}", *(f"   {letter}) {text[letter]}" for letter in LETTERS)]
            answers.append(f"{n}. {text['right']}) {text['why']}")
        return "\n".join(lines + answers)


def _explain(text: Question, verdict: HTML, change: Any) -> None:
    """Explain a choice; nothing where there is none."""
    mark = "✓ Right." if change.new == text["right"] else "✗ Not that one."
    verdict.value = f"{mark} {marked(text['why'])}" if change.new else ""
