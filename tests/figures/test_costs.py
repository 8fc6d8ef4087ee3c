"""Figures of costs: what is drawn where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tsnb.figures import costs as cost_plots
from tsnb.figures.plots import svg
from tsnb.inference.benchmark import Benchmark, Row
from tsnb.inference.costs import CostFit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = (
    Row("trace-padded", "padded", (4.0, 4.0, 5.0), 6.0, 400, 1e-6),
    Row("runner", "planned", (1.0, 1.0, 1.5), 2.0, 100, 1e-6),
    Row("int8", "8 bits", (0.5,), 2.0, 100, 1e-1, exact=False),
)
REPORT = Benchmark(ROWS, {}, texts=9, real=100, flops=4e9, peak=1e10, planning=0.0, threads=2)


def axes_of(figure: Figure) -> Any:
    """Return the only axes of a figure; Matplotlib types what is in it too loosely to compare."""
    [axes] = figure.axes
    return axes


def widths() -> list[tuple[float, float]]:
    bars = [(bar.get_x(), bar.get_width()) for bar in axes_of(cost_plots.benchmark_bars(REPORT)).patches]
    return [(round(left, 6), round(width, 6)) for left, width in bars]


def test_a_bar_is_the_median_split_into_real_and_padding() -> None:
    assert widths()[:2] == [(0.0, 1.0), (1.0, 3.0)]  # a quarter of the places is real
    assert widths()[2:4] == [(0.0, 1.0), (1.0, 0.0)]  # nothing is padding


def test_padding_is_hatched_and_8_bits_have_another_colour() -> None:
    axes = axes_of(cost_plots.benchmark_bars(REPORT))
    bars = axes.patches
    assert [bool(bar.get_hatch()) for bar in bars] == [False, True] * 3
    assert bars[0].get_facecolor() == bars[2].get_facecolor() != bars[4].get_facecolor()


def test_labels_times_and_the_limit_are_words_too() -> None:
    drawn = svg(cost_plots.benchmark_bars(REPORT), "times")
    for word in ("padded", "planned", "8 bits", "4.00 s", "1.00 s", "the limit, 0.40 s"):
        assert word in drawn


def test_the_warm_up_is_drawn_in_milliseconds() -> None:
    axes = axes_of(cost_plots.warm_up_curve([0.5, 0.25, 0.01]))
    [line] = axes.lines
    assert list(line.get_xydata()[:, 0]) == [1, 2, 3]
    assert list(line.get_ydata()) == [500, 250, 10]
    assert axes.get_ylim()[0] == 0


def test_the_parts_of_the_fit_add_up() -> None:
    fit = CostFit(0.001, 0.0001, 0.000001)
    measured = {16: fit(16), 64: fit(64), 128: fit(128)}
    axes = axes_of(cost_plots.cost_by_length(measured, fit))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "grows with the length",
        "grows with its square",
        "measured",
    ]
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in axes.collections]
    assert tops == pytest.approx([1 + 12.8, 1000 * fit(128)])


def test_the_cost_of_a_text_by_batch() -> None:
    axes = axes_of(cost_plots.cost_by_batch({1: 0.004, 4: 0.008}, length=32))
    assert list(axes.lines[0].get_ydata()) == [4, 2]
    assert "32" in axes.get_xlabel()
