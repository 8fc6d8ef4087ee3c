"""The best buckets: against every choice on small cases, and fast on large ones."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from time import process_time

import numpy as np
import pytest

from tsnb.lengths.lengths import Geometry, best_ends, flops, plan_buckets

GEOMETRIES = [None, Geometry(1, 3, 5), Geometry(12, 768, 3072)]


def cost(lengths: Sequence[int], edges: Sequence[int], geometry: Geometry | None) -> int:
    """Return the exact cost of padding each text to the smallest edge that it fits."""
    padded = [min(edge for edge in edges if edge >= length) for length in lengths]
    return sum(length if geometry is None else flops(length, geometry) for length in padded)


def choices(lengths: Sequence[int], count: int) -> Iterator[list[int]]:
    """Give every choice of at most `count` edges among the lengths; the longest is always one."""
    *others, longest = sorted(set(lengths))
    for size in range(min(count, len(others) + 1)):
        yield from ([*chosen, longest] for chosen in combinations(others, size))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_no_choice_of_edges_costs_less(geometry: Geometry | None) -> None:
    for seed in range(150):  # lengths with gaps and repetitions
        rng = np.random.default_rng(seed)
        pool = rng.integers(1, rng.choice([4, 15, 400]), rng.integers(1, 10))
        lengths, count = rng.choice(pool, rng.integers(1, 40)).tolist(), int(rng.integers(1, 7))
        planned = plan_buckets(lengths, count, geometry=geometry)
        least = min(cost(lengths, edges, geometry) for edges in choices(lengths, count))
        assert cost(lengths, planned, geometry) == least, (lengths, count)
        assert planned == sorted(set(planned) & set(lengths))


def test_there_are_no_more_buckets_than_lengths() -> None:
    assert plan_buckets([9, 5, 9, 30, 5], 10**9) == [5, 9, 30]
    assert plan_buckets([7] * 100) == plan_buckets([7]) == [7]


@pytest.mark.parametrize("geometry", [None, Geometry(24, 1024, 4096)])
def test_a_million_lengths_take_a_second_at_most(geometry: Geometry | None) -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(6.4, 0.8, 10**6).astype(np.int64), 1, 5000)
    start = process_time()
    assert len(plan_buckets(lengths, 8, geometry=geometry)) == 8
    assert process_time() - start <= 1


def test_costs_in_floating_point_operations_of_a_large_model_are_told_apart() -> None:
    """A text of 512 tokens takes about 1e11 operations in a 12-layer BERT."""
    one = 10**11
    assert best_ends([3_000_000, 1, 1], [one, one + 10**6, one + 10**9], 2) == [0, 2]
    assert best_ends([3, 10**6, 10**6], [one, one + 10**6, one + 10**7], 2) == [1, 2]
