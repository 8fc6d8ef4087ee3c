"""The figure of what padding costs: a panel for each plan, and a bar of what it computes.

Everything is placed in points, so that no text is measured and a slider's move is drawn at once.
"""

from __future__ import annotations

from itertools import chain
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tsnb.base.palette import BLUE, GREY
from tsnb.base.words import say
from tsnb.figures.plots import HATCHED, INK, LETTER, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from tsnb.lengths.batching import Batch
    from tsnb.lengths.padding import PaddingReport, PlanCost, PlanName

    Numbers = NDArray[np.int64]

WIDTH, HEAD, ROW, FOOT = 504, 38, 82, 32  # points: the figure, its legend, a plan, its caption
LEFT, ACROSS, PANEL = 28, 300, 50  # where a panel begins, how wide and how high it is
BARS, LONGEST, BAR = 352, 148, 22  # where a bar begins, how long and how high it is
BIG = 15  # font size of the numbers that matter
BELOW = 66  # from the top of a plan's row to the foot of its panel
MOST_COLUMNS = 160  # texts that a panel shows; more of them are too thin to be seen
FEWEST_BATCHES = 10  # shown of the plan in arrival order, however large they are


class Columns(NamedTuple):
    """The rows of a plan as columns: the tokens of the text, and what it is padded to."""

    real: Numbers
    padded: Numbers


def padding_panels(report: PaddingReport) -> Figure:
    """Draw each plan as a panel of texts, and beside it a bar as long as what it computes.

    In a panel a text is a column: as high as its tokens, filled, and above them, hatched, the
    padding. All panels have one scale, so that areas are tokens. Of many texts a panel shows a
    sample; the bars and the numbers count all.

    Parameters
    ----------
    report
        What `tsnb.padding_cost` returns.

    Examples
    --------
    >>> import tsnb
    >>> figure = padding_panels(tsnb.padding_cost([5, 30, 6, 9], batch_size=2))
    >>> [text.get_text() for text in figure.axes[0].texts if " in arrival " in text.get_text()]
    ['batches of 2 in arrival order']

    Taught in notebook 04.
    """
    figure, axes = _canvas(HEAD + ROW * len(report.plans) + FOOT)
    shown = {name: columns(report, plan) for name, plan in report.plans.items()}
    most = max(len(held.real) for held in shown.values())
    tallest = max(int(held.padded.max()) for held in shown.values())
    ratio = max(plan.tokens_ratio for plan in report.plans.values())
    for place, (name, plan) in enumerate(report.plans.items()):
        foot = HEAD + ROW * place + BELOW
        _panel(axes, foot, shown[name], ACROSS / most, PANEL / tallest)
        _bar(axes, foot, plan, LONGEST / ratio)
        _write(axes, LEFT, foot - PANEL - 5, plan.label, weight="bold")
        _write(axes, LEFT - 4, foot - PANEL + 6, _short(tallest), ha="right", fontsize=8)
    _legend(axes)
    below = HEAD + ROW * len(report.plans)
    _write(axes, LEFT, below, _caption(report, shown), va="top", fontsize=9)
    return figure


def _canvas(height: int) -> tuple[Figure, Axes]:
    """Return a figure and axes that fill it, in points from its upper left corner."""
    figure, axes = new_figure(WIDTH / 72, height / 72, fitted=False)
    axes.set_position((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    return figure, axes


def columns(report: PaddingReport, plan: PlanCost) -> Columns:
    """Return what a panel shows of a plan: all rows, or a sample of them.

    In arrival order whole batches stand side by side, elsewhere rows of like length. A sample has
    batches, or rows, of every length in their proportion.
    """
    size = max(batch.rows for batch in report.plans["arrival"].batches)
    most = max(MOST_COLUMNS, FEWEST_BATCHES * size)
    share = min(1.0, most / len(report.lengths))
    if plan is report.plans["arrival"]:
        batches = [plan.batches[place] for place in _batches_shown(plan, share)]
        every = _rows(report, batches)
        number = np.repeat(np.arange(len(batches)), [batch.rows for batch in batches])
        shown = np.lexsort((every.real, number))
    else:
        every = _rows(report, plan.batches)
        shown = np.lexsort(every)[_spread(len(every.real), share)]
    return Columns(every.real[shown], every.padded[shown])


def _batches_shown(plan: PlanCost, share: float) -> Numbers:
    """Return the places of a share of the batches, in their order, short and long ones alike."""
    order = np.argsort([batch.length for batch in plan.batches], kind="stable")
    return np.sort(order[_spread(len(order), share)])


def _spread(count: int, share: float) -> Numbers:
    """Return the places of a share of things, evenly spread."""
    shown = max(round(count * share), 1)
    return ((np.arange(shown) + 0.5) * count / shown).astype(np.int64)


def _rows(report: PaddingReport, batches: Sequence[Batch]) -> Columns:
    """Return the rows of batches, one after the other; rows that only fill up have no text."""
    held = [(*batch.indices, *[-1] * (batch.rows - len(batch.indices))) for batch in batches]
    padded = np.repeat([batch.length for batch in batches], [batch.rows for batch in batches])
    indices = np.fromiter(chain.from_iterable(held), dtype=np.int64)
    return Columns(np.append(report.lengths, 0)[indices], padded)


def _panel(axes: Axes, foot: float, shown: Columns, across: float, up: float) -> None:
    """Draw a plan's rows as columns: padding, the text over it, and an outline of the batches."""
    from matplotlib.patches import StepPatch

    edges = LEFT + across * np.arange(len(shown.real) + 1)
    real, padded = (foot - up * held for held in shown)
    axes.add_artist(StepPatch(padded, edges, baseline=foot, fill=True, **HATCHED, fc=GREY))
    axes.add_artist(StepPatch(real, edges, baseline=foot, fill=True, fc=BLUE, ec="none"))
    axes.add_artist(StepPatch(padded, edges, baseline=foot, fill=False, ec=INK, lw=0.5))


def _bar(axes: Axes, foot: float, plan: PlanCost, scale: float) -> None:
    """Draw what is computed for each real token as a bar, with the number above it."""
    top, ratio = foot - BAR, f"{plan.tokens_ratio:.2f}"
    _box(axes, (BARS, top), scale, BAR)
    _box(axes, (BARS + scale, top), scale * (plan.tokens_ratio - 1), BAR, padding=True)
    _write(axes, BARS, top - 5, ratio, weight="bold", fontsize=BIG)
    share = f"{plan.padding_share:.1%} padding"
    _write(axes, BARS + BIG * (0.7 * len(ratio) + 0.3), top - 5, share, fontsize=9)


def _legend(axes: Axes) -> None:
    """Say what filled and hatched areas are, and what the bars are, above the first plan."""
    at = LEFT
    for name, padding in (("text", False), ("padding", True)):
        _box(axes, (at, 9), 18, 10, padding=padding)
        _write(axes, at + 24, 18, name)
        at += 24 + round(LETTER * len(name)) + 14
    _write(axes, BARS, 31, fill("tokens computed for each real one", 18))


def _box(
    axes: Axes, corner: tuple[float, float], width: float, height: float, *, padding: bool = False
) -> None:
    """Draw a rectangle of text, or one of padding; `add_patch` would measure it."""
    from matplotlib.patches import Rectangle

    look = {**HATCHED, "fc": GREY} if padding else {"fc": BLUE, "ec": "none"}
    axes.add_artist(Rectangle(corner, width, height, **look))


def _write(axes: Axes, left: float, foot: float, text: str, **look: Any) -> None:
    axes.text(left, foot, text, color=INK, **look)


def _short(length: int) -> str:
    """Return a length in the room that there is left of a panel."""
    return f"{length:,}" if length < 10_000 else f"{length // 1000}k"  # noqa: PLR2004, five signs fit


def _caption(report: PaddingReport, shown: dict[PlanName, Columns]) -> str:
    """Return what a column is, and how many texts are drawn if not all are."""
    texts, drawn = len(report.lengths), len(shown["max"].real)
    if drawn == texts:
        return "A column is a row of a batch: a text and its padding, as high as the tokens it is padded to."
    sample = f"Drawn are {drawn:,} of {texts:,} texts, long and short alike; the numbers count all."
    return f"{say('padding.row')}\n{sample}"
