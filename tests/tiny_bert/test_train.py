"""The scripts that trained the embedded model and its heads: they learn, repeat, and write files."""

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.kinds import Python
from tools.tiny_bert import heads, train
from tsnb.tiny_bert import FOLDER, corpus

WEIGHTS = "model.safetensors"


def loss(model: Any) -> float:
    """Return the loss on 128 pairs that training does not draw first."""
    tokenizer, generator = train.build_tokenizer(), torch.Generator().manual_seed(0)
    inputs = train.batch(tokenizer, random.Random(2026), 128)
    ids, names = inputs.pop("input_ids"), inputs.pop("names")
    masked, labels = train.mask(ids, names, generator, tokenizer.mask_token_id)
    with torch.no_grad():
        return float(model(input_ids=masked, labels=labels, **inputs).loss)


def test_a_short_training_run_lowers_the_loss() -> None:
    before = loss(train.build_model(0, len(corpus.vocabulary())).eval())
    model = train.train(60)
    assert loss(model) < before - 1.5
    assert not model.training


def test_a_short_training_run_of_a_head_learns_to_tag() -> None:
    inputs = heads.TASKS["token-classification"].batch(train.build_tokenizer(), random.Random(9), 50, unseen=True)
    model = heads.fine_tune("token-classification", 60, 16)
    assert heads.right(model, inputs).float().mean() > 0.3
    untrained = heads.build_model("token-classification", 0).eval()
    assert heads.right(untrained, inputs).float().mean() < 0.1


def test_training_is_the_same_for_the_same_seed() -> None:
    ways: list[Callable[[], Any]] = [
        partial(train.train, 2, size=8),
        partial(heads.fine_tune, "question-answering", 2, 8),
    ]
    for way in ways:
        first, again = (way().state_dict() for _ in range(2))
        assert all(torch.equal(weight, again[name]) for name, weight in first.items())


def test_what_the_scripts_write_is_like_what_was_committed(python: Python, tmp_path: Path) -> None:
    for script in ("train", "heads"):
        command = f"import runpy; runpy.run_module('tools.tiny_bert.{script}', run_name='__main__')"
        python(command, "--steps", 1, "--output", tmp_path)
    for name in ("", *heads.TASKS):
        written, committed = tmp_path / name, FOLDER / name
        assert {path.name for path in written.iterdir()} <= {path.name for path in committed.iterdir()}
        assert json.loads((written / "config.json").read_text()) == json.loads((committed / "config.json").read_text())
        shapes = [
            {name: (weight.shape, weight.dtype) for name, weight in load_file(folder / WEIGHTS).items()}
            for folder in (written, committed)
        ]
        assert shapes[0] == shapes[1]
