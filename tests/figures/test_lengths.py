"""Figures of lengths: what each bar stands for, and that words stay apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tsnb.figures import bucket_plan, length_histogram
from tsnb.lengths.lengths import length_report, pad_to, plan_buckets, presets

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(4.5, 1, 10**6).astype(np.int64), 3, None)


def bars(figure: Any) -> tuple[Any, Any]:
    """Return how many texts each bar of those that fit, and of those that are cut, stands for."""
    fits, every = (patch.get_data().values for patch in figure.axes[0].patches)
    return fits, every - fits


def words(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("max_length", [1, 26, 127, 128, 300])
@pytest.mark.parametrize("limit", [None, 40, 512])
def test_every_text_is_in_a_bar(max_length: int, limit: int | None) -> None:
    fits, cut = bars(length_histogram(REAL, max_length, presets(REAL, limit)))
    assert fits.sum() == np.count_nonzero(max_length >= REAL)
    assert cut.sum() == np.count_nonzero(max_length < REAL)


def test_the_line_and_the_names_of_the_presets() -> None:
    figure: Any = length_histogram(REAL, 64, {"p50": 26, "mine": 90, "longest": 128, "limit": 512})
    assert words(figure) == ["max length 64", "p50 26", "mine 90", "longest 128", "model limit 512 →"]
    line, ticks = figure.axes[0].lines
    assert line.get_xdata()[0] == 64.5
    assert list(ticks.get_xdata()) == [26, 90, 128]
    one = length_histogram([7, 7], 7, presets([7, 7], 7))
    assert words(one) == ["max length 7", "p50, p95, p99, longest, model limit 7"]


def test_texts_over_the_limit_share_the_last_bar() -> None:
    figure = length_histogram(MANY, 256, presets(MANY, 512))
    over = int((MANY > 512).sum())
    assert bars(figure)[1][-1] == over
    assert figure.axes[0].get_xlabel().endswith(f"last bar: {over:,} texts over 512")
    assert figure.axes[0].get_xlim()[1] < 530


@pytest.mark.parametrize("max_length", [1, 27, 69, 127, 512])
@pytest.mark.parametrize("limit", [None, 64, 512])
@pytest.mark.parametrize("lengths", [REAL, [5] * 3 + [7], MANY])
def test_no_label_is_on_another_or_outside(
    check_texts: Callable[[Any], None], lengths: Any, limit: int | None, max_length: int
) -> None:
    check_texts(length_histogram(lengths, max_length, presets(lengths, limit)))


def test_a_bucket_is_its_real_tokens_and_padding() -> None:
    figure: Any = bucket_plan([5, 9, 12, 30, 30], [12, 20, 30])
    real, padding = figure.axes[0].containers
    assert [bar.get_width() for bar in real] == [26, 0, 60]
    assert [(bar.get_x(), bar.get_width()) for bar in padding] == [(26, 10), (0, 0), (60, 0)]
    assert words(figure) == ["3 texts: 26 + 10 (28%)", "0 texts: 0 + 0 (0%)", "2 texts: 60 + 0 (0%)"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [
        "up to 12",
        "up to 20",
        "up to 30",
    ]
    assert words(bucket_plan([9], [10])) == ["1 text: 9 + 1 (10%)"]


def test_buckets_add_up_to_the_report() -> None:
    edges = plan_buckets(REAL, 5)
    figure: Any = bucket_plan(REAL, edges)
    real, padding = (sum(bar.get_width() for bar in bars) for bars in figure.axes[0].containers)
    assert (
        real + padding == length_report(REAL, 128, buckets=edges).computed_tokens == pad_to(edges, REAL).sum()
    )


@pytest.mark.parametrize("count", [1, 8])
def test_every_bucket_and_its_numbers_are_inside(check_texts: Callable[[Any], None], count: int) -> None:
    lengths = np.repeat(REAL, 1000)
    figure = bucket_plan(lengths, plan_buckets(lengths, count))
    check_texts(figure)
    assert min(label.get_window_extent().x0 for label in figure.axes[0].get_yticklabels()) >= 0
    assert figure.axes[0].get_position().width > 0.3


def test_colour_is_not_the_only_sign() -> None:
    histogram, plan = length_histogram(REAL, 30), bucket_plan(REAL, [40, 128])
    assert [patch.get_hatch() for patch in histogram.axes[0].patches] == [None, "////"]
    assert [patch.get_hatch() for patch in plan.axes[0].patches] == [None, None, "////", "////"]
    for figure, names in ((histogram, ["fits", "is cut"]), (plan, ["text", "padding"])):
        assert [text.get_text() for text in figure.legends[0].get_texts()] == names
