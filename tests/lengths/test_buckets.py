"""The best buckets: against every choice on small cases, and fast on large ones."""

from __future__ import annotations

from itertools import combinations
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tsnb
from tsnb.figures import plots
from tsnb.lengths.buckets import best_ends
from tsnb.lengths.lengths import Geometry, flops, length_report, pad_to, plan_buckets, presets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

GEOMETRIES = [None, Geometry(1, 3, 5), Geometry(12, 768, 3072), Geometry(2, 1, 1)]
REAL = np.clip(np.random.default_rng(0).lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)


def cost(lengths: Sequence[int], edges: Sequence[int], geometry: Geometry | None) -> int:
    """Return the exact cost of padding each text to the smallest edge that holds it."""
    padded = [min(edge for edge in edges if edge >= length) for length in lengths]
    return sum(length if geometry is None else flops(length, geometry) for length in padded)


def choices(lengths: Sequence[int], count: int) -> Iterator[list[int]]:
    """Give every choice of at most `count` edges among the lengths; the longest is always one."""
    *others, longest = sorted(set(lengths))
    for size in range(min(count, len(others) + 1)):
        for chosen in combinations(others, size):
            yield [*chosen, longest]


def drawn(seed: int) -> tuple[list[int], int]:
    """Draw some lengths, with gaps and repetitions, and a number of buckets."""
    rng = np.random.default_rng(seed)
    pool = rng.integers(1, rng.choice([4, 15, 400]), rng.integers(1, 10))
    return rng.choice(pool, rng.integers(1, 40)).tolist(), int(rng.integers(1, 7))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_no_choice_of_edges_costs_less(geometry: Geometry | None) -> None:
    for seed in range(300):
        lengths, count = drawn(seed)
        planned = plan_buckets(lengths, count, geometry=geometry)
        least = min(cost(lengths, edges, geometry) for edges in choices(lengths, count))
        assert cost(lengths, planned, geometry) == least, (lengths, count)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_edges_are_lengths_that_rise_to_the_longest(geometry: Geometry | None, count: int) -> None:
    edges = plan_buckets(REAL, count, geometry=geometry)
    assert edges == sorted(set(edges))
    assert set(edges) <= set(REAL.tolist())
    assert edges[-1] == REAL.max()
    assert len(edges) == count
    assert {type(edge) for edge in edges} == {int}


@pytest.mark.parametrize("count", [3, 4, 100, 10**9])
def test_there_are_no_more_buckets_than_lengths(count: int) -> None:
    assert plan_buckets([9, 5, 9, 30, 5], count) == [5, 9, 30]


def test_one_length_is_one_bucket() -> None:
    assert plan_buckets([7] * 100) == [7]
    assert plan_buckets([7]) == [7]


def test_more_buckets_never_cost_more_and_padding_falls() -> None:
    shares = [
        length_report(REAL, 128, buckets=plan_buckets(REAL, count)).padding_share for count in range(1, 12)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.6
    assert shares[3] < 0.3


@pytest.mark.parametrize("percent", [25, 50, 75])
def test_better_than_edges_at_percentiles_or_even_steps(percent: int) -> None:
    longest = int(REAL.max())
    planned = cost(REAL.tolist(), plan_buckets(REAL, 2), None)
    for other in (int(np.percentile(REAL, percent)), longest * percent // 100):
        assert planned <= cost(REAL.tolist(), [other, longest], None)


def test_attention_moves_the_edges() -> None:
    rng = np.random.default_rng(1)
    lengths = np.clip(rng.lognormal(6, 1, 5000).astype(np.int64), 5, 4096)
    plain, squared = (plan_buckets(lengths, geometry=held) for held in (None, Geometry(1, 8, 8)))
    assert plain != squared
    assert cost(lengths.tolist(), squared, Geometry(1, 8, 8)) < cost(
        lengths.tolist(), plain, Geometry(1, 8, 8)
    )


@pytest.mark.parametrize("longest", [512, 5000])
@pytest.mark.parametrize("count", [4, 8])
@pytest.mark.parametrize("geometry", [None, Geometry(24, 1024, 4096)])
def test_a_million_lengths_take_a_second_at_most(longest: int, count: int, geometry: Geometry | None) -> None:
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(longest / 8), 0.8, 10**6).astype(np.int64), 1, longest)
    start = process_time()
    edges = plan_buckets(lengths, count, geometry=geometry)
    assert process_time() - start <= 1
    assert len(edges) == count


def test_costs_in_floating_point_operations_of_a_large_model_are_told_apart() -> None:
    """A text of 512 tokens takes about 1e11 operations in a 12-layer BERT."""
    one = 10**11
    assert best_ends([3_000_000, 1, 1], [one, one + 10**6, one + 10**9], 2) == [0, 2]
    assert best_ends([3, 10**6, 10**6], [one, one + 10**6, one + 10**7], 2) == [1, 2]


@pytest.mark.parametrize("given", [0, -1, 1.5, "4", None, True])
def test_a_count_that_is_none(given: Any) -> None:
    with pytest.raises(tsnb.InputError) as caught:
        plan_buckets([5, 9], given)
    assert str(caught.value) == f"count must be a whole number of at least 1; got {given}."


# the picture


def numbers(figure: Figure) -> list[str]:
    return [held.get_text() for held in figure.axes[0].texts]


def test_bars_are_real_tokens_and_padding() -> None:
    lengths, edges = [5, 9, 12, 30, 30], [12, 20, 30]
    figure = plots.bucket_plan(lengths, edges)
    real, padding = figure.axes[0].containers
    assert [bar.get_width() for bar in real] == [26, 0, 60]
    assert [bar.get_width() for bar in padding] == [10, 0, 0]
    assert [bar.get_x() for bar in padding] == [26, 0, 60]
    assert numbers(figure) == [
        "3 texts: 26 + 10 (28%)",
        "0 texts: 0 + 0 (0%)",
        "2 texts: 60 + 0 (0%)",
    ]
    assert numbers(plots.bucket_plan([9], [10])) == ["1 text: 9 + 1 (10%)"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [
        "up to 12",
        "up to 20",
        "up to 30",
    ]


def test_bars_add_up_to_the_report() -> None:
    edges = plan_buckets(REAL, 5)
    report = length_report(REAL, 128, buckets=edges)
    real, padding = plots.bucket_plan(REAL, edges).axes[0].containers
    widths = [sum(bar.get_width() for bar in held) for held in (real, padding)]
    assert sum(widths) == report.computed_tokens == pad_to(edges, REAL).sum()
    assert widths[1] / sum(widths) == pytest.approx(report.padding_share)


def test_padding_is_hatched_and_named() -> None:
    figure = plots.bucket_plan(REAL, [40, 128])
    real, padding = figure.axes[0].containers
    assert {bar.get_hatch() for bar in real} == {None}
    assert {bar.get_hatch() for bar in padding} == {"////"}
    assert [held.get_text() for held in figure.legends[0].get_texts()] == ["text", "padding"]


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("factor", [1, 1000])
def test_everything_is_inside_the_figure(count: int, factor: int) -> None:
    lengths = np.repeat(REAL, factor)
    figure = plots.bucket_plan(lengths, plan_buckets(lengths, count))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [held.get_window_extent() for held in (*axes.texts, *axes.get_yticklabels())]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert axes.get_position().width > 0.3


def test_a_plan_is_drawn_between_two_moves_of_a_slider() -> None:
    took = []
    for count in [4] * 50:
        start = process_time()
        drawn = plots.svg(plots.bucket_plan(REAL, plan_buckets(REAL, count)), "buckets")
        took.append(process_time() - start)
    assert np.median(took) <= 0.15  # p95 alone on a machine; the median holds on a busy one too
    assert plots.INK not in drawn
    assert f"up to {presets(REAL)['longest']}" in drawn
