"""Every figure of the course, each a function that returns a Matplotlib Figure.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; each has a
symbol or a word beside it. `show` draws a figure as SVG in the colours of the page, so that it is
sharp on every screen and readable in JupyterLab's light and dark themes.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tsnb.shapes import ShapeMap
    from tsnb.verdicts import Kind

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#8c8c8c"
COLOURS: dict[Kind, str] = {
    "same": GREEN,
    "raises": VERMILION,
    "wrong": ORANGE,
    "unsupported": GREY,
}
INK = "#010203"  # stands for the page's own text colour until `svg` puts that in its place
PAGE_INK = "var(--jp-content-font-color1, currentColor)"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: the page's font, readable by screen readers
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def new_figure(width: float = 7.0, height: float = 3.0) -> tuple[Figure, Axes]:
    """Return an empty figure in the style of the course; sizes are in inches.

    It is not registered with pyplot, so that it is freed when nobody holds it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots()


def svg(figure: Figure, text: str) -> str:
    """Return a figure as an SVG element in the colours of the page.

    Parameters
    ----------
    figure
        Any figure made with `new_figure`.
    text
        What the figure shows, in words, for those who do not see it.
    """
    import matplotlib as mpl

    held = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(held, format="svg", metadata={"Date": None})
    drawn = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>", "", held.getvalue(), flags=re.DOTALL
    )
    label = escape(text, quote=True)
    opened = f"<svg role='img' aria-label='{label}' style='max-width: 100%; height: auto' "
    return drawn[drawn.index("<svg") :].replace("<svg ", opened, 1).replace(INK, PAGE_INK)


def show(figure: Figure, text: str) -> HTML:
    """Show a figure in a notebook, in the colours of the page; see `svg`."""
    from IPython.display import HTML

    return HTML(svg(figure, text))


def shape_map(verdicts: ShapeMap) -> Figure:
    """Draw a map of shapes: a cell for each batch size and length, coloured, with its symbol.

    The traced shape has a frame.
    """
    from matplotlib.patches import Rectangle

    lengths, batches = verdicts.lengths, verdicts.batch_sizes
    figure, axes = new_figure(1.6 + 0.55 * len(lengths), 1.2 + 0.45 * len(batches))
    for (batch, length), verdict in verdicts.items():
        column, row = lengths.index(length), batches.index(batch)
        axes.add_patch(
            Rectangle(
                (column - 0.45, row - 0.42), 0.9, 0.84, color=COLOURS[verdict.kind], alpha=0.35
            )
        )
        axes.text(column, row, verdict.symbol, ha="center", va="center", fontsize=12)
        if (batch, length) == verdicts.traced:
            axes.add_patch(
                Rectangle((column - 0.45, row - 0.42), 0.9, 0.84, fill=False, lw=2, ec=INK)
            )
    _label_cells(axes, lengths, batches)
    axes.set_xlabel("length in tokens\n" + verdicts.legend())
    return figure


def _label_cells(axes: Axes, columns: list[int], rows: list[int]) -> None:
    """Number the columns and rows of a grid and take the rest of the frame away."""
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), [str(size) for size in columns])
    axes.set_yticks(range(len(rows)), [str(size) for size in rows])
    axes.set_ylabel("batch size")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
