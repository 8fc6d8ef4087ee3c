"""The figure of what padding costs: its areas, its bars, its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle, StepPatch

from tsnb.figures import padding_panels
from tsnb.figures.padding import FEWEST_BATCHES, MOST_COLUMNS, columns
from tsnb.lengths.padding import padding_cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.lengths.padding import PaddingReport

SOME = [5, 30, 6, 9, 12, 31]
RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(3.3, 0.6, 10_000).astype(np.int64), 5, 128)
LONG = [1, 40_000, 3, 50_000, 12] * 40


def panels(report: PaddingReport) -> dict[str, Any]:
    return {name: columns(report, plan) for name, plan in report.plans.items()}


def parts(figure: Any, kind: type) -> list[Any]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, kind)]


def words(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


# what a panel shows


def test_few_texts_are_all_drawn_each_in_its_batch() -> None:
    shown = panels(padding_cost(SOME, 40, batch_size=2, buckets=2, max_tokens=64))
    assert shown["max"].real.tolist() == sorted(SOME)
    assert set(shown["max"].padded) == {40}
    assert shown["arrival"].real.tolist() == [5, 30, 6, 9, 12, 31]
    assert shown["arrival"].padded.tolist() == [30, 30, 9, 9, 31, 31]
    assert shown["buckets"].padded.tolist() == shown["sorted"].padded.tolist() == [12] * 4 + [31] * 2
    assert panels(padding_cost([30, 5, 9, 6], batch_size=2))["arrival"].real.tolist() == [5, 30, 6, 9]


def test_rows_that_fill_up_a_batch_are_columns_without_text() -> None:
    shown = panels(padding_cost(SOME, batch_size=4, buckets=2))["buckets"]
    assert shown.real.tolist() == [5, 6, 9, 12, 0, 0, 30, 31]
    assert shown.padded.tolist() == [12] * 4 + [31] * 4


@pytest.mark.parametrize(("lengths", "size", "buckets"), [(REAL, 64, 4), (MANY, 1, 1), (MANY, 8, 12)])
def test_a_sample_is_like_the_whole(lengths: Any, buckets: int, size: int) -> None:
    report = padding_cost(lengths, batch_size=size, buckets=buckets)
    for shown, plan in zip(panels(report).values(), report.plans.values(), strict=True):
        assert shown.padded.sum() / shown.real.sum() == pytest.approx(plan.tokens_ratio, rel=0.1)
        assert len(shown.real) <= 2.5 * max(MOST_COLUMNS, FEWEST_BATCHES * size)


def test_of_arrival_order_whole_batches_are_drawn_in_their_order_and_proportion() -> None:
    lengths = np.repeat(np.arange(1, 101), 8)  # every batch of 8 has one length
    padded = panels(padding_cost(lengths))["arrival"].padded
    assert len(padded) == MOST_COLUMNS
    assert (np.diff(padded[::8]) > 0).all()
    assert (padded.reshape(-1, 8) == padded[::8, None]).all()
    padded = panels(padding_cost(([5] * 8 + [100] * 8) * 20))["arrival"].padded  # every second one is long
    assert np.unique(padded, return_counts=True)[1].tolist() == [80, 80]


# the figure


@pytest.mark.parametrize("lengths", [SOME, REAL[:100]])
def test_areas_and_bars_are_tokens_on_one_scale(lengths: Any) -> None:
    report = padding_cost(lengths)
    figure = padding_panels(report)
    areas = []
    for patch in parts(figure, StepPatch):
        values, edges, baseline = patch.get_data()
        areas.append(float(((baseline - values) * np.diff(edges)).sum()))
    bars = parts(figure, Rectangle)
    for place, plan in enumerate(report.plans.values()):
        padded, text, _ = np.array(areas[3 * place : 3 * place + 3]) / areas[0] * report.computed["max"]
        assert (padded, text) == pytest.approx((plan.computed, plan.real))
        real, padding = bars[2 * place : 2 * place + 2]
        assert padding.get_x() == real.get_x() + real.get_width()
        assert real.get_width() == bars[0].get_width()
        assert 1 + padding.get_width() / real.get_width() == pytest.approx(plan.tokens_ratio)


def test_every_plan_has_its_name_its_number_and_its_padding() -> None:
    report = padding_cost(REAL)
    shown = words(padding_panels(report))
    for plan in report.plans.values():
        assert {plan.label, f"{plan.tokens_ratio:.2f}", f"{plan.padding_share:.1%} padding"} <= {*shown}
    assert {"text", "padding", "tokens computed\nfor each real one"} <= {*shown}


def test_a_sample_is_said_to_be_one() -> None:
    caption = words(padding_panels(padding_cost(MANY)))[-1]
    assert caption.endswith("160 of 10,000 texts, long and short alike; the numbers count all.")
    assert "Drawn" not in words(padding_panels(padding_cost(SOME)))[-1]


def test_colour_is_not_the_only_sign() -> None:
    figure = padding_panels(padding_cost(REAL))
    assert [patch.get_hatch() for patch in parts(figure, StepPatch)] == ["////", None, None] * 4
    assert [patch.get_hatch() for patch in parts(figure, Rectangle)] == [None, "////"] * 5


@pytest.mark.parametrize("choices", [{}, {"batch_size": 64, "buckets": 12, "max_length": 500}])
@pytest.mark.parametrize("lengths", [[7], SOME, MANY, LONG])
def test_no_text_is_on_another_or_outside(
    check_texts: Callable[[Any], None], lengths: Any, choices: dict[str, Any]
) -> None:
    figure = padding_panels(padding_cost(lengths, max_tokens=65_536, **choices))
    check_texts(figure)
    texts = [text.get_window_extent() for text in figure.axes[0].texts]
    for box in (patch.get_window_extent() for patch in figure.axes[0].patches):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(text) for text in texts)


@pytest.mark.parametrize(("longest", "label"), [(8192, "8,192"), (50_000, "50k")])
def test_the_height_of_a_panel_is_said(longest: int, label: str) -> None:
    report = padding_cost([1, longest], longest, max_tokens=10**6)
    assert words(padding_panels(report)).count(label) == 4
