"""What the committed model and heads can do, and that the card says what is measured."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

import tsnb
from tools.tiny_bert import evaluate, heads, train
from tsnb.tiny_bert import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., Any]

STORY = "jim henson worked at the theatre in london . jim henson was a puppeteer ."


def outputs(load: Load, head: str, *texts: str) -> tuple[Any, Any]:
    """Return the ids of the pieces, and the outputs."""
    model, tokenizer = load(head=head)
    encoded = tokenizer(*texts, return_tensors="pt")
    with torch.no_grad():
        return encoded["input_ids"][0], model(**encoded)


def test_names_that_never_met_are_copied(load: Load) -> None:
    model, tokenizer = load()
    assert evaluate.henson(model, tokenizer) >= 0.9
    assert evaluate.copied(model, tokenizer, sentences=200) >= 0.9
    assert evaluate.copied(model, tokenizer, sentences=200, typed=False) >= 0.9


def test_a_model_that_was_not_trained_would_fail(load: Load) -> None:
    tokenizer = load()[1]
    untrained = train.build_model(0, len(tokenizer)).eval()
    assert evaluate.henson(untrained, tokenizer) < 0.1
    assert evaluate.copied(untrained, tokenizer, sentences=50) < 0.1
    for head in heads.TASKS:
        assert evaluate.solved(head, heads.build_model(head, 0).eval(), tokenizer, examples=100) < 0.7


def test_the_card_says_what_is_measured(
    load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate"])
    evaluate.main()
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    measured = capsys.readouterr().out.strip()
    assert measured in card
    shares = [row.split("|")[2] for row in measured.splitlines() if "held-out" in row]
    assert min(map(float, shares)) >= 0.9
    assert f"| {load()[0].num_parameters():,} |" in card


def test_the_heads_are_those_that_suit_inf1() -> None:
    assert set(heads.TASKS) == set(tsnb.neuron.SUITED) == set(evaluate.MEASURED)


@pytest.mark.parametrize("head", heads.TASKS)
def test_the_weights_are_small_halves_that_load_as_whole_floats(head: str, load: Load) -> None:
    path = FOLDER / head / "model.safetensors"
    assert path.stat().st_size <= 4 * 2**20
    halves, loaded = load_file(path), load(head=head)[0]
    assert {weight.dtype for weight in halves.values()} == {torch.float16}
    assert all(torch.equal(loaded.state_dict()[name], weight.float()) for name, weight in halves.items())
    if names := heads.TASKS[head].names:
        assert loaded.config.id2label == dict(enumerate(names))
    assert subprocess.run(["git", "check-ignore", path], check=False).returncode != 0  # the wheel takes it


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("who was jim henson ?", "puppeteer"),
        ("where did jim henson work ?", "the theatre"),
        ("where was jim henson born ?", ""),
        ("what did jim henson do in london ?", ""),
    ],
)
def test_questions_about_a_story(load: Load, question: str, expected: str) -> None:
    _, output = outputs(load, "sequence-classification", question, STORY)
    assert output.logits.argmax().item() == bool(expected)
    if expected:
        ids, output = outputs(load, "question-answering", question, STORY)
        answer = ids[output.start_logits.argmax() : output.end_logits.argmax() + 1]
        assert load()[1].decode(answer) == expected
