"""Answers to the exercises of notebook 03."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tsnb
from tests.kinds import Traces
from tests.practice.exercises.judging import judge, mistaken
from tsnb import checks
from tsnb.practice.exercises import save_and_load
from tsnb.practice.exercises.base import embedded

TRAVELS = dict.fromkeys(("weights", "operations", "input_names", "machine_paths"), True)
TRAVELS |= dict.fromkeys(("tokenizer", "python_source"), False)
FATES = {
    "half": "torch",
    "byte_more": "digest",
    "hole_in_code": "torch",
    "hole_in_weights": "digest",
    "forged": "numbers",
    "renamed": "nothing",
}
BERTS = ("input_ids", "attention_mask", "token_type_ids")


def at_once(path: str, rows: list[list[int]]) -> Any:
    return torch.jit.load(path)(input_ids=torch.tensor(rows))[0]


ANSWERS: list[tuple[str, Any, str]] = [
    ("what-travels", TRAVELS | {"tokenizer": True, "machine_paths": False}, "with-tokenizer"),
    ("what-travels", TRAVELS | {"python_source": True}, "with-source"),
    ("what-travels", TRAVELS | {"input_names": False}, "without-names"),
    ("what-travels", TRAVELS | {"machine_paths": False}, "without-paths"),
    ("what-travels", TRAVELS | {"operations": False}, "wrong"),
    ("run-any-file", mistaken("run-any-file", ("(**inputs)[0]", "(**inputs)")), "done"),
    ("run-any-file", mistaken("run-any-file", ("+ [0] *", "+ [1] *")), "no-mask"),
    ("run-any-file", mistaken("run-any-file", ("[1] * len(row) + [0]", "[0] * len(row) + [1]")), "wrong"),
    ("run-any-file", mistaken("run-any-file", ('contract["input_names"]', "made")), "other-file"),
    ("run-any-file", at_once, "raises"),
    ("who-notices", FATES | {"hole_in_weights": "torch", "forged": "digest"}, "torch-notices"),
    ("who-notices", FATES | {"forged": "digest"}, "stops-a-forger"),
    ("who-notices", FATES | {"byte_more": "nothing"}, "by-meaning"),
    ("who-notices", FATES | {"hole_in_code": "digest"}, "code-as-weights"),
    ("who-notices", FATES | {"renamed": "digest"}, "wrong"),
    ("ask-in-cpp", (subprocess.CompletedProcess(["load_traced"], 0), "in"), "type"),  # nothing captured
]


def test_the_truth_is_measured() -> None:
    assert (save_and_load.travels(), save_and_load.fates()) == (TRAVELS, FATES)


def test_stories_happen_to_copies_alone(traced: Traces, tmp_path: Path) -> None:
    path = tsnb.save(traced(), tmp_path / "bert.pt")
    before = path.read_bytes()
    copies = checks.stories(path, tmp_path / "new")
    assert path.read_bytes() == before
    assert list(copies) == list(FATES)


@pytest.fixture(scope="module")
def ask(loader: Path, traced: Traces, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Run the C++ program on texts."""
    saved = tsnb.save(traced(), tmp_path_factory.mktemp("own") / "bert.pt")

    def run(*texts: str, take: tuple[str, ...] = BERTS, every: tuple[str, ...] = ("--all",)) -> Any:
        ids = embedded()[1](*texts, return_tensors="pt")
        lines = [f"{name}={' '.join(map(str, ids[name][0].tolist()))}" for name in take]
        return subprocess.run([loader, saved, *every, *lines], capture_output=True, text=True, check=False)

    return run


BORN = ("Where was Nora Gray born ?", "Nora Gray was born [MASK] Chicago")
ASKED: list[tuple[str, tuple[str, ...], dict[str, Any], Any, str]] = [
    ("ask-in-cpp", BORN, {}, " In", "done"),
    ("ask-in-cpp", BORN, {}, ..., "not-yet"),
    ("ask-in-cpp", BORN, {}, "zebra", "wrong"),
    ("ask-in-cpp", BORN, {"every": ()}, "gray", "few-numbers"),
    ("ask-in-cpp", BORN, {"take": BERTS[:1]}, "in", "refused"),
    ("ask-in-cpp", save_and_load.PAIR, {}, "henson", "old-ids"),
    ("ask-in-cpp", ("Where was Nora Gray born ?", "in Chicago"), {}, "in", "no-blank"),
]


def test_a_question_is_judged_by_the_numbers_that_came_back(ask: Callable[..., Any]) -> None:
    for name, texts, other, word, expected in ASKED:
        judgement = judge(name, (ask(*texts, **other), word))
        assert (judgement.mistake or judgement.kind) == expected
        assert (expected == "refused") is ("the input attention_mask is missing" in judgement.text)


def test_where_the_program_was_not_built_it_is_not_yet() -> None:
    assert "compiler" in judge("ask-in-cpp", (None, "in")).text
