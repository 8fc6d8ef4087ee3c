"""The quiz at the end of a notebook: three questions, explained when one has chosen."""

from __future__ import annotations

from ipywidgets import HTML, Layout, RadioButtons

from tsnb.base.words import say
from tsnb.practice.feedback import marked
from tsnb.widgets.base import View, live_region
from tsnb.widgets.quiz_state import QuizState


class QuizView(View):
    """Show the questions of a notebook; Tab and the arrow keys choose, as the mouse does.

    Without a front end for widgets, the answers are folded below each question.

    Parameters
    ----------
    notebook
        Its number, such as `"01"`.

    Raises
    ------
    ExerciseError
        There is no such notebook.

    Examples
    --------
    >>> view = QuizView("01")
    >>> view.choices[0].value = view.state.right[0]
    >>> "Right" in view.verdicts[0].value
    True

    Taught in notebook 01.
    """

    state: QuizState

    def __init__(self, notebook: str) -> None:
        state = QuizState(notebook)
        numbers = range(len(state.right))
        self.questions = [HTML(_bold(state.question(index))) for index in numbers]
        self.choices = [self._radio(state.choices(index)) for index in numbers]
        self.verdicts = [live_region() for _ in numbers]
        rows = zip(self.questions, self.choices, self.verdicts, strict=True)
        super().__init__(state, *(part for parts in rows for part in parts))
        for index, choice in enumerate(self.choices):
            choice.observe(lambda change, index=index: self._choose(index, change.new), "value")
        state.observe(lambda _: self.draw(), "chosen")

    def draw(self) -> None:
        """Bring the explanations and the choices to what the state is now."""
        for index, letter in enumerate(self.state.chosen):
            self.choices[index].value = letter or None
            self.verdicts[index].value = marked(self.state.verdict(index))

    def html(self) -> str:
        """Return questions and choices, with the answers folded."""
        return "".join(map(self._folded, range(len(self.questions))))

    def _choose(self, index: int, letter: str | None) -> None:
        chosen = list(self.state.chosen)
        chosen[index] = letter or ""
        self.state.chosen = chosen

    def _folded(self, index: int) -> str:
        items = "".join(f"<li>{marked(text)}</li>" for text in self.state.choices(index).values())
        right = f"{self.state.right[index]}) {self.state.why(index)}"
        return (
            f"<p>{self.questions[index].value}</p>"
            f"<ol style='list-style-type: lower-alpha'>{items}</ol>"
            f"<details style='margin-bottom: 1em'><summary>{say('quiz.answer')}</summary>"
            f"{marked(right)}</details>"
        )

    @staticmethod
    def _radio(choices: dict[str, str]) -> RadioButtons:
        options = [(f"{letter}) {text}", letter) for letter, text in choices.items()]
        return RadioButtons(options=options, value=None, layout=Layout(width="max-content", max_width="100%"))


def _bold(text: str) -> str:
    return f"<strong>{marked(text)}</strong>"
