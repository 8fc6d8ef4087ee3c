"""Plans of batches: every text once, nothing over max_tokens, little padding."""

import random

import pytest

from tsnb.lengths.batching import Batch, plan_dynamic, plan_static


def lengths_of(seed: int) -> list[int]:
    rng = random.Random(seed)
    return [min(128, 3 + int(rng.lognormvariate(3, 0.7))) for _ in range(200)]


def indices(batches: list[Batch]) -> list[int]:
    return sorted(index for batch in batches for index in batch.indices)


@pytest.mark.parametrize("max_tokens", [128, 4096])
def test_a_dynamic_plan_holds_every_text_once_within_max_tokens(max_tokens: int) -> None:
    for lengths in (lengths_of(0), lengths_of(1), []):
        batches = plan_dynamic(lengths, max_tokens)
        assert indices(batches) == list(range(len(lengths)))
        for batch in batches:
            assert batch.tokens <= max_tokens
            assert batch.rows == len(batch.indices)
            assert batch.length == max(lengths[index] for index in batch.indices)


def test_a_static_plan_puts_each_text_into_the_shortest_shape_that_it_fits() -> None:
    shapes = [(4, 128), (8, 32), (2, 64)]
    for lengths in (lengths_of(0), lengths_of(1), []):
        batches = plan_static(lengths, shapes)
        assert indices(batches) == list(range(len(lengths)))
        for batch in batches:
            assert (batch.rows, batch.length) in shapes
            assert 1 <= len(batch.indices) <= batch.rows
            shorter = max((length for _, length in shapes if length < batch.length), default=0)
            assert all(shorter < lengths[index] <= batch.length for index in batch.indices)
