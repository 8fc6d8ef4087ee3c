"""What the committed model and heads can do, and that the card says what is measured."""

import sys

import pytest
import torch
from safetensors.torch import load_file

import tsnb
from tests.kinds import Capture, Load, MonkeyPatch
from tools.tiny_bert import evaluate, heads, train
from tsnb.tiny_bert import FOLDER


def test_a_model_that_was_not_trained_would_fail(load: Load) -> None:
    tokenizer = load()[1]
    untrained = train.build_model(0, len(tokenizer)).eval()
    assert evaluate.henson(untrained, tokenizer) < 0.1
    assert evaluate.copied(untrained, tokenizer, sentences=50) < 0.1
    for head in heads.TASKS:
        assert evaluate.solved(head, heads.build_model(head, 0).eval(), tokenizer, examples=100) < 0.7


def test_the_card_says_what_is_measured(load: Load, capsys: Capture, monkeypatch: MonkeyPatch) -> None:
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
