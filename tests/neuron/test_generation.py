"""Two fixed-shape traces generate what the whole model generates, token by token."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig, MarianMTModel

import tsnb
from tests.kinds import Load
from tsnb.neuron.generation import TracedSeq2Seq, trace_seq2seq
from tsnb.tracing import subjects

PAD, END = 39, 0
SOURCE, LONGEST = 9, 12


@cache
def marian(seed: int) -> MarianMTModel:
    """Make the small model of notebook 05 with other random weights."""
    torch.manual_seed(seed)
    return MarianMTModel(subjects.marian().config).eval()


def source(rows: int = 1, length: int = SOURCE, seed: int = 0) -> dict[str, torch.Tensor]:
    """Draw texts; each is shorter than the one before, and padded."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, PAD, (rows, length), generator=generator)
    real = (length - 2 * torch.arange(rows)).clamp(min=1)
    mask = (torch.arange(length) < real.unsqueeze(-1)).long()
    return {"input_ids": ids.masked_fill(mask == 0, PAD), "attention_mask": mask}


def greedy(model: MarianMTModel, inputs: dict[str, torch.Tensor], longest: int) -> torch.Tensor:
    tokens: torch.Tensor = model.generate(**inputs, num_beams=1, do_sample=False, max_length=longest)
    return tokens


@cache
def parts(seed: int = 0, rows: int = 1, longest: int = LONGEST, length: int = SOURCE) -> TracedSeq2Seq:
    return trace_seq2seq(marian(seed), source(rows, length), longest)


def both(model: MarianMTModel, rows: int = 2) -> list[list[list[int]]]:
    """Generate by traces and by the model."""
    inputs = source(rows)
    result = trace_seq2seq(model, inputs, LONGEST).generate(**inputs)
    return [result.tolist(), greedy(model, inputs, LONGEST).tolist()]


@pytest.mark.parametrize(
    ("seed", "rows", "longest", "length"), [(0, 1, 12, 9), (2, 2, 12, 9), (3, 4, 5, 3), (5, 3, 2, 32)]
)
def test_the_traces_generate_what_the_model_does(seed: int, rows: int, longest: int, length: int) -> None:
    traced, model = parts(seed, rows, longest, length), marian(seed)
    for text in range(3):  # the first is the traced one
        inputs = source(rows, length, seed=text)
        assert torch.equal(traced.generate(**inputs), greedy(model, inputs, longest))


def test_the_texts_differ_so_that_equality_says_something() -> None:
    rows = [greedy(marian(seed), source(2, seed=seed), LONGEST).tolist() for seed in range(6)]
    texts = [tuple(row) for pair in rows for row in pair]
    assert len(set(texts)) >= 8
    assert sum(len(set(text)) for text in texts) / len(texts) >= 4


def test_the_notebooks_model_is_the_same_each_time_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(1)
    written, drawn = greedy(subjects.marian(), source(2), LONGEST), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    assert torch.equal(written, greedy(subjects.marian(), source(2), LONGEST))
    assert not torch.equal(*written)


def test_padding_in_the_source_changes_nothing() -> None:
    short = {name: tensor[:, :5] for name, tensor in source(1).items()}
    fill = {"input_ids": PAD, "attention_mask": 0}
    inputs = {name: torch.nn.functional.pad(short[name], (0, 4), value=fill[name]) for name in fill}
    assert torch.equal(parts().generate(**inputs), greedy(marian(0), short, LONGEST))


def test_a_row_that_ends_early_is_padded() -> None:
    result, expected = both(marian(2))
    assert result == expected
    assert result[0][2:] == [END] + [PAD] * 9
    assert PAD not in result[1][1:]


def test_ends_and_words_that_the_configuration_rules_out_are_kept_to() -> None:
    free = greedy(marian(0), source(2), LONGEST)
    rules: dict[str, tuple[Any, Callable[[list[list[int]]], bool]]] = {
        "eos_token_id": (sorted({END, *free[:, 3].tolist()}), lambda texts: len(texts[0]) <= 4),
        "forced_eos_token_id": (END, lambda texts: {text[-1] for text in texts} <= {END, PAD}),
        "bad_words_ids": ([[free[0, 2].item()]], lambda texts: free[0, 2].item() not in texts[0]),
    }
    for name, (value, holds) in rules.items():
        model = copy.deepcopy(marian(0))
        setattr(model.generation_config, name, value)
        result, expected = both(model)
        assert result == expected
        assert holds(result)


def test_saved_parts_generate_the_same(tmp_path: Path) -> None:
    traced = parts()
    encoder = tsnb.load_traced(tsnb.save(traced.encoder, tmp_path / "encoder.pt"))
    decoder = tsnb.load_traced(tsnb.save(traced.decoder, tmp_path / "decoder.pt"))
    config = GenerationConfig.from_dict(traced.config.to_dict())
    again = TracedSeq2Seq(encoder, decoder, config)
    assert torch.equal(again.generate(**source()), traced.generate(**source()))


IDS = {"input_ids": torch.ones(1, 4, dtype=torch.int64)}
SHORT_MASK = {"attention_mask": torch.ones(1, 4, dtype=torch.int64)}


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (source(1, SOURCE + 1), r"input_ids has the shape \(1, 10\); the trace takes \(1, 9\)"),
        (source() | SHORT_MASK, "attention_mask has the shape"),
        (source() | {"attention_mask": [[1] * SOURCE]}, "attention_mask is a list"),
    ],
)
def test_what_the_traces_do_not_take_is_refused_by_name(inputs: Any, sentence: str) -> None:
    with pytest.raises(tsnb.InputError, match=sentence):
        parts().generate(**inputs)


@pytest.mark.parametrize(
    ("inputs", "longest", "sentence"),
    [
        (IDS, LONGEST, "are missing: attention_mask"),
        (source() | SHORT_MASK, LONGEST, r"of one shape, batch × length.* got \(1, 9\) and \(1, 4\)"),
        (source(), 2.5, "max_length must be .*; got 2.5"),
        (source(), 33, "33 tokens are over the position limit"),
        (source(1, 40), 5, "40 tokens are over the position limit"),
    ],
)
def test_what_cannot_be_traced_is_refused_by_name(inputs: Any, longest: Any, sentence: str) -> None:
    with pytest.raises(tsnb.InputError, match=sentence):
        trace_seq2seq(marian(0), inputs, longest)


def test_another_model_or_one_in_training_mode_is_refused(load: Load) -> None:
    for model in (load()[0], torch.nn.Linear(2, 2)):
        with pytest.raises(tsnb.InputError, match=f"Expected a MarianMTModel; got {type(model).__name__}"):
            trace_seq2seq(model, source())
    training = copy.deepcopy(marian(0)).train()
    with pytest.raises(tsnb.TraceError, match="training mode"):
        trace_seq2seq(training, source())
    assert all(part.training for part in training.modules())
