from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tools.tiny_bert import train
from tsnb.tiny_bert import FOLDER, corpus

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 60


def held_out_loss(model: Any) -> float:
    """Return the loss on 128 pairs that training never draws, one piece in ten hidden."""
    tokenizer, rng = train.build_tokenizer(), random.Random(2026)
    pairs = [corpus.pair(rng, unseen=True) for _ in range(128)]
    columns = [drawn.question for drawn in pairs], [drawn.answer for drawn in pairs]
    options = {"return_tensors": "pt", "return_special_tokens_mask": True}
    encoded = tokenizer(*columns, padding=True, **options)
    names = -encoded.pop("special_tokens_mask").float()
    generator = torch.Generator().manual_seed(0)
    ids, labels = train.mask(encoded.pop("input_ids"), names, generator, tokenizer.mask_token_id)
    with torch.no_grad():
        return float(model(input_ids=ids, labels=labels, **encoded).loss)


def test_a_short_real_training_run_lowers_the_loss() -> None:
    before = held_out_loss(train.build_model(0, len(corpus.vocabulary())).eval())
    model = train.train(STEPS)
    assert held_out_loss(model) < before - 1.5
    assert not model.training


def test_training_is_the_same_for_the_same_seed() -> None:
    first, second = (train.train(5, size=8, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(held, second[name]) for name, held in first.items())


def test_another_seed_trains_another_model() -> None:
    first, second = (train.train(1, size=4, seed=seed).state_dict() for seed in (0, 1))
    name = "cls.predictions.decoder.weight"
    assert not torch.equal(first[name], second[name])


def test_the_tokenizer_is_the_one_beside_the_weights(load: Callable[..., Any]) -> None:
    assert train.build_tokenizer().get_vocab() == load()[1].get_vocab()


def test_the_geometry_is_that_of_the_saved_model(load: Callable[..., Any]) -> None:
    config = load()[0].config
    assert {name: getattr(config, name) for name in train.GEOMETRY} == train.GEOMETRY


def test_a_batch_marks_names_pieces_and_the_rest() -> None:
    tokenizer = train.build_tokenizer()
    inputs = train.batch(tokenizer, random.Random(0), 8)
    ids, names = inputs["input_ids"], inputs["names"]
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    assert torch.equal(names == -1, special)
    words = {tokenizer.decode(piece) for piece in ids[names == 1]}
    assert words <= {*corpus.grammar()["first"], *corpus.grammar()["last"]}
    assert ((names == 1).sum(-1) >= 4).all()  # first and last name, twice


@pytest.mark.parametrize(("kind", "rate"), [(1.0, 0.3), (0.0, 0.1), (-1.0, 0.0)])
def test_pieces_are_hidden_at_their_rate(kind: float, rate: float) -> None:
    ids, names = torch.full((100, 100), 7), torch.full((100, 100), kind)
    masked, labels = train.mask(ids, names, torch.Generator().manual_seed(0), 4)
    hidden = masked == 4
    assert hidden.float().mean().item() == pytest.approx(rate, abs=0.01)
    assert set(labels[hidden].tolist()) <= {7}
    assert set(labels[~hidden].tolist()) == {train.IGNORED}


def test_what_training_writes_loads_as_the_embedded_model_does(
    python: Callable[..., str], tmp_path: Any
) -> None:
    command = "import runpy, sys; runpy.run_module('tools.tiny_bert.train', run_name='__main__')"
    python(command, "--steps", 1, "--output", tmp_path)
    saved = {path.name for path in tmp_path.iterdir()}
    assert saved <= {path.name for path in FOLDER.iterdir()}
    code = "import sys, tsnb; print(tsnb.load(sys.argv[1])[0].config.hidden_dropout_prob)"
    assert python(code, tmp_path) == "0.1\n"
