"""The quiz at the end of a notebook: three questions, explained when one has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipywidgets import HTML, Layout, RadioButtons

from tsnb.base.tables import marked
from tsnb.widgets.base import View, live_region

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Question = Mapping[str, str]

LETTERS = "abc"


class QuizView(View):
    """Show the questions of a notebook; Tab and the arrow keys choose, as the mouse does.

    Without a front end for widgets, the answers are folded below each question. Prints as questions, choices
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
        self.texts = questions
        self.questions = [
            HTML(f"<strong>{n}. {marked(text['question'])}</strong>") for n, text in enumerate(questions, 1)
        ]
        self.choices = [
            RadioButtons(
                options=[(f"{letter}) {text[letter]}", letter) for letter in LETTERS],
                value=None,
                layout=Layout(width="max-content", max_width="100%"),
            )
            for text in questions
        ]
        self.verdicts = [live_region() for _ in questions]
        rows = [*zip(self.questions, self.choices, self.verdicts, strict=True)]
        super().__init__(self._as_text(), *(part for parts in rows for part in parts))
        for text, (_, choice, verdict) in zip(questions, rows, strict=True):
            choice.observe(lambda change, text=text, verdict=verdict: _explain(text, verdict, change.new), "value")

    def html(self) -> str:
        """Return questions and choices, with the answers folded."""
        return "".join(
            f"<p>{question.value}</p><ol style='list-style-type: "
            f"lower-alpha'>{''.join(f'<li>{marked(text[letter])}</li>' for letter in LETTERS)}</ol><details "
            f"style='margin-bottom: 1em'><summary>Answer</summary>{text['right']}) {marked(text['why'])}</details>"
            for question, text in zip(self.questions, self.texts, strict=True)
        )

    def _as_text(self) -> str:
        lines, answers = [], ["", "Answers"]
        for n, text in enumerate(self.texts, 1):
            lines += [f"{n}. {text['question']}", *(f"   {letter}) {text[letter]}" for letter in LETTERS)]
            answers.append(f"{n}. {text['right']}) {text['why']}")
        return "\n".join(lines + answers)


def _explain(text: Question, verdict: HTML, letter: str | None) -> None:
    """Explain a choice; nothing where there is none."""
    mark = "✓ Right." if letter == text["right"] else "✗ Not that one."
    verdict.value = f"{mark} {marked(text['why'])}" if letter else ""
