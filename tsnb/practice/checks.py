"""Exercises that check themselves: an answer, a hint, how far one is, a quiz.

    from tsnb import checks

    price = {"float32": ..., "float16": ...}
    checks.check("untying-price", price)

How to write an exercise, say `my-exercise` for notebook 03:

1.  In `tsnb/exercises/save_and_load.py` (named in `MODULES` of `tsnb/exercises/__init__.py`), an
    `Exercise` in the tuple `EXERCISES`. It says which answers `fits` takes, what to `measure` on
    one (a dict of facts: numbers and booleans, never source text; the reader's code runs in here,
    under the time limit), which facts are `right`, and which show one of the common `mistakes`;
    the first that applies is told, so put the narrower ones first. A `...` anywhere in the answer
    or in the facts is the unchanged starter; where the starter is code with a bug in it, `starter`
    knows the bug by its facts. Where the answer is a guess for each of several things,
    `tsnb/exercises/predictions.py` has most of it. Compute what is right from the installed
    versions, as the reader could; write down no result.
2.  In `tsnb/words/exercises.en.toml`, a table `[exercise.my-exercise]` with `title`, `skill` (what
    a solver can do, for the summary), `takes` (ends "This exercise takes ..."), `not-yet`,
    `hint-1`, `hint-2`, `done`, `wrong` and one sentence for each mistake's key. Facts fill the
    `{gaps}`; what stands between backticks is shown as code. `done` says why it matters. A title
    for the notebook stands in `[notebooks]` of `checks.en.toml`.
3.  In the notebook, where the text needs it: a Markdown cell with the id `ex-my-exercise` that
    begins `### Exercise: ` with the title, sets the task in two or three sentences and ends with
    its `*N minutes.*`; then a cell of code, id `ex-my-exercise-try`, that holds the starter and
    ends with the call of `checks.check`. It runs as it is.
4.  In `notebooks/solutions/03_my_exercise.py`, that cell, solved. It may use what the notebook's
    cells above it have defined.
5.  In `tests/exercises/test_save_and_load.py`, at least two wrong answers with their mistakes'
    keys. Everything else about it is tested by `tests/exercises/test_every_exercise.py`.

A quiz is three questions in `tsnb/words/quizzes.en.toml` and, in the module of its notebook, the
letters of the right choices: `QUIZ = "bac"`. A notebook ends with `checks.progress("03")`, with
`checks.quiz("03")` under a heading, and with its recap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import ExerciseError
from tsnb.practice.exercises import exercise, exercises
from tsnb.practice.feedback import Feedback, marked
from tsnb.practice.record import HINT, record

if TYPE_CHECKING:
    from tsnb.widgets.progress import ProgressView
    from tsnb.widgets.quiz import QuizView

LIMIT = 10.0  # seconds that the reader's own code may run
HINTS = 2

__all__ = ["Feedback", "Hint", "check", "export", "hint", "progress", "quiz", "reset"]


def check(name: str, answer: Any, *, limit: float = LIMIT) -> Feedback:
    """Judge an answer by its result, and keep the attempt in the reader's record.

    Parameters
    ----------
    name
        The exercise.
    answer
        A value, or a function or a module of the reader's own, which is called. A `...` in it, or
        in what it returns, is the unchanged starter, and no attempt.
    limit
        Seconds that the reader's code may run.

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
    found = exercise(name).judge(answer, limit)
    kept = record()
    if found.kind != "not-yet":
        kept.add(name, found.kind, found.mistake)
    return replace(found, note=kept.news())


@dataclass(frozen=True, repr=False)
class Hint:
    """The hints that were taken so far; prints as text.

    Attributes
    ----------
    texts
        One sentence or more a hint; after the last, where the solution is.
    """

    texts: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.texts)

    __repr__ = __str__

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
    found, kept = exercise(name), record()
    taken = kept.hints(name)
    if taken < HINTS:
        kept.add(name, HINT)
    numbers = range(1, min(taken + 1, HINTS) + 1)
    texts = [f"Hint {n}: {found.sentence(f'hint-{n}')}" for n in numbers]
    if taken >= HINTS:
        texts.append(
            f"The solution: `%load {found.solution}` in a cell of its own. Run that cell "
            "twice: the first run fetches the code, the second runs it."
        )
    return Hint(tuple(texts))


def progress(notebook: str | None = None) -> ProgressView:
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
    from tsnb.widgets.progress import ProgressView

    return ProgressView(record(), notebook)


def quiz(notebook: str) -> QuizView:
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
    from tsnb.widgets.quiz import QuizView

    return QuizView(notebook)


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
    held = exercises(notebook)
    record().forget([found.name for found in held])
    return f"The record is empty again for: {', '.join(found.name for found in held)}."


def export(path: str | Path, name: str = "", *, replace: bool = False) -> str:
    """Write how far the reader is as one page, in Markdown (`.md`) or HTML (`.html`).

    Parameters
    ----------
    path
        The file.
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
        The file is there already, ends otherwise, or cannot be written. Nothing is changed then.
    """
    path = Path(path).expanduser()
    if path.suffix not in {".md", ".html"}:
        raise ExerciseError(
            f"{path} ends in neither .md nor .html. Name a file such as progress.md or progress.html."
        )
    if path.exists() and not replace:
        raise ExerciseError(
            f"{path} is there already. Name another file, or say that it may be replaced: "
            "replace=True, or --replace."
        )
    from tsnb.practice.progress import progress_in

    found = progress_in(record())
    page = found.to_markdown(name) if path.suffix == ".md" else found.to_html(name)
    _write(path, page)
    return f"Written: {path}"


def _write(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    half = path.with_name(f".{path.name}.part")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as error:
        raise ExerciseError(f"{path} cannot be written: {error.strerror}. Name another file.") from error
    finally:
        half.unlink(missing_ok=True)
