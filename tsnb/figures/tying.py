"""The figure of tied weights: a box for each tensor, under every name it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

from tsnb.base.palette import BLUE, ORANGE
from tsnb.figures.style import INK, new_figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from tsnb.models.tying import TyingReport

BOX_WIDTH = 0.66  # of the figure, for the largest tensor


def tying_boxes(report: TyingReport, addresses: Mapping[str, int] | None = None) -> Figure:
    """Draw each tensor as a box as wide as its bytes, under every name it has.

    Parameters
    ----------
    report
        The pairs; the names of a tied pair stand over one box, those of others over two.
    addresses
        The storage address of each weight, if it is to be shown; its last digits are.

    Taught in notebook 01.
    """
    sizes, tensors = {}, dict[str, list[str]]()
    for pair in report.pairs:
        sizes[pair.first] = sizes[pair.second] = pair.bytes
        names = tensors.setdefault(pair.first, [pair.first])
        if pair.tied:
            names.append(pair.second)
        else:
            tensors[pair.second] = [pair.second]
    lines = sum(map(len, tensors.values())) + 1.6 * len(tensors)
    figure, axes = new_figure(7, 0.22 * max(lines, 2))
    axes.set(xlim=(0, 1), ylim=(max(lines, 1), 0))
    axes.set_axis_off()
    if not tensors:
        nothing = "No weights are shared, and there is no output embedding that could be."
        axes.text(0, 0.5, nothing, va="center", color=INK)
    top = 0.0
    for first, names in tensors.items():
        for line, name in enumerate(names):
            axes.text(0, top + line + 0.5, f"= {name}" if line else name, va="center", color=INK)
        top += len(names)
        width, colour = BOX_WIDTH * sizes[first] / max(sizes.values()), BLUE if len(names) > 1 else ORANGE
        axes.add_patch(Rectangle((0, top + 0.1), width, 0.8, fc=colour, alpha=0.45, ec="none"))
        axes.add_patch(Rectangle((0, top + 0.1), width, 0.8, fill=False, ec=INK, lw=1))
        address = (addresses or {}).get(first)
        end = f" at …{address & 0xFFFFFF:06x}" if address else ""
        axes.text(width + 0.015, top + 0.5, f"{sizes[first]:,} bytes{end}", va="center", color=INK)
        top += 1.6
    return figure
