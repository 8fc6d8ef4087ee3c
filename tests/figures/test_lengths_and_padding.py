"""The figures that sliders draw: what each bar and area stands for, words and the page's ink."""

import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import style
from matplotlib.patches import Rectangle, StepPatch

from tsnb.figures import bucket_plan, length_histogram, padding_panels, svg
from tsnb.figures.padding import columns
from tsnb.figures.style import INK, PAGE_INK
from tsnb.lengths.lengths import plan_buckets, presets
from tsnb.lengths.padding import PaddingReport, padding_cost

RNG = np.random.default_rng(0)
SOME = [5, 30, 6, 9, 12, 31]
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(4.5, 1, 10**6).astype(np.int64), 3, None)
MARKS = presets(REAL, 512)
SLIDERS: dict[str, Callable[[int], Any]] = {
    "histogram": lambda step: length_histogram(REAL, 40 + step, MARKS),
    "plan": lambda step: bucket_plan(REAL, [30 + step, 128]),
    "panels": lambda step: padding_panels(padding_cost(REAL, buckets=1 + step)),
}


def words(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def check_texts(figure: Any) -> None:
    """Check that all texts stand within a figure, and none on another."""
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:index])


@pytest.mark.parametrize("slider", SLIDERS.values(), ids=SLIDERS)
def test_all_ink_is_the_pages_whatever_style_the_reader_has(slider: Callable[[int], Any]) -> None:
    with mpl.rc_context():
        style.use("dark_background")
        before = dict(mpl.rcParams)
        drawn = svg(slider(0), "a 'figure'")
        assert dict(mpl.rcParams) == before
    assert drawn.startswith("<svg role='img' aria-label='a &#x27;figure&#x27;' ")
    texts = re.findall(r"<text[^>]*style=\"([^\"]*)\"", drawn)
    assert len(texts) > 4  # text stays text
    assert all(f"fill: {PAGE_INK}" in look for look in texts)
    assert not re.search(f"#ffffff|#000000|{INK}", drawn)


def test_colour_is_not_the_only_sign() -> None:
    hatches = {name: [p.get_hatch() for p in slider(3).axes[0].patches] for name, slider in SLIDERS.items()}
    panels = [*["////", None, None, None, "////"] * 4, None, "////"]  # and the legend
    assert hatches == {"histogram": [None, "////"], "plan": [None, None, "////", "////"], "panels": panels}
    for name, names in (("histogram", ["fits", "is cut"]), ("plan", ["text", "padding"])):
        assert [text.get_text() for text in SLIDERS[name](3).legends[0].get_texts()] == names


# lengths


@pytest.mark.parametrize("max_length", [1, 26, 300])
@pytest.mark.parametrize("limit", [None, 40])
def test_every_text_is_in_a_bar(max_length: int, limit: int | None) -> None:
    figure: Any = length_histogram(REAL, max_length, presets(REAL, limit))
    fits, every = (patch.get_data().values.sum() for patch in figure.axes[0].patches)
    assert (fits, every) == (np.count_nonzero(max_length >= REAL), len(REAL))


def test_the_line_and_the_names_of_the_presets() -> None:
    figure: Any = length_histogram(REAL, 64, {"p50": 26, "mine": 90, "longest": 128, "limit": 512})
    assert words(figure) == ["max length 64", "p50 26", "mine 90", "longest 128", "model limit 512 →"]
    line, ticks = figure.axes[0].lines
    assert (line.get_xdata()[0], *ticks.get_xdata()) == (64.5, 26, 90, 128)


def test_texts_over_the_limit_share_the_last_bar() -> None:
    figure: Any = length_histogram(MANY, 256, presets(MANY, 512))
    [axes], over = figure.axes, int((MANY > 512).sum())
    assert axes.patches[1].get_data().values[-1] == over
    assert axes.get_xlabel().endswith(f"last bar: {over:,} texts over 512")


@pytest.mark.parametrize("max_length", [1, 69, 512])
@pytest.mark.parametrize("limit", [None, 64])
@pytest.mark.parametrize("lengths", [REAL, [5] * 3 + [7]])
def test_no_label_is_on_another_or_outside(lengths: Any, limit: int | None, max_length: int) -> None:
    check_texts(length_histogram(lengths, max_length, presets(lengths, limit)))


def test_a_bucket_is_its_real_tokens_and_padding() -> None:
    figure: Any = bucket_plan([5, 9, 12, 30, 30], [12, 20, 30])
    real, padding = figure.axes[0].containers
    assert [bar.get_width() for bar in real] == [26, 0, 60]
    assert [(bar.get_x(), bar.get_width()) for bar in padding] == [(26, 10), (0, 0), (60, 0)]
    assert words(figure) == ["3 texts: 26 + 10 (28%)", "0 texts: 0 + 0 (0%)", "2 texts: 60 + 0 (0%)"]
    for count in (1, 8):
        check_texts(bucket_plan(np.repeat(REAL, 1000), plan_buckets(REAL, count)))


# padding


def panels(report: PaddingReport) -> dict[str, Any]:
    return {name: columns(report, plan) for name, plan in report.plans.items()}


def test_a_sample_is_like_the_whole_and_said_to_be_one() -> None:
    report = padding_cost(MANY[: 10**4], 128, batch_size=8, buckets=12)
    for (real, padded), plan in zip(panels(report).values(), report.plans.values(), strict=True):
        assert padded.sum() / real.sum() == pytest.approx(plan.tokens_ratio, rel=0.1)
        assert len(real) < 10**4
    caption = words(padding_panels(report))[-1]
    assert "of 10,000 texts, long and short alike; the numbers count all." in caption
    assert "Drawn" not in words(padding_panels(padding_cost(SOME)))[-1]


def test_areas_and_bars_are_tokens_on_one_scale_beside_their_numbers() -> None:
    report = padding_cost(REAL[:100])
    figure: Any = padding_panels(report)
    areas, bars = [], [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    for patch in figure.axes[0].patches:
        if isinstance(patch, StepPatch):
            values, edges, baseline = patch.get_data()
            areas.append(float(((baseline - values) * np.diff(edges)).sum()))
    for place, plan in enumerate(report.plans.values()):
        padded, text, _ = np.array(areas[3 * place : 3 * place + 3]) / areas[0] * report.computed["max"]
        assert (padded, text) == pytest.approx((plan.computed, plan.real))
        real, padding = (bar.get_width() for bar in bars[2 * place : 2 * place + 2])
        assert 1 + padding / real == pytest.approx(plan.tokens_ratio)
        numbers = {plan.label, f"{plan.tokens_ratio:.2f}", f"{plan.padding_share:.1%} padding"}
        assert numbers <= {*words(figure)}


@pytest.mark.parametrize("choices", [{}, {"batch_size": 64, "buckets": 12, "max_length": 500}])
@pytest.mark.parametrize("lengths", [[7], REAL, [1, 40_000, 3, 50_000, 12] * 40])
def test_no_text_is_on_a_panel_on_another_or_outside(lengths: Any, choices: dict[str, Any]) -> None:
    report = padding_cost(lengths, max_tokens=65_536, **choices)
    figure = padding_panels(report)
    check_texts(figure)
    texts = [text.get_window_extent() for text in figure.axes[0].texts]
    for box in (patch.get_window_extent() for patch in figure.axes[0].patches):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(text) for text in texts)
