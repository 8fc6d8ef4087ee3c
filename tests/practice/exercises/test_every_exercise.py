"""Each exercise has its words, its cells and a solution; its starter is told kindly."""

from __future__ import annotations

import ast
import linecache
import re
import string
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tsnb import checks
from tsnb.base.words import sentences
from tsnb.practice.exercises import MODULES, exercises, right_choices
from tsnb.practice.feedback import Feedback
from tsnb.practice.record import VARIABLE

FOLDER = Path(__file__).parents[2] / "notebooks"
ALL = exercises()
NAMES = [exercise.name for exercise in ALL]
ENGLISH = sentences("en")
FIXED = {"title", "skill", "takes", "not-yet", "hint-1", "hint-2", "done", "wrong"}
CODE, TEXT = "code", "markdown"
Cells = dict[str, Any]


def notebook_path(number: str) -> Path:
    [path] = FOLDER.glob(f"{number}_*.ipynb")
    return path


def cells(number: str) -> Cells:
    return {cell.id: cell for cell in nbformat.read(notebook_path(number), as_version=4).cells}


def table(prefix: str) -> dict[str, set[str]]:
    """Return the keys below a prefix, by the name that follows it."""
    found: dict[str, set[str]] = {}
    for key in ENGLISH:
        if key.startswith(prefix):
            name, _, last = key.removeprefix(prefix).rpartition(".")
            found.setdefault(name, set()).add(last)
    return found


def evaluate(source: str, namespace: dict[str, Any]) -> Any:
    """Run a cell; return what its last line shows, as Jupyter would.

    Its source can be looked up, as Jupyter's can: `torch.jit.script` does so.
    """
    place = f"<cell {hash(source)}>"
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    tree = ast.parse(source)
    last = tree.body[-1]
    if not isinstance(last, ast.Expr):
        exec(compile(tree, place, "exec"), namespace)
        return None
    tree.body.pop()
    exec(compile(tree, place, "exec"), namespace)
    return eval(compile(ast.Expression(last.value), place, "eval"), namespace)


@pytest.fixture(scope="module", params=MODULES)
def worked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Run a notebook's cells; at each exercise, what its starter and its solution show."""
    number, shown = request.param, {}
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        patch.setenv(VARIABLE, "progress.sqlite")
        warnings.simplefilter("ignore")
        for name, cell in cells(number).items():
            if cell.cell_type != CODE:
                continue
            starter = evaluate(cell.source, namespace)
            if name.endswith("-try") and name.startswith("ex-"):
                exercise = name.removeprefix("ex-").removesuffix("-try")
                path = FOLDER / f"solutions/{number}_{exercise.replace('-', '_')}.py"
                solved = evaluate(path.read_text(encoding="utf-8"), dict(namespace))
                shown[exercise] = {"starter": starter, "solution": solved}
    return number, shown


def test_every_exercise_of_a_notebook_is_in_it(
    worked: tuple[str, dict[str, dict[str, Any]]],
) -> None:
    number, shown = worked
    assert list(shown) == [exercise.name for exercise in exercises(number)]


def test_starters_are_told_kindly_and_solutions_are_done(
    worked: tuple[str, dict[str, dict[str, Any]]],
) -> None:
    for name, both in worked[1].items():
        assert isinstance(both["starter"], Feedback)
        assert (name, both["starter"].kind) == (name, "not-yet")
        assert (name, both["solution"].kind) == (name, "done"), str(both["solution"])
        assert (both["starter"].exercise, both["solution"].exercise) == (name, name)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_answer_is_told_kindly_too(name: str) -> None:
    found = checks.check(name, ...)
    assert found.kind == "not-yet"
    assert "{" not in found.text


def test_names_are_distinct() -> None:
    assert len(NAMES) == len(set(NAMES))


def test_each_notebook_has_three_to_five() -> None:
    counts = {number: len(exercises(number)) for number in MODULES}
    assert {number: count for number, count in counts.items() if not 3 <= count <= 5} == {}


def test_every_table_of_words_is_of_an_exercise_and_the_reverse() -> None:
    assert sorted(table("exercise.")) == sorted(NAMES)


@pytest.mark.parametrize("exercise", ALL, ids=NAMES)
def test_an_exercise_has_its_sentences_and_no_others(exercise: Any) -> None:
    mistakes = {mistake.key for mistake in exercise.mistakes}
    assert table("exercise.")[exercise.name] == FIXED | mistakes
    assert len(mistakes) == len(exercise.mistakes) >= 2


@pytest.mark.parametrize("exercise", ALL, ids=NAMES)
def test_only_what_is_told_after_a_measure_has_gaps(exercise: Any) -> None:
    for key in ("title", "skill", "takes", "hint-1", "hint-2"):
        text = ENGLISH[f"exercise.{exercise.name}.{key}"]
        assert [gap for _, gap, _, _ in string.Formatter().parse(text) if gap] == []


@pytest.mark.parametrize("exercise", ALL, ids=NAMES)
def test_its_cell_of_text_has_its_title_and_its_minutes(exercise: Any) -> None:
    text = cells(exercise.notebook)[f"ex-{exercise.name}"].source
    assert text.startswith(f"### Exercise: {ENGLISH[f'exercise.{exercise.name}.title']}\n")
    assert text.endswith(f"*{exercise.minutes} minutes.*")


@pytest.mark.parametrize("exercise", ALL, ids=NAMES)
def test_its_cell_of_code_ends_with_the_check(exercise: Any) -> None:
    last = cells(exercise.notebook)[f"ex-{exercise.name}-try"].source.splitlines()[-1]
    assert last.startswith(f'checks.check("{exercise.name}", ')


@pytest.mark.parametrize("exercise", ALL, ids=NAMES)
def test_its_solution_is_its_cell_solved(exercise: Any) -> None:
    """The first and the last line of code stand in both: nobody has to look for the difference."""
    starter = cells(exercise.notebook)[f"ex-{exercise.name}-try"].source.splitlines()
    solution = (FOLDER / exercise.solution).read_text(encoding="utf-8").splitlines()
    assert solution[-1] == starter[-1]
    assert re.split(r"\W", solution[0])[0] == re.split(r"\W", starter[0])[0]


def test_every_solution_is_of_an_exercise() -> None:
    files = {f"solutions/{path.name}" for path in (FOLDER / "solutions").iterdir()}
    assert files == {exercise.solution for exercise in ALL}


@pytest.mark.parametrize("number", MODULES)
def test_a_notebook_ends_with_panel_quiz_and_recap(number: str) -> None:
    held = cells(number)
    assert list(held)[-5:] == ["practice", "practice-progress", "quiz", "quiz-try", "recap"]
    assert held["practice-progress"].source == f'checks.progress("{number}")'
    assert held["quiz-try"].source == f'checks.quiz("{number}")'


@pytest.mark.parametrize("number", MODULES)
def test_the_exercises_take_half_of_a_notebook_at_most(number: str) -> None:
    promised = re.search(r"\*\*(\d+) minutes\.\*\*", cells(number)["title"].source)
    assert promised is not None
    assert sum(exercise.minutes for exercise in exercises(number)) <= int(promised[1]) / 2


@pytest.mark.parametrize("number", MODULES)
def test_a_quiz_has_three_questions_and_its_right_choices(number: str) -> None:
    right = right_choices(number)
    assert re.fullmatch("[abc]{3}", right)
    keys = {"question", "a", "b", "c", "why"}
    tables = table(f"quizzes.{number}.")
    assert tables == {str(index): keys for index in (1, 2, 3)}


def test_every_quiz_is_of_a_notebook() -> None:
    assert {name.split(".")[0] for name in table("quizzes.")} == set(MODULES)


def test_choices_fit_on_a_line() -> None:
    """A radio button of Jupyter does not wrap."""
    long = [key for key in ENGLISH if key.startswith("quizzes.") and key[-2:] in {".a", ".b", ".c"}]
    assert [key for key in long if len(ENGLISH[key]) > 75] == []
