"""What a quiz shows: its questions, what was chosen, and why that is right or not."""

from __future__ import annotations

from traitlets import HasTraits, List, Unicode

from tsnb.base.words import say
from tsnb.practice.exercises import right_choices

LETTERS = "abc"


class QuizState(HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """The three questions of a notebook; prints as questions, choices and, at the end, answers.

    Parameters
    ----------
    notebook
        Its number, such as `"01"`.

    Attributes
    ----------
    chosen
        A trait: a letter a question, empty where none was chosen yet.

    Raises
    ------
    ExerciseError
        There is no such notebook.

    Examples
    --------
    >>> state = QuizState("01")
    >>> state.verdict(0)
    ''
    >>> state.chosen = [state.right[0], "", ""]
    >>> state.verdict(0).startswith("✓ Right.")
    True

    Taught in notebook 01.
    """

    chosen = List(Unicode())

    def __init__(self, notebook: str) -> None:
        self.right = right_choices(notebook)
        self.notebook = notebook
        super().__init__(chosen=[""] * len(self.right))

    def question(self, index: int) -> str:
        """Return a question with its number."""
        return f"{index + 1}. {self._say(index, 'question')}"

    def choices(self, index: int) -> dict[str, str]:
        """Return what can be chosen, by its letter."""
        return {letter: self._say(index, letter) for letter in LETTERS}

    def why(self, index: int) -> str:
        """Return why the right choice is right."""
        return self._say(index, "why")

    def verdict(self, index: int) -> str:
        """Return what there is to say about a choice; nothing before there is one."""
        if not self.chosen[index]:
            return ""
        right = self.chosen[index] == self.right[index]
        return f"{say('quiz.right' if right else 'quiz.wrong')} {self.why(index)}"

    def __str__(self) -> str:
        asked = [
            "\n".join([self.question(index), *(f"   {k}) {v}" for k, v in self.choices(index).items())])
            for index in range(len(self.right))
        ]
        answers = [f"{index + 1}. {letter}) {self.why(index)}" for index, letter in enumerate(self.right)]
        return "\n".join([*asked, "", "Answers", *answers])

    def _say(self, index: int, key: str) -> str:
        return say(f"quizzes.{self.notebook}.{index + 1}.{key}")
