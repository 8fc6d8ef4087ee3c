"""Figures of what running a model costs, each a function that returns a Matplotlib Figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tsnb.base.palette import BLUE, GREY, ORANGE
from tsnb.figures.style import HATCHED, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsnb.inference.benchmark import Benchmark


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
    figure, axes = new_figure(8.0, 1.3 + 0.42 * len(report.rows))
    for place, row in enumerate(report.rows):
        real = row.median * report.real / row.computed
        axes.barh(place, real, color=BLUE if row.exact else GREY, height=0.62)
        axes.barh(place, row.median - real, left=real, facecolor="none", height=0.62, **HATCHED)
        end = (max(row.seconds), place)
        axes.plot([min(row.seconds), max(row.seconds)], [place, place], color=INK, lw=1)
        change = f", {row.answers.changed} of {row.answers.questions:,} answers change" if row.answers else ""
        axes.annotate(f"{row.median:.2f} s{change}", end, (8, 0), textcoords="offset points", va="center", color=INK)
    note = "hatched: padding · thin line: quickest to slowest round"
    if not np.isnan(report.limit):
        axes.axvline(report.limit, color=ORANGE, ls="--")
        note += f" · dashed: the limit, {report.limit:.2f} s"
    if not all(row.exact for row in report.rows):
        note += "\nblue: the model's numbers · grey: others"
    axes.set_yticks(range(len(report.rows)), [row.label for row in report.rows])
    axes.invert_yaxis()
    axes.set(xlabel=f"seconds for {report.texts:,} texts", xmargin=0.12)
    figure.suptitle(note, x=0.01, ha="left", fontsize=10, color=INK)
    return figure


def times(seconds: Mapping[int, float], xlabel: str) -> Figure:
    """Draw measured times by what they were measured for.

    Parameters
    ----------
    seconds
        By a length in tokens, a number of texts, the number of a call.
    xlabel
        What that is.

    Taught in notebook 04.
    """
    figure, axes = new_figure(6.0, 2.6)
    axes.plot(list(seconds), [1000 * taken for taken in seconds.values()], "o-", color=BLUE)
    axes.set(xlabel=xlabel, ylabel="milliseconds", ylim=(0, None), xticks=list(seconds))
    return figure
