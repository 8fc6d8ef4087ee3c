"""Exercises that check themselves: an answer, a hint, how far one is, a quiz.

    from tsnb import checks

    price = {"float32": ..., "float16": ...}
    checks.check("untying-price", price)

How to write an exercise, say `my-exercise` for notebook 03, in `tsnb/practice/exercises/`:

1.  In `save_and_load.py`, a function `my_exercise` that takes an answer and returns an `Outcome`: `"done"`,
    `"wrong"`, `"not-yet"` for the unchanged starter, or the name of one of at most four common mistakes,
    with the values that its sentence needs. It judges by results, never by source text. `fits` refuses an
    answer of another form, `call` calls the reader's function, `compare_guesses` does most of it where the
    answer is a guess for each of several things; a `...` in an answer or in what its function returns is
    the starter, and what the reader's code raises is shown with its line. Compute what is right from the
    installed versions, as the reader could; write down no result.
2.  In `save_and_load.toml`, a table `[exercises.my-exercise]` with `title`, `minutes`, `skill` (what a
    solver can do, for the summary), `takes` (ends "This exercise takes ..."), `not-yet`, `hint-1`,
    `hint-2`, `done`, `wrong`, and `[exercises.my-exercise.mistakes]` with a sentence for each. Values fill
    the `{braces}`; what stands between backticks is shown as code. `done` says why it matters.
3.  In the notebook, where the text needs it: a Markdown cell with the id `ex-my-exercise` that begins `###
    Exercise: ` with the title, sets the task in two or three sentences and ends with its `*N minutes.*`;
    then a cell of code, id `ex-my-exercise-try`, that holds the starter and ends with the call of
    `checks.check`. It runs as it is.
4.  In `notebooks/solutions/03_my_exercise.py`, that cell, solved. It may use what the notebook's cells
    above it have defined.
5.  In `tests/practice/exercises/test_save_and_load.py`, an answer for each mistake. Everything else about
    it is tested by `test_every_exercise.py`.

A quiz is three tables `[[quiz]]` in the same file of texts. A notebook ends with `checks.progress("03")`,
with `checks.quiz("03")` under a heading, and with its recap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsnb import widgets
from tsnb.base.errors import ExerciseError
from tsnb.base.files import write_text
from tsnb.base.palette import GREEN, GREY, VERMILION
from tsnb.base.tables import marked
from tsnb.practice.exercises import exercise, exercises, questions
from tsnb.practice.progress import progress_in
from tsnb.practice.record import HINT, record

if TYPE_CHECKING:
    from torch import nn

    from tsnb.practice.exercises.base import Kind
    from tsnb.widgets.feedback import FeedbackView

HINTS = 2
HEADS: dict[Kind, tuple[str, str, str]] = {  # a symbol, words beside it, and a colour
    "done": ("✓", "Done", GREEN),
    "not-yet": ("○", "Not yet", GREY),
    "mistake": ("✗", "Look again", VERMILION),
    "wrong": ("✗", "Look again", VERMILION),
    "type": ("✗", "Another kind of answer is needed", VERMILION),
    "raises": ("!", "Your code raised an error", VERMILION),
    "stopped": ("!", "Stopped", VERMILION),
}


@dataclass(frozen=True, repr=False)
class Feedback:
    """What there is to say about an answer; prints as text, and shows with a button for hints.

    Attributes
    ----------
    exercise
        The exercise's name.
    kind
        `"done"`; `"not-yet"`, for the unchanged starter; `"mistake"`, a common one, and `"wrong"`, any other;
        `"type"`, an answer that cannot be judged; `"raises"` and `"stopped"`, code that raised or was
        interrupted.
    mistake
        The name of the common mistake; empty where there is none.
    text
        The sentences.
    note
        Something to know about the record, such as that it cannot be written.
    """

    exercise: str
    kind: Kind
    mistake: str
    text: str
    note: str = ""

    @property
    def done(self) -> bool:
        """Whether the answer is right."""
        return self.kind == "done"

    @property
    def head(self) -> str:
        """Symbol, verdict and title: `✓ Done · Tied or not?`."""
        symbol, words, _ = HEADS[self.kind]
        return f"{symbol} {words} · {exercise(self.exercise).title}"

    @property
    def foot(self) -> str:
        """Where hints and the solution are, until they are of no use."""
        if self.done:
            return ""
        solution = exercise(self.exercise).solution
        return f'Stuck? `checks.hint("{self.exercise}")` gives a hint. The solution: `%load {solution}`'

    def __repr__(self) -> str:
        return "\n".join(filter(None, (self.head, self.text, self.note, self.foot)))

    def _repr_html_(self) -> str:
        """Return head, text and foot as HTML, with a bar at the left."""
        style = f"border-left: 5px solid {HEADS[self.kind][2]}; padding: 2px 0 2px 12px; max-width: 60em"
        texts = "".join(f"<div>{marked(text)}</div>" for text in (self.text, self.note, self.foot) if text)
        return f"<div role='status' style='{style}'><strong>{marked(self.head)}</strong>{texts}</div>"

    def _view(self) -> FeedbackView:
        from tsnb.widgets.feedback import FeedbackView

        more = None if self.done else lambda: hint(self.exercise)._repr_html_()
        return FeedbackView(str(self), self._repr_html_(), more)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the view with its button, and text and HTML for where there are no widgets."""
        return self._view()._repr_mimebundle_(**kwargs)


def check(name: str, answer: Any) -> Feedback:
    """Judge an answer by its result, and keep the attempt in the reader's record.

    Parameters
    ----------
    name
        The exercise.
    answer
        A value, or a function or a module of the reader's own, which is called; Jupyter's stop button ends
        it. A `...` in it, or in what it returns, is the unchanged starter, and no attempt.

    Returns
    -------
    Feedback
        What was right and why it matters, or what is wrong with this answer.

    Raises
    ------
    ExerciseError
        There is no such exercise. A wrong answer never raises.

    Examples
    --------
    >>> check("untying-price", {"float32": ..., "float16": ...}).kind
    'not-yet'
    >>> check("untying-price", [1, 2]).kind
    'type'

    Taught in notebook 01.
    """
    events = record()
    kind, mistake, text = exercise(name).judge(answer)
    if kind != "not-yet":
        events.add(name, kind, mistake)
    return Feedback(name, kind, mistake, text, events.news())


@dataclass(frozen=True, repr=False)
class Hint:
    """The hints that were taken so far; prints as text.

    Attributes
    ----------
    texts
        One sentence or more a hint; after the last, where the solution is.
    """

    texts: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.texts)

    def _repr_html_(self) -> str:
        return "".join(f"<p>{marked(text)}</p>" for text in self.texts)


def hint(name: str) -> Hint:
    """Return the next hint for an exercise, with those before it; then where the solution is.

    Raises
    ------
    ExerciseError
        There is no such exercise.

    Examples
    --------
    >>> len(hint("untying-price").texts), len(hint("untying-price").texts)
    (1, 2)

    Taught in notebook 01.
    """
    known, events = exercise(name), record()
    taken = events.hints(name)
    texts = [f"Hint {n}: {known.sentence(f'hint-{n}')}" for n in range(1, min(taken + 1, HINTS) + 1)]
    if taken < HINTS:
        events.add(name, HINT)
    else:
        load = f"`%load {known.solution}` in a cell of its own"
        texts.append(f"The solution: {load}. Run that cell twice: first it fetches the code, then it runs it.")
    return Hint(tuple(texts))


def progress(notebook: str | None = None) -> widgets.ProgressView:
    """Show how far the reader is, in one notebook or in the course; follows what is solved.

    Parameters
    ----------
    notebook
        Its number, such as `"01"`.

    Returns
    -------
    ProgressView
        A widget; prints as text.

    Raises
    ------
    ExerciseError
        There is no such notebook.

    Examples
    --------
    >>> print(str(progress("01")).splitlines()[-1])
    0 of 4 exercises solved

    Taught in notebook 01.
    """
    events = record()
    view = widgets.ProgressView(lambda: progress_in(events, notebook))
    events.observe(lambda _: view.draw(), "changes")
    return view


def quiz(notebook: str) -> widgets.QuizView:
    """Show the three questions of a notebook; an answer is explained when one is chosen.

    Parameters
    ----------
    notebook
        Its number, such as `"01"`.

    Returns
    -------
    QuizView
        A widget; prints as text, with the answers at the end.

    Raises
    ------
    ExerciseError
        There is no such notebook.

    Examples
    --------
    >>> "Answers" in str(quiz("01"))
    True

    Taught in notebook 01.
    """
    return widgets.QuizView(questions(notebook))


def reset(notebook: str | None = None) -> str:
    """Forget attempts and hints: of one notebook, or of the course. There is no way back.

    Returns
    -------
    str
        What was forgotten.

    Raises
    ------
    ExerciseError
        There is no such notebook.

    Examples
    --------
    >>> reset("01").startswith("The record is empty again")
    True
    """
    names = [known.name for known in exercises(notebook)]
    events = record()
    events.forget(names)
    return events.news() or f"The record is empty again for: {', '.join(names)}."


def export(path: str | Path, name: str = "", *, replace: bool = False) -> str:
    """Write how far the reader is as one page in Markdown.

    Parameters
    ----------
    path
        The file, which ends in `.md`.
    name
        Whose page it is; it is written nowhere else.
    replace
        Whether the file may be there already.

    Returns
    -------
    str
        What was written.

    Raises
    ------
    ExerciseError
        The file is there already, or ends otherwise. Nothing is changed then.
    ArtifactError
        It cannot be written. Nothing is changed then either.
    """
    path = Path(path).expanduser()
    if path.suffix != ".md":
        raise ExerciseError(f"{path} does not end in .md. Name a file such as progress.md.")
    if path.exists() and not replace:
        raise ExerciseError(f"{path} is there already. Name another file, or allow it: replace=True, or --replace.")
    write_text(path, progress_in(record()).page(name))
    return f"Written: {path}"


def suspects() -> tuple[type[nn.Module], ...]:
    """Return the three models of the exercise `find-the-trap`: classes, to read and to probe.

    Examples
    --------
    >>> [suspect.__name__ for suspect in suspects()]
    ['Mean', 'Scaled', 'Placed']

    Taught in notebook 02.
    """
    from tsnb.practice.exercises.small_models import SUSPECTS

    return SUSPECTS


def stories(path: str | Path, folder: str | Path) -> dict[str, Path]:
    """Write a copy of a file for each story of the exercise `who-notices`.

    Parameters
    ----------
    path
        A file of a BERT that `tsnb.save` wrote.
    folder
        Where the copies go; older ones are replaced.

    Returns
    -------
    dict of str to Path
        Each copy by its story.

    Taught in notebook 03.
    """
    from tsnb.practice.exercises.stories import write

    return write(path, folder)
