"""Wrong answers to the exercises of notebook 03, and what is said about each."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import torch

import tsnb
from tests.practice.exercises.judging import LIMIT, judge, told
from tsnb import checks
from tsnb.practice.exercises import exercise, save_and_load, stories
from tsnb.practice.exercises.base import embedded
from tsnb.practice.record import record

if TYPE_CHECKING:
    from collections.abc import Callable


NOTEBOOK = Path(__file__).parents[2] / "notebooks/03_save_and_load.ipynb"
pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")


# What travels in a file

TRAVELS = {
    "weights": True,
    "operations": True,
    "input_names": True,
    "tokenizer": False,
    "python_source": False,
    "machine_paths": True,
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "done"),
        ({"weights": ...}, "not-yet"),
        ({"tokenizer": True}, "with-tokenizer"),
        ({"tokenizer": True, "machine_paths": False}, "with-tokenizer"),
        ({"python_source": True}, "with-source"),
        ({"input_names": False}, "without-names"),
        ({"machine_paths": False}, "without-paths"),
        ({"machine_paths": False, "operations": False}, "wrong"),
        ({"weights": "yes"}, "type"),
        ({"config": True}, "type"),
    ],
)
def test_a_guess_is_compared_with_a_file(changed: dict[str, Any], said: str) -> None:
    assert told("what-travels", TRAVELS | changed) == said


def test_what_travels_is_looked_up_in_a_file() -> None:
    assert save_and_load._travels() == TRAVELS


# Any file of tsnb, by plain torch


def run(path: str, rows: list[list[int]], **other: Any) -> Any:
    """Run rows as they should be, but for what is given."""
    extra = {"tsnb_contract.json": ""}
    loaded: Any = torch.jit.load(path, _extra_files=extra)
    contract = json.loads(extra["tsnb_contract.json"])
    names, pad = other.get("names", contract["input_names"]), contract["pad_token_id"]
    longest = max(map(len, rows)) + other.get("more", 0)
    fill = [longest - len(row) for row in rows]
    shown, side = other.get("shown", 1), -1 if other.get("left") else 1
    padded = [(row, [other.get("pad", pad)] * more) for row, more in zip(rows, fill, strict=True)]
    masks = [
        ([shown] * len(row), [other.get("hidden", 0)] * more) for row, more in zip(rows, fill, strict=True)
    ]
    made = {
        "input_ids": [[*left, *right] for left, right in (parts[::side] for parts in padded)],
        "attention_mask": [[*left, *right] for left, right in (parts[::side] for parts in masks)],
        "token_type_ids": [[other.get("segment", 0)] * longest for _ in rows],
    }
    kinds = {name: getattr(torch, kind) for name, kind in contract["dtypes"].items()}
    if "dtype" in other:
        kinds = dict.fromkeys(made, other["dtype"])
    given = {name: torch.tensor(made[name], dtype=kinds[name]) for name in names}
    with torch.no_grad():
        return other["call"](loaded, given) if "call" in other else loaded(**given)


def in_turn(path: str, rows: list[list[int]]) -> torch.Tensor:
    """Run each row alone, and put the results together."""
    alone = [run(path, [row])[0][0] for row in rows]
    return torch.nn.utils.rnn.pad_sequence(alone, batch_first=True)


BERTS = ("input_ids", "attention_mask", "token_type_ids")
RUNS: dict[str, Callable[[str, list[list[int]]], Any]] = {
    "not-yet": lambda *_: ...,
    "not-a-tensor": lambda path, rows: [run(path, [row])[0][0] for row in rows],
    "other-shape": lambda path, rows: run(path, rows[:1])[0],
    "row-by-row": in_turn,
    "on-the-left": lambda path, rows: run(path, rows, left=True)[0],
    "upside-down": lambda path, rows: run(path, rows, shown=0, hidden=1)[0],
    "no-mask": lambda path, rows: run(path, rows, hidden=1)[0],
    "other-names": lambda path, rows: run(path, rows, names=BERTS)[0],
    "other-dtype": lambda path, rows: run(path, rows, dtype=torch.int64)[0],
    "other-padding": lambda path, rows: run(path, rows, pad=0)[0],
    "wrong": lambda path, rows: run(path, rows, segment=1)[0],
    "done": lambda path, rows: run(path, rows)[0],
}


@pytest.mark.parametrize("said", RUNS)
def test_a_function_that_runs_files_is_judged_by_its_numbers(said: str) -> None:
    assert told("run-any-file", RUNS[said]) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (run, "done"),  # the tuple that the file returns
        (lambda path, rows: run(path, rows, more=3)[0], "done"),  # more padding than is needed
        (lambda path, rows: run(path, rows)[0][0], "other-shape"),
        (lambda path, rows: run(path, rows)[0][:, :, :9], "other-shape"),
        (lambda path, rows: run(path, rows)[0].flip(0), "wrong"),
        (lambda path, rows: run(path, rows, names=BERTS[:1])[0], "raises"),
        (lambda *_: None, "not-a-tensor"),
        (7, "type"),
    ],
)
def test_other_functions_that_run_files(answer: Any, said: str) -> None:
    assert told("run-any-file", answer) == said


def test_one_without_a_gradient_and_one_with_it_are_both_right() -> None:
    with_gradient = lambda path, rows: run(path, rows)[0].requires_grad_()  # noqa: E731
    assert told("run-any-file", with_gradient) == "done"


@pytest.mark.parametrize(
    "call",
    [lambda loaded, given: loaded(*given.values()), lambda loaded, given: loaded.forward(**given)],
)
def test_a_batch_by_position_or_by_forward_is_right(call: Callable[..., Any]) -> None:
    assert told("run-any-file", lambda path, rows: run(path, rows, call=call)[0]) == "done"


def test_rows_of_different_lengths_are_told_with_the_readers_line() -> None:
    def at_once(path: str, rows: list[list[int]]) -> Any:
        return torch.jit.load(path)(input_ids=torch.tensor(rows))[0]

    found = judge("run-any-file", at_once)
    assert found.kind == "raises"
    assert "torch.tensor(rows)" in found.text


def test_a_loop_that_never_ends_is_stopped() -> None:
    def endless(*_: Any) -> Any:
        while True:
            pass

    assert exercise("run-any-file").judge(endless, 0.2).kind == "time"


def test_nothing_is_left_behind_on_modules() -> None:
    """torch.compile warns of hooks for all modules, and so would other exercises' code."""
    assert told("run-any-file", lambda path, rows: run(path, rows)[0]) == "done"
    assert not torch.nn.modules.module._has_any_global_hook()
    assert "__call__" not in vars(torch.jit.ScriptModule)


# Who notices what happened to a file

FATES = {
    "half": "torch",
    "byte_more": "digest",
    "hole_in_code": "torch",
    "hole_in_weights": "digest",
    "forged": "numbers",
    "renamed": "nothing",
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "done"),
        ({"half": ...}, "not-yet"),
        ({"half": "zip"}, "unknown-word"),
        ({"hole_in_weights": "torch"}, "torch-notices"),
        ({"hole_in_weights": "torch", "forged": "digest"}, "torch-notices"),
        ({"forged": "digest"}, "stops-a-forger"),
        ({"forged": "torch"}, "stops-a-forger"),
        ({"byte_more": "nothing"}, "by-meaning"),
        ({"renamed": "digest"}, "by-name"),
        ({"hole_in_code": "digest"}, "code-as-weights"),
        ({"hole_in_weights": "numbers"}, "wrong"),
        ({"half": "digest"}, "half-a-file"),
        ({"half": True}, "type"),
        ({"stolen": "nothing"}, "type"),
    ],
)
def test_a_guess_is_compared_with_what_became_of_copies(changed: dict[str, Any], said: str) -> None:
    assert told("who-notices", FATES | changed) == said


def test_a_guess_that_is_no_common_mistake_is_named() -> None:
    found = judge("who-notices", FATES | {"hole_in_weights": "numbers", "byte_more": "torch"})
    assert "Look again at `byte_more`, `hole_in_weights`;" in found.text


def test_fates_are_found_by_loading() -> None:
    assert save_and_load._fates() == FATES


def test_stories_happen_to_copies_alone(tmp_path: Path) -> None:
    bert = save_and_load._files()[0].path
    before = bert.read_bytes()
    copies = stories.write(bert, tmp_path / "new")
    assert bert.read_bytes() == before
    assert list(copies) == list(stories.STORIES) == list(FATES)
    sizes = {story: copy.stat().st_size - len(before) for story, copy in copies.items()}
    assert sizes.pop("half") < 0
    assert sizes.pop("byte_more") == 1
    assert set(sizes.values()) == {0}
    assert copies["renamed"].read_bytes() == before
    assert tsnb.inspect(copies["forged"]).digest == "matches"


# A question of the reader's own, in C++


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, tokenizer = tsnb.load("tiny-bert", "masked-lm", torchscript=True)
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=32)
    return tsnb.save(tsnb.trace(model, inputs), tmp_path_factory.mktemp("own") / "bert.pt")


@pytest.fixture
def ask(loader: Path, saved: Path) -> Callable[..., Any]:
    """Run the program on two texts; all is as it should be, but for what is given."""

    def asked(*texts: str, take: tuple[str, ...] = BERTS, one: bool = False, **other: Any) -> Any:
        ids = embedded()[1](*texts, return_tensors="pt", **other)
        ids["token_type_ids"] *= not one
        lines = [f"{name}={' '.join(map(str, ids[name][0].tolist()))}" for name in take]
        command: list[str | Path] = [loader, saved, "--all", *lines]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return asked


BORN = ("Where was Nora Gray born ?", "Nora Gray was born [MASK] Chicago")
ASKED: list[tuple[tuple[str, ...], dict[str, Any], Any, str]] = [
    (BORN, {}, "in", "done"),
    (BORN, {}, " In", "done"),
    (BORN, {}, ..., "not-yet"),
    (BORN, {}, "gray", "other-place"),
    (BORN, {}, "zebra", "wrong"),
    (BORN, {"take": BERTS[:1]}, "in", "refused"),
    (BORN, {"take": ()}, "in", "refused"),
    (BORN, {"one": True}, "in", "one-segment"),
    (BORN, {"add_special_tokens": False}, "in", "no-special-ids"),
    (save_and_load.PAIR, {}, "henson", "old-ids"),
    (("Where was Nora Gray born ?", "in Chicago"), {}, "in", "no-blank"),
    (("Who was [MASK] Gray ?", "Nora [MASK] was a singer"), {}, "gray", "no-blank"),
    (("Nora Gray was born [MASK] Chicago",), {}, "in", "done"),
    (BORN, {}, 1.5, "type"),
]


@pytest.mark.parametrize(("texts", "other", "word", "said"), ASKED)
def test_a_question_is_judged_by_the_numbers_that_came_back(
    ask: Callable[..., Any], texts: tuple[str, ...], other: Any, word: Any, said: str
) -> None:
    assert told("ask-in-cpp", (ask(*texts, **other), word)) == said


def test_the_programs_own_words_are_told(ask: Callable[..., Any]) -> None:
    found = judge("ask-in-cpp", (ask(*BORN, take=BERTS[:1]), "in"))
    assert "the input attention_mask is missing" in found.text


def test_an_id_is_taken_for_its_word(ask: Callable[..., Any]) -> None:
    word = embedded()[1].convert_tokens_to_ids("in")
    assert told("ask-in-cpp", (ask(*BORN), word)) == "done"


def test_all_that_was_printed_is_no_word_and_is_not_told_at_full_length(
    ask: Callable[..., Any],
) -> None:
    done = ask(*BORN)
    found = exercise("ask-in-cpp").judge((done, done.stdout), LIMIT)
    assert found.kind == "wrong"
    assert len(found.text) < 200


def printed(done: Any, change: Callable[[list[float]], list[float]]) -> Any:
    """Return the same run with other numbers."""
    held = json.loads(done.stdout)
    held["logits"]["values"] = change(held["logits"]["values"])
    return subprocess.CompletedProcess(done.args, 0, json.dumps(held), "")


def test_five_numbers_are_too_few_to_find_a_word(ask: Callable[..., Any]) -> None:
    few = printed(ask(*BORN), lambda values: values[:5])
    assert told("ask-in-cpp", (few, "gray")) == "few-numbers"


def test_numbers_of_another_run_are_told(ask: Callable[..., Any]) -> None:
    other = printed(ask(*BORN), lambda values: [value + 1 for value in values])
    assert told("ask-in-cpp", (other, "in")) == "other-numbers"


@pytest.mark.parametrize(
    "answer",
    [
        "in",
        (1, "in"),
        (None, 1.5),
        (subprocess.CompletedProcess(["load_traced"], 0), "in"),  # nothing was captured
        (subprocess.CompletedProcess(["load_traced"], 0, "{}", ""), "in"),  # no ids
        (subprocess.CompletedProcess("load_traced x.pt", 0, "{}", ""), "in"),
        (subprocess.CompletedProcess(["x", "input_ids=a b"], 0, "{}", ""), "in"),
    ],
)
def test_what_is_no_run_of_the_program_is_told_what_is_taken(answer: Any) -> None:
    found = judge("ask-in-cpp", answer)
    assert found.kind == "type"
    assert "subprocess.run" in found.text


@pytest.mark.parametrize("word", [..., None, "in"])
def test_without_a_compiler_it_is_not_yet_and_no_attempt(word: Any) -> None:
    found = checks.check("ask-in-cpp", (None, word))
    assert found.kind == "not-yet"
    assert "compiler" in found.text
    assert record().events() == []


def test_its_cell_runs_where_the_program_was_not_built() -> None:
    cells = {cell.id: cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    names = {"program": None, "tokenizer": tsnb.load("tiny-bert")[1], "checks": checks}
    exec(cells["ex-ask-in-cpp-try"].source, names)
    assert names["done"] is None
