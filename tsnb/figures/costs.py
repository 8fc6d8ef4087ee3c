"""Figures of what running a model costs, each a function that returns a Matplotlib Figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tsnb.base.palette import BLUE, GREY, ORANGE
from tsnb.figures.style import HATCHED, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsnb.inference.benchmark import Benchmark
    from tsnb.inference.costs import CostFit


def benchmark_bars(report: Benchmark) -> Figure:
    """Draw the time of each way to run texts as a bar, the part that padding takes hatched.

    The part is the share of the computed tokens that is padding. A thin line runs from the
    quickest round to the slowest, a dashed one marks the time that nothing in 32 bits can beat.

    Parameters
    ----------
    report
        What `tsnb.benchmark` returns.

    Taught in notebook 04.
    """
    figure, axes = new_figure(8.0, 1.1 + 0.42 * len(report.rows))
    for place, row in enumerate(report.rows):
        real = row.median * report.real / row.computed
        axes.barh(place, real, color=BLUE if row.exact else GREY, height=0.62)
        axes.barh(place, row.median - real, left=real, facecolor="none", height=0.62, **HATCHED)
        end = (max(row.seconds), place)
        axes.plot([min(row.seconds), max(row.seconds)], [place, place], color=INK, lw=1)
        axes.annotate(f"{row.median:.2f} s", end, (8, 0), textcoords="offset points", va="center", color=INK)
    note = "hatched: padding · thin line: quickest to slowest round"
    if not np.isnan(report.limit):
        axes.axvline(report.limit, color=ORANGE, ls="--")
        note += f" · dashed: the limit, {report.limit:.2f} s"
    axes.set_yticks(range(len(report.rows)), [row.label for row in report.rows])
    axes.invert_yaxis()
    axes.set(xlabel=f"seconds for {report.texts:,} texts", xmargin=0.12)
    figure.suptitle(note, x=0.01, ha="left", fontsize=10, color=INK)
    return figure


def warm_up_curve(seconds: Sequence[float]) -> Figure:
    """Draw the time of each of the first calls of a trace.

    Parameters
    ----------
    seconds
        What `tsnb.costs.first_calls` returns.

    Taught in notebook 04.
    """
    calls = range(1, len(seconds) + 1)
    return _curve(calls, seconds, xticks=calls, xlabel="call", ylabel="milliseconds")


def cost_by_length(measured: Mapping[int, float], fit: CostFit) -> Figure:
    """Draw measured times by length, and the linear and the quadratic part of their fit.

    Parameters
    ----------
    measured
        Seconds that one text takes, by its length in tokens.
    fit
        What `tsnb.costs.fit_cost` returns.

    Taught in notebook 04.
    """
    figure, axes = new_figure(6.0, 3.0)
    sizes = np.linspace(0, max(measured), 100)
    whole = 1000 * np.array([fit(size) for size in sizes])
    straight = whole - 1000 * fit.quadratic * sizes**2
    axes.fill_between(sizes, straight, color=BLUE, alpha=0.35, lw=0, label="grows with the length")
    axes.fill_between(sizes, straight, whole, facecolor="none", label="grows with its square", **HATCHED)
    points = [1000 * taken for taken in measured.values()]
    axes.plot(list(measured), points, "o", color=INK, label="measured")
    axes.set(xlabel="length in tokens", ylabel="milliseconds")
    axes.legend(frameon=False, loc="upper left", labelcolor=INK)
    return figure


def cost_by_batch(measured: Mapping[int, float], length: int) -> Figure:
    """Draw the measured time of one text by the size of its batch, all of one length.

    Parameters
    ----------
    measured
        Seconds that a batch takes, by its number of texts.
    length
        Tokens of each text.

    Taught in notebook 04.
    """
    each, label = [taken / size for size, taken in measured.items()], f"texts in a batch, each of {length} tokens"
    figure = _curve(list(measured), each, xlabel=label, ylabel="milliseconds a text")
    figure.axes[0].set_xscale("log", base=2)
    figure.axes[0].set_xticks(list(measured), [str(size) for size in measured])
    return figure


def _curve(sizes: Sequence[int], seconds: Sequence[float], **labels: Any) -> Figure:
    figure, axes = new_figure(6.0, 2.6)
    axes.plot(sizes, [1000 * taken for taken in seconds], "o-", color=BLUE)
    axes.set(ylim=(0, None), **labels)
    return figure
