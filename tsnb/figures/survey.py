"""A figure to look a family of models up in: what became of its classes in the survey. Notebook 02."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tsnb.base.palette import BLUE, GREEN, GREY, ORANGE, VERMILION
from tsnb.figures.style import INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsnb.tracing.survey import Survey

COLOURS = {"·": GREY, "✓": GREEN, "!": BLUE, "✗": VERMILION, "~": ORANGE, "≠": ORANGE}  # the graver comes later
COLUMNS = 5


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
        marks[row.line] = max(marks.get(row.line, "·"), row.symbol, key=list(COLOURS).index)
    heights = [2 + math.ceil(len(families) / COLUMNS) for families in kinds.values()]
    figure, axes = new_figure(9.6, 0.2 * sum(heights), fitted=False)
    axes.set(xlim=(0, COLUMNS), ylim=(sum(heights), 0), position=(0, 0, 1, 1))
    axes.set_axis_off()
    top = 1
    for height, (kind, families) in zip(heights, kinds.items(), strict=True):
        axes.text(0, top, kind, color=INK, weight="bold", va="center")
        for place, (family, marks) in enumerate(sorted(families.items())):
            column, down = divmod(place, height - 2)
            for shift, line in enumerate(sorted({row.line for row in found.rows})):
                symbol, spot = marks.get(line, " "), (column + 0.05 + 0.1 * shift, top + 1 + down)
                box = {"fc": COLOURS.get(symbol, "none"), "alpha": 0.35, "ec": "none", "pad": 1.5}
                axes.text(*spot, symbol, bbox=box, color=INK, size=8, ha="center", va="center")
            axes.text(column + 0.22, top + 1 + down, family, color=INK, size=8, va="center")
        top += height
    return figure
