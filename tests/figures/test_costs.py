"""Figures of costs: what is drawn where."""

from typing import Any

import pytest

from tsnb import figures
from tsnb.inference.benchmark import Benchmark, Row

ROWS = (
    Row("trace-padded", "padded", (4.0, 4.0, 5.0), 6.0, 400, 1e-6),
    Row("runner", "planned", (1.0, 1.0, 1.5), 2.0, 100, 1e-6),
    Row("int8", "8 bits", (0.5,), 2.0, 100, 1e-1, exact=False),
)
REPORT = Benchmark(ROWS, {}, texts=9, real=100, flops=4e9, peak=1e10, planning=0.0, threads=2)


def axes_of(figure: Any) -> Any:
    [axes] = figure.axes
    return axes


def test_a_bar_is_the_median_split_into_real_and_padding() -> None:
    bars = axes_of(figures.benchmark_bars(REPORT)).patches
    assert [bar.get_width() for bar in bars[:4]] == pytest.approx([1, 3, 1, 0])  # a quarter, and all, is real
    assert [bar.get_x() for bar in bars[:4]] == pytest.approx([0, 1, 0, 1])
    assert [bool(bar.get_hatch()) for bar in bars] == [False, True] * 3
    drawn = figures.svg(figures.benchmark_bars(REPORT), "times")
    for word in ("padded", "planned", "8 bits", "4.00 s", "1.00 s", "· dashed: the limit, 0.40 s"):
        assert word in drawn


def test_the_warm_up_is_drawn_in_milliseconds() -> None:
    axes = axes_of(figures.warm_up_curve([0.5, 0.25, 0.01]))
    assert axes.lines[0].get_xydata().tolist() == [[1, 500], [2, 250], [3, 10]]
    axes = axes_of(figures.cost_by_batch({1: 0.004, 4: 0.008}, length=32))
    assert list(axes.lines[0].get_ydata()) == [4, 2]
