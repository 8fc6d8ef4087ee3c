"""The figure of what padding costs: its areas, its bars, its words, and that it is quick."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle, StepPatch

from tsnb.figures import plots
from tsnb.figures.padding import FEWEST_BATCHES, MOST_COLUMNS, columns, padding_panels
from tsnb.lengths.padding import padding_cost

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsnb.lengths.padding import PaddingReport

SOME = [5, 30, 6, 9, 12, 31]
RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(3.3, 0.6, 10_000).astype(np.int64), 5, 128)


def parts(figure: Figure, kind: type) -> list[Any]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, kind)]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def areas(figure: Figure) -> list[tuple[float, float]]:
    """The area of the padded rows, and that of their text, in each panel."""
    found = []
    for patch in parts(figure, StepPatch):
        values, edges, baseline = patch.get_data()
        found.append(float(((baseline - values) * np.diff(edges)).sum()))
    padded, text, _ = (found[place::3] for place in range(3))
    return list(zip(padded, text, strict=True))


def bars(figure: Figure) -> list[tuple[Any, Any]]:
    """The bar of each plan: text, and padding."""
    shown = parts(figure, Rectangle)[:-2]  # the last two are the legend's
    return list(zip(shown[::2], shown[1::2], strict=True))


# what a panel shows


def shown(report: PaddingReport) -> dict[str, Any]:
    return {name: columns(report, plan) for name, plan in report.plans.items()}


def test_few_texts_are_all_drawn_each_in_its_batch() -> None:
    found = shown(padding_cost(SOME, 40, batch_size=2, buckets=2, max_tokens=64))
    assert found["max"].real.tolist() == sorted(SOME)
    assert set(found["max"].padded) == {40}
    assert found["arrival"].real.tolist() == [5, 30, 6, 9, 12, 31]
    assert found["arrival"].padded.tolist() == [30, 30, 9, 9, 31, 31]
    assert found["buckets"].padded.tolist() == [12] * 4 + [31] * 2
    assert found["sorted"].padded.tolist() == [12] * 4 + [31] * 2


def test_within_a_batch_the_short_ones_come_first() -> None:
    found = shown(padding_cost([30, 5, 9, 6], batch_size=2))
    assert found["arrival"].real.tolist() == [5, 30, 6, 9]


def test_rows_that_fill_up_a_batch_are_columns_without_text() -> None:
    found = shown(padding_cost(SOME, batch_size=4, buckets=2))["buckets"]
    assert found.real.tolist() == [5, 6, 9, 12, 0, 0, 30, 31]
    assert found.padded.tolist() == [12] * 4 + [31] * 4


@pytest.mark.parametrize("count", [1, 2, 10, 100, 160])
def test_what_is_drawn_of_few_texts_is_exact(count: int) -> None:
    report = padding_cost(REAL[:count])
    for name, held in shown(report).items():
        plan = report.plans[name]  # type: ignore[index]
        assert held.padded.sum() == plan.computed
        assert held.real.sum() == plan.real


@pytest.mark.parametrize("size", [1, 8, 32, 64])
@pytest.mark.parametrize("buckets", [1, 4, 12])
@pytest.mark.parametrize("lengths", [REAL, MANY])
def test_a_sample_is_like_the_whole(lengths: Any, buckets: int, size: int) -> None:
    report = padding_cost(lengths, batch_size=size, buckets=buckets)
    for name, held in shown(report).items():
        ratio = held.padded.sum() / held.real.sum()
        assert ratio == pytest.approx(report.plans[name].tokens_ratio, rel=0.1)  # type: ignore[index]
        assert len(held.real) <= 2.5 * max(MOST_COLUMNS, FEWEST_BATCHES * size)


def test_of_arrival_order_whole_batches_are_drawn_in_their_order() -> None:
    lengths = np.repeat(np.arange(1, 101), 8)  # every batch of 8 has one length
    padded = shown(padding_cost(lengths))["arrival"].padded
    assert len(padded) == MOST_COLUMNS
    assert (np.diff(padded[::8]) > 0).all()
    assert (padded.reshape(-1, 8) == padded[::8, None]).all()


def test_short_and_long_batches_are_drawn_in_their_proportion() -> None:
    lengths = ([5] * 8 + [100] * 8) * 20  # every second batch is long
    padded = shown(padding_cost(lengths))["arrival"].padded
    assert np.unique(padded, return_counts=True)[1].tolist() == [80, 80]


# the figure


@pytest.mark.parametrize("lengths", [SOME, REAL[:100]])
def test_areas_are_tokens_on_one_scale(lengths: Any) -> None:
    report = padding_cost(lengths)
    plans, found = list(report.plans.values()), areas(padding_panels(report))
    scale = found[0][0] / plans[0].computed
    for (padded, text), plan in zip(found, plans, strict=True):
        assert padded == pytest.approx(scale * plan.computed)
        assert text == pytest.approx(scale * plan.real)


@pytest.mark.parametrize("lengths", [SOME, REAL, MANY])
def test_bars_are_as_long_as_what_is_computed(lengths: Any) -> None:
    report = padding_cost(lengths)
    found = bars(padding_panels(report))
    unit = found[0][0].get_width()
    for (text, padding), plan in zip(found, report.plans.values(), strict=True):
        assert text.get_width() == unit
        assert padding.get_x() == text.get_x() + unit
        assert (unit + padding.get_width()) / unit == pytest.approx(plan.tokens_ratio)


def test_every_plan_has_its_name_its_number_and_its_padding() -> None:
    report = padding_cost(REAL)
    found = words(padding_panels(report))
    for plan in report.plans.values():
        assert plan.label in found
        assert f"{plan.tokens_ratio:.2f}" in found
        assert f"{plan.padding_share:.1%} padding" in found
    assert "tokens computed\nfor each real one" in found


def test_a_sample_is_said_to_be_one() -> None:
    [said] = [text for text in words(padding_panels(padding_cost(MANY))) if "Drawn" in text]
    assert said.endswith("160 of 10,000 texts, long and short alike; the numbers count all.")
    assert not [text for text in words(padding_panels(padding_cost(SOME))) if "Drawn" in text]


def test_colour_is_not_the_only_sign() -> None:
    figure = padding_panels(padding_cost(REAL))
    steps, boxes = parts(figure, StepPatch), parts(figure, Rectangle)
    assert [patch.get_hatch() for patch in steps] == ["////", None, None] * 4
    assert [patch.get_hatch() for patch in boxes] == [None, "////"] * 5
    found = words(figure)
    assert found.index("text") < found.index("padding")


LONG = [1, 40_000, 3, 50_000, 12] * 40


@pytest.mark.parametrize("choices", [{}, {"batch_size": 64, "buckets": 12, "max_length": 500}])
@pytest.mark.parametrize("lengths", [[7], SOME, REAL, MANY, LONG])
def test_everything_is_inside_the_figure_and_no_text_on_another(
    lengths: Any, choices: dict[str, Any]
) -> None:
    figure = padding_panels(padding_cost(lengths, max_tokens=65_536, **choices))
    figure.draw_without_rendering()
    texts = [text.get_window_extent() for text in figure.axes[0].texts]
    for index, box in enumerate(texts):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in texts[:index])
    for patch in figure.axes[0].patches:
        box = patch.get_window_extent()
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1


@pytest.mark.parametrize(("longest", "said"), [(128, "128"), (8192, "8,192"), (50_000, "50k")])
def test_the_height_of_a_panel_is_said(longest: int, said: str) -> None:
    report = padding_cost([1, longest], longest, max_tokens=10**6)
    assert words(padding_panels(report)).count(said) == 4


def test_no_text_is_on_a_bar_or_a_panel() -> None:
    figure = padding_panels(padding_cost(REAL))
    figure.draw_without_rendering()
    boxes = [patch.get_window_extent() for patch in figure.axes[0].patches]
    for text in figure.axes[0].texts:
        assert not [box for box in boxes if box.overlaps(text.get_window_extent())]


@pytest.mark.parametrize("lengths", [REAL, MANY])
def test_it_is_drawn_between_two_moves_of_a_slider(lengths: Any) -> None:
    took = []
    for buckets in [*range(1, 13)] * 3:
        start = process_time()
        drawn = plots.svg(padding_panels(padding_cost(lengths, buckets=buckets)), "padding")
        took.append(process_time() - start)
    assert np.median(took) <= 0.15  # p95 alone on a machine; the median holds on a busy one too
    assert len(drawn) < 250_000
    assert plots.INK not in drawn
    assert "12 buckets" in drawn
