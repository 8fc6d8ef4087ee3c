"""Figures of shapes: which of them a trace can be trusted at, and why one does not fit. Notebook 02."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from matplotlib.patches import Rectangle

from tsnb.base.palette import BLUE, GREEN, GREY, ORANGE, VERMILION
from tsnb.figures.style import INK, new_figure
from tsnb.tracing.survey import LEGEND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsnb.tracing.compare import Kind
    from tsnb.tracing.contract import Shape
    from tsnb.tracing.probe import ShapeMap
    from tsnb.tracing.survey import Survey

COLOURS: dict[Kind, str] = {"same": GREEN, "raises": VERMILION, "wrong": ORANGE, "unsupported": GREY}
GRAVITY = {"·": GREY, "✓": GREEN, "!": BLUE, "✗": VERMILION, "~": ORANGE, "≠": ORANGE}  # the graver comes later
FAMILIES_ABREAST, LONGEST_NAME = 5, 22


def shape_map(verdicts: ShapeMap) -> Figure:
    """Draw a map of shapes: a cell for each batch size and length, coloured, with its symbol.

    The traced shape has a frame.

    Parameters
    ----------
    verdicts
        What `tsnb.probe` returns.

    Taught in notebook 02.
    """
    lengths, batches = verdicts.lengths, verdicts.batch_sizes
    figure, axes = new_figure(1.6 + 0.55 * len(lengths), 1.2 + 0.45 * len(batches))
    for (batch, length), verdict in verdicts.items():
        column, row = lengths.index(length), batches.index(batch)
        corner = (column - 0.45, row - 0.42)
        axes.add_patch(Rectangle(corner, 0.9, 0.84, color=COLOURS[verdict.kind], alpha=0.35))
        axes.text(column, row, verdict.symbol, ha="center", va="center", fontsize=12, color=INK)
        if (batch, length) == verdicts.traced:
            axes.add_patch(Rectangle(corner, 0.9, 0.84, fill=False, lw=2, ec=INK))
    axes.set(xlim=(-0.6, len(lengths) - 0.4), ylim=(len(batches) - 0.5, -0.5), ylabel="batch size")
    axes.set_xticks(range(len(lengths)), map(str, lengths))
    axes.set_yticks(range(len(batches)), map(str, batches))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"length in tokens\n{verdicts.legend()}")
    return figure


def survey_families(found: Survey) -> Figure:
    """Draw each family's name behind a symbol for each line of transformers: the gravest among its classes.

    Parameters
    ----------
    found
        What `tsnb.survey` returns.

    Taught in notebook 02.
    """
    kinds: dict[str, dict[str, dict[str, str]]] = {}
    for row in found.rows:
        marks = kinds.setdefault(row.kind, {}).setdefault(row.family, {})
        marks[row.line] = max(marks.get(row.line, "·"), row.symbol, key=list(GRAVITY).index)
    heights = [2 + math.ceil(len(families) / FAMILIES_ABREAST) for families in kinds.values()]
    figure, axes = new_figure(9.6, 0.2 * (sum(heights) + 2), fitted=False)
    axes.set(xlim=(0, FAMILIES_ABREAST), ylim=(sum(heights) + 2, 0), position=(0, 0, 1, 1))
    axes.set_axis_off()
    top = 1
    for height, (kind, families) in zip(heights, kinds.items(), strict=True):
        axes.text(0, top, kind, color=INK, weight="bold", va="center")
        for place, (family, marks) in enumerate(sorted(families.items())):
            column, down = divmod(place, height - 2)
            for shift, line in enumerate(sorted({row.line for row in found.rows})):
                symbol, spot = marks.get(line, " "), (column + 0.05 + 0.1 * shift, top + 1 + down)
                box = {"fc": GRAVITY.get(symbol, "none"), "alpha": 0.35, "ec": "none", "pad": 1.5}
                axes.text(*spot, symbol, bbox=box, color=INK, size=8, ha="center", va="center")
            name = family if len(family) <= LONGEST_NAME else f"{family[: LONGEST_NAME - 1]}…"
            axes.text(column + 0.22, top + 1 + down, name, color=INK, size=8, va="center")
        top += height
    axes.text(0, top, LEGEND, color=INK, size=8, va="center")
    return figure


def shape_boxes(traced: Shape, shape: Shape, axis: Literal["batch", "length"] | None) -> Figure:
    """Draw the traced shape and another as boxes to scale, the axis that does not fit marked.

    Parameters
    ----------
    traced, shape
        `(batch, length)` of each.
    axis
        Which side to mark; `None` marks nothing.
    """
    figure, axes = new_figure(6.4, 2.4)
    largest = max(traced[0], shape[0]), max(traced[1], shape[1])
    start = 0.0
    for (batch, length), name in ((traced, "traced"), (shape, "given")):
        width, height = length / largest[1], 0.9 * batch / largest[0]
        axes.add_patch(Rectangle((start, 0), width, height, fc=(BLUE, 0.25), ec=INK, lw=1))
        if axis == "length":
            axes.plot([start, start + width], [height, height], color=VERMILION, lw=4)
            axes.text(start + width / 2, height + 0.06, f"↔ {length}", ha="center", va="top", color=INK)
        if axis == "batch":
            axes.plot([start, start], [0, height], color=VERMILION, lw=4)
            axes.text(start - 0.02, height / 2, f"↕ {batch}", ha="right", va="center", color=INK)
        axes.text(start, -0.16, f"{name}: {batch} × {length}", va="bottom", ha="left", color=INK)
        start += width + 0.3
    axes.set(xlim=(-0.12, max(start - 0.2, 1.75)), ylim=(1.3, -0.4))
    axes.set_axis_off()
    return figure


def difference_bar(difference: float, tolerance: float) -> Figure:
    """Draw a difference and the tolerance on one logarithmic scale.

    Parameters
    ----------
    difference
        The largest absolute one; infinity is drawn as a bar that is as long as the axis.
    tolerance
        Where the line stands.
    """
    figure, axes = new_figure(6.4, 1.3)
    reach = tolerance * 1e6 if math.isinf(difference) else max(difference, tolerance)
    low = tolerance / 1e4
    axes.barh([0], [max(min(difference, reach), low)], color=ORANGE, alpha=0.6, hatch="//")
    axes.axvline(tolerance, color=INK, lw=1.5)
    axes.text(tolerance * 1.3, 0.55, f"tolerance {tolerance:g}", color=INK)
    axes.set(xscale="log", xlim=(low, reach * 10), ylim=(-0.5, 0.9), yticks=[])
    axes.set_xlabel("largest difference between trace and model")
    axes.spines["left"].set_visible(False)
    return figure
