"""How the heads are trained, and what the committed ones can do."""

from __future__ import annotations

import json
import random
import subprocess
import tomllib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

import tsnb
from tools.tiny_bert import evaluate, heads, train
from tsnb.tiny_bert import FOLDER, corpus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WEIGHTS = "model.safetensors"
HEADS = sorted(heads.TASKS)
STORY = "jim henson worked at the theatre in london . jim henson was a puppeteer ."


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train.build_tokenizer()


def guess(load: Callable[..., Any], head: str, *texts: str) -> tuple[Any, Any, Any]:
    """Return the labels' names, the ids of the pieces, and the outputs."""
    model, tokenizer = load(head=head)
    encoded = tokenizer(*texts, return_tensors="pt")
    with torch.no_grad():
        return model.config.id2label, encoded["input_ids"][0], model(**encoded)


def answer(load: Callable[..., Any], question: str, text: str) -> str:
    _, ids, output = guess(load, "question-answering", question, text)
    start, end = output.start_logits.argmax(), output.end_logits.argmax()
    return str(load()[1].decode(ids[start : end + 1]))


def test_the_heads_are_those_that_suit_inf1() -> None:
    assert set(heads.TASKS) == set(tsnb.neuron.SUITED) == set(evaluate.MEASURED)


# Tensors


def test_the_pieces_of_an_answer_are_its_text(tokenizer: Any) -> None:
    rng = random.Random(0)
    task = heads.TASKS["question-answering"]
    examples = [task.draw(rng, room) for room in (9, 20, 60, 100) for _ in range(50)]
    inputs = task.encode(tokenizer, examples)
    rows = zip(inputs["input_ids"], inputs["start_positions"], inputs["end_positions"], strict=True)
    for example, (ids, start, end) in zip(examples, rows, strict=True):
        found = tokenizer.decode(ids[start : end + 1])
        assert found == example.text[example.start : example.end]
        assert ids[:start].tolist().count(tokenizer.sep_token_id) == 1  # in the text


def test_every_piece_has_the_tag_of_its_word_and_no_other(tokenizer: Any) -> None:
    rng = random.Random(0)
    task = heads.TASKS["token-classification"]
    examples = [task.draw(rng, room) for room in (9, 20, 60) for _ in range(50)]
    inputs = task.encode(tokenizer, examples)
    special = torch.isin(inputs["input_ids"], torch.tensor(tokenizer.all_special_ids))
    assert torch.equal(inputs["labels"] == train.IGNORED, special)
    for example, row in zip(examples, inputs["labels"], strict=True):
        sizes = map(corpus.pieces, example.text.split())
        expected = [tag for tag, n in zip(example.tags, sizes, strict=True) for _ in range(n)]
        assert row[row != train.IGNORED].tolist() == expected


def test_a_pair_has_its_label_and_its_parts(tokenizer: Any) -> None:
    task = heads.TASKS["sequence-classification"]
    rng = random.Random(0)
    examples = [task.draw(rng, 20) for _ in range(20)]
    inputs = task.encode(tokenizer, examples)
    assert inputs["labels"].tolist() == [example.label for example in examples]
    rows = zip(inputs["input_ids"], inputs["token_type_ids"], strict=True)
    for example, (ids, types) in zip(examples, rows, strict=True):
        text = tokenizer.decode(ids[types == 1], skip_special_tokens=True)
        assert text.replace(" ", "") == example.text.replace(" ", "")


@pytest.mark.parametrize("head", HEADS)
def test_a_batch_holds_held_out_names_only_when_asked_for(head: str, tokenizer: Any) -> None:
    lists = corpus.grammar()
    for unseen in (False, True):
        inputs = heads.TASKS[head].batch(tokenizer, random.Random(0), 50, unseen=unseen)
        texts = [tokenizer.decode(ids).split() for ids in inputs["input_ids"]]
        pairs = {pair for words in texts for pair in pairwise(words)}
        held = {
            corpus.held_out(*pair) for pair in pairs if pair[0] in lists["first"] and pair[1] in lists["last"]
        }
        assert held == {unseen}


class Guess(torch.nn.Module):
    """Return scores that were given."""

    def __init__(self, *scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, input_ids: torch.Tensor) -> Any:
        assert input_ids is not None
        return self

    def to_tuple(self) -> tuple[torch.Tensor, ...]:
        return self.scores


def test_only_an_example_that_is_right_everywhere_counts() -> None:
    ids = torch.zeros(3, 2)
    starts, ends = (
        torch.tensor([[1.0, 0], [1, 0], [0, 1]]),
        torch.tensor([[0.0, 1], [1, 0], [0, 1]]),
    )
    asked = {"input_ids": ids, "start_positions": torch.tensor([0, 0, 0])}
    asked["end_positions"] = torch.tensor([1, 1, 1])
    model: Any = Guess(starts, ends)
    assert heads.right(model, asked).tolist() == [True, False, False]
    tags = torch.tensor([[0, 1], [0, train.IGNORED], [1, 1]])
    model = Guess(torch.stack([starts, ends], 1))  # rows guess 0 1, 0 0, 1 1
    assert heads.right(model, {"input_ids": ids, "labels": tags}).tolist() == [True, True, True]
    assert heads.right(model, {"input_ids": ids, "labels": 1 - tags.abs()}).any().item() is False


# Training


@pytest.mark.parametrize("head", HEADS)
def test_training_is_the_same_for_the_same_seed_and_differs_for_another(head: str) -> None:
    first, again, other = (heads.fine_tune(head, 3, 8, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())
    assert not all(torch.equal(weight, other[name]) for name, weight in first.items())


@pytest.mark.parametrize("head", HEADS)
def test_training_starts_from_the_embedded_model(head: str, load: Callable[..., Any]) -> None:
    model, embedded = heads.build_model(head, 0), load()[0].state_dict()
    shared = model.state_dict().keys() & embedded.keys()
    assert len(shared) > 50
    assert all(torch.equal(model.state_dict()[name], embedded[name]) for name in shared)
    assert not any(getattr(model.config, name) for name in train.DROPOUT)


def test_a_short_training_run_learns_to_tag(tokenizer: Any) -> None:
    model = heads.fine_tune("token-classification", 60, 16)
    task = heads.TASKS["token-classification"]
    inputs = task.batch(tokenizer, random.Random(9), 50, unseen=True)
    assert heads.right(model, inputs).float().mean() > 0.3
    untrained = heads.build_model("token-classification", 0).eval()
    assert heads.right(untrained, inputs).float().mean() < 0.1


def test_what_the_script_writes_loads_as_the_committed_heads_do(
    python: Callable[..., str], tmp_path: Path
) -> None:
    command = "import runpy; runpy.run_module('tools.tiny_bert.heads', run_name='__main__')"
    python(command, "--steps", 1, "--output", tmp_path)
    for head in HEADS:
        written, kept = (
            {path.name: path for path in (folder / head).iterdir()} for folder in (tmp_path, FOLDER)
        )
        assert written.keys() == kept.keys() == {"config.json", WEIGHTS}
        configs = [json.loads(held["config.json"].read_text()) for held in (written, kept)]
        assert configs[0] == configs[1]
        shapes = [
            {name: (part.shape, part.dtype) for name, part in load_file(path).items()}
            for path in (written[WEIGHTS], kept[WEIGHTS])
        ]
        assert shapes[0] == shapes[1]


# What is committed


@pytest.mark.parametrize("head", HEADS)
def test_the_weights_are_small_halves_that_load_as_whole_floats(head: str, load: Callable[..., Any]) -> None:
    path = FOLDER / head / WEIGHTS
    assert path.stat().st_size <= 4 * 2**20
    halves, loaded = load_file(path), load(head=head)[0].state_dict()
    assert {weight.dtype for weight in halves.values()} == {torch.float16}
    assert all(torch.equal(loaded[name], weight.float()) for name, weight in halves.items())


@pytest.mark.parametrize("head", HEADS)
def test_held_out_examples_are_solved(head: str, load: Callable[..., Any]) -> None:
    model, tokenizer = load(head=head)
    assert evaluate.solved(head, model, tokenizer, 300) >= 0.97


@pytest.mark.parametrize("head", HEADS)
def test_a_head_that_was_not_trained_would_fail(head: str, tokenizer: Any) -> None:
    untrained = heads.build_model(head, 0).eval()
    assert evaluate.solved(head, untrained, tokenizer, examples=100) < 0.7


def test_labels_are_words(load: Callable[..., Any]) -> None:
    for head, task in heads.TASKS.items():
        if task.names:
            config = load(head=head)[0].config
            assert config.id2label == dict(enumerate(task.names))
            assert config.label2id == {name: index for index, name in enumerate(task.names)}


def test_questions_about_a_story_are_answered(load: Callable[..., Any]) -> None:
    assert answer(load, "who was jim henson ?", STORY) == "puppeteer"
    assert answer(load, "where did jim henson work ?", STORY) == "the theatre"
    assert answer(load, "Who was Jim Henson ?", "Jim Henson was a puppeteer") == "puppeteer"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("who was jim henson ?", "answers"),
        ("where did jim henson work ?", "answers"),
        ("where was jim henson born ?", "does not answer"),
        ("what did jim henson do in london ?", "does not answer"),
    ],
)
def test_questions_without_an_answer_are_told_apart(
    load: Callable[..., Any], question: str, expected: str
) -> None:
    names, _, output = guess(load, "sequence-classification", question, STORY)
    assert names[output.logits.argmax().item()] == expected


def test_the_wheel_takes_the_heads_along() -> None:
    root = FOLDER.parents[1]
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build == {"targets": {"wheel": {"packages": ["tsnb"]}}}  # what git does not ignore
    files = [FOLDER / head / name for head in HEADS for name in ("config.json", WEIGHTS)]
    assert all(file.is_file() for file in files)
    ignored = subprocess.run(["git", "check-ignore", *files], cwd=root, check=False)
    assert ignored.returncode != 0
