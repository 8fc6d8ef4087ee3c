"""Plans of batches: every text once, nothing over the max_tokens, little padding."""

from __future__ import annotations

import random

import pytest

import tsnb
from tsnb.lengths.batching import Batch, plan_dynamic, plan_static


def _lengths(seed: int, count: int = 200) -> list[int]:
    rng = random.Random(seed)
    return [min(128, 3 + int(rng.lognormvariate(3, 0.7))) for _ in range(count)]


def _indices(batches: list[Batch]) -> list[int]:
    return sorted(index for batch in batches for index in batch.indices)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("max_tokens", [128, 512, 4096])
def test_a_dynamic_plan_holds_every_text_once_within_the_budget(seed: int, max_tokens: int) -> None:
    lengths = _lengths(seed)
    batches = plan_dynamic(lengths, max_tokens)
    assert _indices(batches) == list(range(len(lengths)))
    for batch in batches:
        assert batch.tokens <= max_tokens
        assert batch.rows == len(batch.indices)
        assert batch.length == max(lengths[index] for index in batch.indices)


def test_texts_of_like_length_run_together() -> None:
    batches = plan_dynamic([30, 4, 31, 5], max_tokens=64)
    assert [sorted(batch.indices) for batch in batches] == [[1, 3], [0, 2]]


def test_a_thousand_texts_waste_less_than_a_twentieth() -> None:
    lengths = _lengths(0, 1000)
    computed = sum(batch.tokens for batch in plan_dynamic(lengths, 512))
    assert sum(lengths) / computed >= 0.95


def test_no_texts_need_no_batches() -> None:
    assert plan_dynamic([], 512) == []
    assert plan_static([], [(2, 8)]) == []


def test_a_text_over_the_budget_is_named() -> None:
    with pytest.raises(tsnb.InputError, match="Text 1 has 90 tokens, and the budget of a batch is 64"):
        plan_dynamic([5, 90, 7], max_tokens=64)


@pytest.mark.parametrize("seed", range(5))
def test_a_fixed_plan_puts_each_text_into_the_shortest_shape_that_holds_it(seed: int) -> None:
    lengths, shapes = _lengths(seed), [(4, 128), (8, 32), (2, 64)]
    batches = plan_static(lengths, shapes)
    assert _indices(batches) == list(range(len(lengths)))
    for batch in batches:
        assert (batch.rows, batch.length) in shapes
        assert 1 <= len(batch.indices) <= batch.rows
        shorter = [length for _, length in shapes if length < batch.length]
        for index in batch.indices:
            assert max(shorter, default=0) < lengths[index] <= batch.length


def test_only_the_last_batch_of_a_shape_is_filled_up() -> None:
    batches = plan_static([3] * 10, [(4, 8)])
    assert [len(batch.indices) for batch in batches] == [4, 4, 2]
    assert [batch.tokens for batch in batches] == [32, 32, 32]
