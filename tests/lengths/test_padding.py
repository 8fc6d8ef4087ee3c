"""What padding costs: four plans, counted by hand and by what the Runner really computes."""

from typing import Any

import numpy as np
import pytest

import tsnb
from tests.kinds import Load, MonkeyPatch, Traces
from tsnb.inference import runner as inference
from tsnb.lengths import padding
from tsnb.lengths.batching import MAX_TOKENS, WINDOW
from tsnb.lengths.lengths import Geometry, flops
from tsnb.lengths.padding import padding_cost
from tsnb.tiny_bert import corpus

SOME = [5, 30, 6, 9, 12, 31]
RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(3.3, 0.6, 5000).astype(np.int64), 5, 300)  # more than a window
MINI = Geometry(6, 384, 1536)
TEXTS = corpus.texts(60, longest=60)


# what is counted


@pytest.mark.parametrize("lengths", [REAL, MANY, [7] * 20])
@pytest.mark.parametrize("max_length", [None, 16, 400])
def test_every_plan_runs_every_text_once_and_none_is_too_long(lengths: Any, max_length: int | None) -> None:
    """As in the Runner: a text goes to the shortest bucket, and a batch keeps to the tokens that it may have."""
    report = padding_cost(lengths, max_length)
    for plan in report.plans.values():
        assert sorted(i for batch in plan.batches for i in batch.indices) == [*range(len(lengths))]
        assert plan.computed == sum(batch.tokens for batch in plan.batches)
        for batch in plan.batches:
            assert len(batch.indices) <= batch.rows
            assert max(report.lengths[index] for index in batch.indices) <= batch.length
    assert max(batch.tokens for batch in report.plans["sorted"].batches) <= MAX_TOKENS
    for batch in report.plans["buckets"].batches:
        shorter = max((edge for edge in report.edges if edge < batch.length), default=0)
        assert all(report.lengths[index] > shorter for index in batch.indices)


def test_batches_come_in_arrival_order_or_cost_less() -> None:
    report = padding_cost(REAL, batch_size=7)
    parts = [REAL[first : first + 7] for first in range(0, len(REAL), 7)]
    assert report.computed["arrival"] == sum(len(part) * part.max() for part in parts)
    assert [i for batch in report.plans["arrival"].batches for i in batch.indices] == [*range(1000)]
    computed = padding_cost(REAL).computed
    assert computed["max"] > computed["arrival"] > computed["buckets"] > computed["sorted"] > REAL.sum()


def test_operations_are_those_of_every_row() -> None:
    report = padding_cost(REAL, 100, geometry=MINI)
    least = sum(flops(min(int(length), 100), MINI) for length in REAL)
    for plan in report.plans.values():
        spent = sum(flops(batch.length, MINI) * batch.rows for batch in plan.batches)
        assert plan.flops_ratio == pytest.approx(spent / least)
        assert spent / least >= plan.tokens_ratio  # long rows cost more operations than tokens
    assert report.edges == tuple(tsnb.plan_buckets(np.minimum(REAL, 100), 4, geometry=MINI))


# as the Runner computes


@pytest.mark.parametrize("window", [WINDOW, 7])
def test_the_runner_computes_what_is_counted(
    load: Load, traced: Traces, monkeypatch: MonkeyPatch, window: int
) -> None:
    for module in (inference, padding):
        monkeypatch.setattr(module, "WINDOW", window)
    tokenizer = load()[1]
    lengths = tsnb.token_lengths(tokenizer, TEXTS)
    for max_tokens in (64, MAX_TOKENS):
        runner = tsnb.Runner(traced(), tokenizer, max_tokens=max_tokens)
        runner(TEXTS)
        plan = padding_cost(lengths, max_tokens=max_tokens).plans["sorted"]
        assert runner.dynamic
        assert (runner.work.computed, runner.work.real) == (plan.computed, plan.real)
    report = padding_cost(lengths, batch_size=4, buckets=2)
    runner = tsnb.Runner([traced(length=edge, size=4) for edge in report.edges], tokenizer)
    runner(TEXTS)
    assert not runner.dynamic
    assert runner.work.computed == report.computed["buckets"]


# choices


def test_texts_that_are_cut_are_told() -> None:
    report = padding_cost([5, 9, 12, 30], 10)
    assert (report.cut_texts, report.cut_tokens) == (2, 22)
    assert report.lengths == (5, 9, 10, 10)
    assert report.cut() == "2 of 4 texts are cut to 10 tokens; 22 tokens are lost"
    assert str(report).endswith(report.cut())
    assert padding_cost(SOME).cut() == ""
    assert "cut" not in str(padding_cost(SOME))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1; got 2.5"),
        ({"buckets": 0}, "buckets must be a whole number"),
        ({"max_tokens": 30}, "Text 5 has 31 tokens, and a batch may have 30, padding"),
    ],
)
def test_choices_that_cannot_be(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(tsnb.InputError, match=message):
        padding_cost(SOME, **choices)


# as text
