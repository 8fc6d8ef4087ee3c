"""The figure of what padding costs: a panel for each plan, and a bar of what it computes.

Everything is placed in points, so that no text is measured and a slider's move is drawn at once.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Rectangle, StepPatch

from tsnb.base.palette import BLUE, GREY
from tsnb.figures.style import HATCHED, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from tsnb.lengths.padding import PaddingReport, PlanCost

    Numbers = NDArray[np.int64]

WIDTH, HEAD, ROW, FOOT = 504, 38, 82, 32  # points: the figure, its legend, a plan, its caption
LEFT, ACROSS, PANEL = 28, 300, 50  # where a panel begins, how wide and how high it is
BARS, LONGEST, BAR = 352, 148, 22  # where a bar begins, how long and how high it is
BIG = 15  # font size of the numbers that matter
BELOW = 66  # from the top of a plan's row to the foot of its panel
MOST_COLUMNS = 160  # texts that a panel shows; more of them are too thin to be seen
FEWEST_BATCHES = 10  # shown of the plan in arrival order, however large they are


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
    height = HEAD + ROW * len(report.plans) + FOOT
    figure, axes = new_figure(WIDTH / 72, height / 72, fitted=False)
    axes.set_position((0, 0, 1, 1))  # the axes fill the figure, in points from its upper left corner
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    shown = [columns(report, plan) for plan in report.plans.values()]
    most = max(len(real) for real, _ in shown)
    tallest = max(int(padded.max()) for _, padded in shown)
    longest = max(plan.tokens_ratio for plan in report.plans.values())
    for place, (panel, plan) in enumerate(zip(shown, report.plans.values(), strict=True)):
        foot = HEAD + ROW * place + BELOW
        edges = LEFT + ACROSS / most * np.arange(len(panel[0]) + 1)
        real, padded = (foot - PANEL / tallest * tokens for tokens in panel)
        axes.add_artist(StepPatch(padded, edges, baseline=foot, fill=True, **HATCHED, fc=GREY))
        axes.add_artist(StepPatch(real, edges, baseline=foot, fill=True, fc=BLUE, ec="none"))
        axes.add_artist(StepPatch(padded, edges, baseline=foot, fill=False, ec=INK, lw=0.5))  # around the batches
        top, ratio, scale = foot - BAR, f"{plan.tokens_ratio:.2f}", LONGEST / longest
        _box(axes, (BARS, top), scale, BAR)
        _box(axes, (BARS + scale, top), scale * (plan.tokens_ratio - 1), BAR, padding=True)
        _write(axes, BARS, top - 5, ratio, weight="bold", fontsize=BIG)
        share = f"{plan.padding_share:.1%} padding"
        _write(axes, BARS + BIG * (0.7 * len(ratio) + 0.3), top - 5, share, fontsize=9)
        _write(axes, LEFT, foot - PANEL - 5, plan.label, weight="bold")
        label = f"{tallest:,}" if tallest < 10_000 else f"{tallest // 1000}k"  # noqa: PLR2004, five signs fit
        _write(axes, LEFT - 4, foot - PANEL + 6, label, ha="right", fontsize=8)
    for name, left in (("text", LEFT), ("padding", LEFT + 60)):  # what filled and hatched areas are
        _box(axes, (left, 9), 18, 10, padding=name == "padding")
        _write(axes, left + 24, 18, name)
    _write(axes, BARS, 31, "tokens computed\nfor each real one")
    texts, drawn = len(report.lengths), len(shown[0][0])  # the first plan has a row a text
    caption = "A column is a row of a batch: a text and its padding, as high as the tokens it is padded to."
    if drawn < texts:
        caption += f"\nDrawn are {drawn:,} of {texts:,} texts, long and short alike; the numbers count all."
    _write(axes, LEFT, height - FOOT, caption, va="top", fontsize=9)
    return figure


def columns(report: PaddingReport, plan: PlanCost) -> tuple[Numbers, Numbers]:
    """Return what a panel shows of a plan: of all rows, or a sample, the text's tokens and those it is padded to.

    In arrival order whole batches stand side by side, elsewhere rows of like length. A sample has
    batches, or rows, of every length in their proportion. Rows that only fill up a batch have no tokens.
    """
    arrival, batches = report.plans["arrival"], plan.batches
    size = max(batch.rows for batch in arrival.batches)
    share = min(1.0, max(MOST_COLUMNS, FEWEST_BATCHES * size) / len(report.lengths))
    if plan is arrival:
        order = np.argsort([batch.length for batch in batches], kind="stable")
        batches = tuple(batches[place] for place in np.sort(order[_spread(len(order), share)]))
    texts = chain.from_iterable((*batch.indices, *[-1] * (batch.rows - len(batch.indices))) for batch in batches)
    real = np.append(report.lengths, 0)[np.fromiter(texts, dtype=np.int64)]
    rows = [batch.rows for batch in batches]
    padded = np.repeat([batch.length for batch in batches], rows)
    if plan is arrival:
        shown = np.lexsort((real, np.repeat(np.arange(len(batches)), rows)))
    else:
        shown = np.lexsort((real, padded))[_spread(len(real), share)]
    return real[shown], padded[shown]


def _spread(count: int, share: float) -> Numbers:
    """Return the indices of a share of things, evenly spread."""
    shown = max(round(count * share), 1)
    return ((np.arange(shown) + 0.5) * count / shown).astype(np.int64)


def _box(axes: Axes, corner: tuple[float, float], width: float, height: float, *, padding: bool = False) -> None:
    """Draw a rectangle of text, or one of padding; `add_patch` would measure it."""
    style = {**HATCHED, "fc": GREY} if padding else {"fc": BLUE, "ec": "none"}
    axes.add_artist(Rectangle(corner, width, height, **style))


def _write(axes: Axes, left: float, foot: float, text: str, **style: Any) -> None:
    axes.text(left, foot, text, color=INK, **style)
