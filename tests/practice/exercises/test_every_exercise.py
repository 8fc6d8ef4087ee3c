"""Each exercise has its texts, its cells and a solution; starters and solutions are judged rightly."""

import ast
import linecache
import re
import string
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
import pytest

import tsnb
from tests.kinds import Load, MonkeyPatch, Traces
from tests.practice.exercises.judging import NOTEBOOKS, judge
from tsnb.practice.exercises import MODULES, exercises, questions
from tsnb.tiny_bert import corpus

ALL = exercises()
each = pytest.mark.parametrize("exercise", ALL, ids=[exercise.name for exercise in ALL])
of_notebooks = pytest.mark.parametrize("number", MODULES)


def cells(number: str) -> dict[str, Any]:
    [path] = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def evaluate(source: str, namespace: dict[str, Any]) -> Any:
    """Run a cell; return what its last line shows, as Jupyter would, and let its source be looked up."""
    place = f"<cell {hash(source)}>"
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    tree = ast.parse(source)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body.pop()
    exec(compile(tree, place, "exec"), namespace)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), place, "eval"), namespace)
    return None


@pytest.fixture
def names(
    request: pytest.FixtureRequest, load: Load, traced: Traces, tmp_path: Path
) -> Callable[[str], dict[str, Any]]:
    """Return what a notebook's first cell defines, and what its exercises use of later ones."""

    def defined(number: str) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if number == "02":
            more = {"lengths": tsnb.token_lengths(load()[1], corpus.texts(1000))}
        elif number == "03":
            path = tsnb.save(traced(), tmp_path / "bert.pt")
            more = {"program": request.getfixturevalue("loader"), "path": path}
        code = "\n".join(cell.source for cell in cells(number).values() if cell.cell_type == "code")
        assert all(re.search(rf"^{name} = ", code, re.MULTILINE) for name in more)
        namespace: dict[str, Any] = {"__name__": "__main__"}
        evaluate(cells(number)["setup"].source, namespace)
        return namespace | more

    return defined


@of_notebooks
def test_starters_are_not_yet_and_solutions_are_done(
    number: str, names: Callable[[str], dict[str, Any]], tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        namespace = names(number)
        for exercise in exercises(number):
            starter = evaluate(cells(number)[f"ex-{exercise.name}-try"].source, namespace)
            solution = (NOTEBOOKS / exercise.solution).read_text(encoding="utf-8")
            solved = evaluate(solution, dict(namespace))
            assert (starter.exercise, starter.kind) == (exercise.name, "not-yet"), starter
            assert (solved.exercise, solved.kind) == (exercise.name, "done"), solved


@each
def test_its_texts_are_whole(exercise: Any) -> None:
    every = {"title", "minutes", "skill", "takes", "not-yet", "hint-1", "hint-2", "done", "mistakes"}
    assert {*exercise.text} - {"wrong"} == every
    for name in ("title", "skill", "takes", "not-yet", "hint-1", "hint-2"):
        assert [value for _, value, _, _ in string.Formatter().parse(exercise.text[name]) if value] == []


TESTS = [import_module(f"tests.practice.exercises.test_{module}") for module in MODULES.values()]
ANSWERS = [row for tests in TESTS for row in tests.ANSWERS]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::tsnb.models.load.NewWeightsWarning")
@pytest.mark.parametrize(("name", "answer", "expected"), ANSWERS)
def test_answers(name: str, answer: Any, expected: str) -> None:
    judgement = judge(name, answer)
    assert (judgement.mistake or judgement.kind) == expected


def test_every_mistake_has_an_answer() -> None:
    mistakes = {(exercise.name, mistake) for exercise in ALL for mistake in exercise.text["mistakes"]}
    assert mistakes <= {(row[0], row[-1]) for row in [*ANSWERS, *TESTS[2].ASKED]}


@each
def test_its_cells_have_its_title_its_minutes_and_its_check(exercise: Any) -> None:
    """The first and the last line of code stand in the solution too: nobody looks for the difference."""
    book = cells(exercise.notebook)
    text = book[f"ex-{exercise.name}"].source
    assert text.startswith(f"### Exercise: {exercise.title}\n")
    assert text.endswith(f"*{exercise.text['minutes']} minutes.*")
    starter = book[f"ex-{exercise.name}-try"].source.splitlines()
    solution = (NOTEBOOKS / exercise.solution).read_text(encoding="utf-8").splitlines()
    assert solution[-1] == starter[-1]
    assert starter[-1].startswith(f'checks.check("{exercise.name}", ')
    assert re.split(r"\W", solution[0])[0] == re.split(r"\W", starter[0])[0]


def test_names_and_solutions_are_distinct_and_no_others() -> None:
    files = [f"solutions/{path.name}" for path in (NOTEBOOKS / "solutions").iterdir()]
    assert sorted(files) == sorted(exercise.solution for exercise in ALL)


@of_notebooks
def test_a_notebook_ends_with_panel_quiz_and_recap_and_is_half_exercises_at_most(number: str) -> None:
    book = cells(number)
    assert list(book)[-5:] == ["practice", "practice-progress", "quiz", "quiz-try", "recap"]
    assert book["practice-progress"].source == f'checks.progress("{number}")'
    assert book["quiz-try"].source == f'checks.quiz("{number}")'
    promised = re.search(r"\*\*(\d+) minutes\.\*\*", book["title"].source)
    assert promised is not None
    assert sum(exercise.text["minutes"] for exercise in exercises(number)) <= int(promised[1]) / 2


@of_notebooks
def test_a_quiz_has_three_questions_whose_choices_fit_on_a_line(number: str) -> None:
    """A radio button of Jupyter does not wrap."""
    assert len(questions(number)) == 3
    for question in questions(number):
        assert question["right"] in "abc"
        assert max(len(question[letter]) for letter in "abc") <= 75
