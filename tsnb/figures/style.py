"""What all figures share: an empty figure to draw on, and SVG in the colours of the page.

The style is set on the artists, so that no setting of Matplotlib changes while a figure is made.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK = "#010203"  # stands for the page's own text colour until `svg` puts that in its place
PAGE_INK = "var(--jp-content-font-color1, currentColor)"
HATCHED: dict[str, Any] = {"ec": INK, "hatch": "////", "lw": 0}
LETTER = 5.6  # points that a letter takes, about; no text is measured where it has to be quick


def new_figure(width: float, height: float, *, fitted: bool = True) -> tuple[Figure, Axes]:
    """Return an empty figure in the style of the course; sizes are in inches.

    A fitted one makes room for its texts by measuring them, for which it is drawn twice; where a
    slider waits, the margins are fixed. It is not registered with pyplot, so that it is freed with
    the last reference to it.
    """
    figure = Figure((width, height), facecolor="none", layout="constrained" if fitted else None)
    axes = figure.subplots(subplot_kw={"facecolor": "none"})
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(INK)
    axes.tick_params(which="both", colors=INK, labelsize=10)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=INK, size=10)
    return figure, axes


def few_ticks(axis: Axis, most: int) -> None:
    """Put at most so many numbers on an axis: whole ones, thousands as k, millions as M."""
    axis.set_major_locator(MaxNLocator(most, integer=True))
    axis.set_major_formatter(EngFormatter(sep=""))


def fix_margins(figure: Figure, *, left: float, right: float, top: float, bottom: float = 40) -> None:
    """Leave room around the axes, in points, without measuring the texts that stand there."""
    width, height = figure.get_size_inches() * 72
    across, up = 1 - (left + right) / width, 1 - (top + bottom) / height
    figure.axes[0].set_position((left / width, bottom / height, across, up))


def svg(figure: Figure, text: str) -> str:
    """Return a figure as an SVG element in the colours of the page, light or dark.

    Its text stays text: in the page's font, and readable by a screen reader.

    Parameters
    ----------
    figure
        A figure of `tsnb.figures`.
    text
        What the figure shows, in words, for those who do not see it.
    """
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):  # the one setting that Matplotlib takes nowhere else
        figure.savefig(file, format="svg", facecolor="none", metadata={"Date": None})
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", file.getvalue(), flags=re.DOTALL)
    shape = "display: block; max-width: 100%; height: auto"
    opened = f"<svg role='img' aria-label='{escape(text, quote=True)}' style='{shape}' "
    return drawn[drawn.index("<svg") :].replace("<svg ", opened, 1).replace(INK, PAGE_INK)


def show(figure: Figure, text: str) -> HTML:
    """Show a figure in a notebook, in the colours of the page, with its words for those who do not see it.

    Parameters
    ----------
    figure
        A figure of `tsnb.figures`.
    text
        What the figure shows, in words.

    Examples
    --------
    >>> from tsnb import figures
    >>> page = figures.show(figures.times({1: 0.5, 2: 0.25}, "call"), "seconds of the first calls")
    >>> "aria-label='seconds of the first calls'" in page.data
    True

    Taught in notebook 04.
    """
    from IPython.display import HTML

    return HTML(svg(figure, text))
