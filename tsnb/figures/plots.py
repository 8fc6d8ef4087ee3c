"""Every figure of the course, each a function that returns a Matplotlib Figure.

`show` draws a figure as SVG in the colours of the page, so that it is sharp on every screen and
readable in JupyterLab's light and dark themes.
"""

from __future__ import annotations

import io
import re
import threading
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from tsnb.base.palette import BLUE, GREEN, GREY, ORANGE, VERMILION
from tsnb.base.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from IPython.display import HTML
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from tsnb.lengths.lengths import Lengths
    from tsnb.models.tying import TyingReport
    from tsnb.tracing.compare import Kind
    from tsnb.tracing.contract import Shape
    from tsnb.tracing.probe import ShapeMap

COLOURS: dict[Kind, str] = {
    "same": GREEN,
    "raises": VERMILION,
    "wrong": ORANGE,
    "unsupported": GREY,
}
MOST_LINES = 64  # positions beyond which a box shows no lines between them
INFINITE = float("inf")
BOX_WIDTH = 0.66  # of the figure, for the largest tensor
MOST_BINS = 64
LETTER = 5.6  # points that a letter takes, about; no text is measured where it has to be quick
AXIS = 438  # points across, of the histogram's axis
ROW = 12  # points, of labels above a figure
INK = "#010203"  # stands for the page's own text colour until `svg` puts that in its place
HATCHED: dict[str, Any] = {"ec": INK, "hatch": "////", "lw": 0}
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
STYLING = threading.RLock()


@contextmanager
def _styled() -> Iterator[None]:
    """Set the style of the course for a block, one thread at a time: Matplotlib has one setting.

    Two at once would each put back what the other had set, and leave it to the reader's figures.
    """
    import matplotlib as mpl

    with STYLING, mpl.rc_context(STYLE):
        yield


def new_figure(width: float = 7.0, height: float = 3.0, *, fitted: bool = True) -> tuple[Figure, Axes]:
    """Return an empty figure in the style of the course; sizes are in inches.

    A fitted one makes room for its texts by measuring them, for which it is drawn twice; where a
    slider waits, the margins are given. It is not registered with pyplot, so that it is freed when
    nobody holds it.
    """
    from matplotlib.figure import Figure

    with _styled():
        figure = Figure(figsize=(width, height), layout="constrained" if fitted else None)
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
    held = io.StringIO()
    with _styled():
        figure.savefig(held, format="svg", metadata={"Date": None})
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", held.getvalue(), flags=re.DOTALL)
    label = escape(text, quote=True)
    shape = "display: block; max-width: 100%; height: auto"
    opened = f"<svg role='img' aria-label='{label}' style='{shape}' "
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
            Rectangle((column - 0.45, row - 0.42), 0.9, 0.84, color=COLOURS[verdict.kind], alpha=0.35)
        )
        axes.text(column, row, verdict.symbol, ha="center", va="center", fontsize=12, color=INK)
        if (batch, length) == verdicts.traced:
            axes.add_patch(Rectangle((column - 0.45, row - 0.42), 0.9, 0.84, fill=False, lw=2, ec=INK))
    _label_cells(axes, lengths, batches)
    axes.set_xlabel("length in tokens" + "\n" + verdicts.legend())
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


def shape_boxes(traced: Shape, given: Shape, axis: Literal["batch", "length"] | None) -> Figure:
    """Draw the traced shape and the given one as boxes to scale, the axis that does not fit marked.

    Parameters
    ----------
    traced, given
        `(batch, length)` of each.
    axis
        Which side to mark; `None` marks nothing.
    """
    figure, axes = new_figure(6.4, 2.4)
    widest, tallest = max(traced[1], given[1]), max(traced[0], given[0])
    start = 0.0
    for shape, key in ((traced, "shapes.box-traced"), (given, "shapes.box-given")):
        _box(axes, start, shape, (widest, tallest), axis)
        name = say(key, batch=shape[0], length=shape[1])
        axes.text(start, -0.16, name, va="bottom", ha="left", color=INK)
        start += shape[1] / widest + 0.3
    axes.set(xlim=(-0.12, max(start - 0.2, 1.75)), ylim=(1.3, -0.4))
    axes.set_axis_off()
    return figure


def _box(axes: Axes, start: float, shape: Shape, largest: tuple[int, int], axis: str | None) -> None:
    """Draw one box with its rows and positions, and mark a side with its size."""
    from matplotlib.patches import Rectangle

    batch, length = shape
    width, height = length / largest[0], 0.9 * batch / largest[1]
    axes.add_patch(Rectangle((start, 0), width, height, fc=BLUE, alpha=0.25, ec="none"))
    axes.add_patch(Rectangle((start, 0), width, height, fill=False, ec=INK, lw=1))
    if length <= MOST_LINES and batch <= MOST_LINES:
        at = [start + width * place / length for place in range(1, length)]
        axes.vlines(at, 0, height, color=INK, lw=0.4, alpha=0.6)
        axes.hlines(
            [height * place / batch for place in range(1, batch)],
            start,
            start + width,
            color=INK,
            lw=0.4,
            alpha=0.6,
        )
    if axis == "length":
        axes.plot([start, start + width], [height, height], color=VERMILION, lw=4)
        axes.text(start + width / 2, height + 0.06, f"↔ {length}", ha="center", va="top", color=INK)
    if axis == "batch":
        axes.plot([start, start], [0, height], color=VERMILION, lw=4)
        axes.text(start - 0.02, height / 2, f"↕ {batch}", ha="right", va="center", color=INK)


def difference_bar(difference: float, tolerance: float) -> Figure:
    """Draw a difference and the tolerance on one logarithmic scale."""
    figure, axes = new_figure(6.4, 1.3)
    reach = max(difference, tolerance) if difference < INFINITE else tolerance * 1e6
    low = tolerance / 1e4
    axes.barh([0], [max(min(difference, reach), low)], left=0, color=ORANGE, alpha=0.6, hatch="//")
    axes.axvline(tolerance, color=INK, lw=1.5)
    words = f"tolerance {tolerance:g}"
    axes.text(tolerance * 1.3, 0.55, words, color=INK)
    axes.set(xscale="log", xlim=(low, reach * 10), ylim=(-0.5, 0.9), yticks=[])
    axes.set_xlabel("largest difference between trace and model")
    axes.spines["left"].set_visible(False)
    return figure


def tying_boxes(report: TyingReport, addresses: Mapping[str, int] | None = None) -> Figure:
    """Draw each tensor as a box as wide as its bytes, under every name it has.

    Parameters
    ----------
    report
        The pairs; the names of a tied pair stand over one box, those of others over two.
    addresses
        The storage address of each weight, if it is to be shown; its last digits are.
    """
    sizes = {name: pair.bytes for pair in report.pairs for name in (pair.first, pair.second)}
    boxes = _tying_names(report)
    lines = sum(map(len, boxes)) + 1.6 * len(boxes)
    figure, axes = new_figure(7, 0.22 * max(lines, 2))
    axes.set(xlim=(0, 1), ylim=(max(lines, 1), 0))
    axes.set_axis_off()
    if not boxes:
        axes.text(
            0,
            0.5,
            "No weights are shared, and there is no output embedding that could be.",
            va="center",
            color=INK,
        )
    top = 0.0
    for names in boxes:
        width = BOX_WIDTH * sizes[names[0]] / max(sizes.values())
        label = _tying_label(sizes[names[0]], (addresses or {}).get(names[0]))
        _tying_box(axes, top, width, names, label)
        top += len(names) + 1.6
    return figure


def _tying_names(report: TyingReport) -> list[list[str]]:
    """Return the names of each tensor in a report, a list a tensor."""
    boxes: dict[str, list[str]] = {}
    for pair in report.pairs:
        names = boxes.setdefault(pair.first, [pair.first])
        if pair.tied:
            names.append(pair.second)
        else:
            boxes[pair.second] = [pair.second]
    return list(boxes.values())


def _tying_label(size: int, address: int | None) -> str:
    """Return what stands beside a box: its bytes and the end of its address."""
    if not address:
        return f"{size:,} bytes"
    return say("tying-view.box-at", bytes=f"{size:,}", address=f"…{address & 0xFFFFFF:06x}")


def _tying_box(axes: Axes, top: float, width: float, names: list[str], label: str) -> None:
    """Draw one tensor: its names, a line each, the box below them, and its label beside it."""
    from matplotlib.patches import Rectangle

    for line, name in enumerate(names):
        said = f"= {name}" if line else name
        axes.text(0, top + line + 0.5, said, va="center", color=INK)
    colour, height = (BLUE if len(names) > 1 else ORANGE), top + len(names)
    axes.add_patch(Rectangle((0, height + 0.1), width, 0.8, fc=colour, alpha=0.45, ec="none"))
    axes.add_patch(Rectangle((0, height + 0.1), width, 0.8, fill=False, ec=INK, lw=1))
    axes.text(width + 0.015, height + 0.5, label, va="center", color=INK)


def length_histogram(lengths: Lengths, max_length: int, presets: Mapping[str, int] | None = None) -> Figure:
    """Draw how many texts have which length, those that a max length cuts hatched.

    Parameters
    ----------
    lengths
        Tokens of each text.
    max_length
        Where the line stands: between the lengths that fit and those that are cut.
    presets
        Lengths to mark on top, by name, such as those of `tsnb.lengths.lengths.presets`. Texts longer than
        one called `limit` share the last bar.
    """
    import numpy as np

    from tsnb.lengths.lengths import histogram

    (sizes, texts), marks = histogram(lengths), presets or {}
    longest = int(sizes[-1])
    right = max(max_length, min(longest, marks.get("limit", longest)))
    edges = _bin_edges(right, beyond=longest > right)
    shown = np.where(sizes > right, edges[-1], sizes)
    every, fits = (
        np.histogram(shown, edges, weights=held)[0] for held in (texts, texts * (sizes <= max_length))
    )
    figure, axes = new_figure(7, 2.6, fitted=False)
    axes.stairs(fits, edges, fill=True, color=BLUE, label="fits")
    axes.stairs(every, edges, baseline=fits, fill=True, label="is cut", **HATCHED, fc=ORANGE)
    axes.set(xlim=(0, edges[-1]), ylim=(0, 1.08 * every.max()), ylabel="texts")
    axes.set_xlabel(_length_axis(int(texts[sizes > right].sum()), right), loc="left")
    figure.legend(loc="lower right", ncols=2, frameon=False, labelcolor=INK)
    _few_ticks(axes.xaxis, 8)
    _few_ticks(axes.yaxis, 4)
    rows = _mark_lengths(axes, max_length, marks)
    _fix_margins(figure, left=54, right=12, top=8 + ROW * rows)
    return figure


def _few_ticks(axis: Axis, most: int) -> None:
    """Number an axis at so many places at most, in whole numbers, thousands as k, millions as M."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True))
    axis.set_major_formatter(EngFormatter(sep=""))


def _fix_margins(figure: Figure, *, left: float, right: float, top: float, bottom: float = 40) -> None:
    """Leave room around the axes, in points, without measuring the texts that stand there."""
    width, height = figure.get_size_inches() * 72
    across, up = 1 - (left + right) / width, 1 - (top + bottom) / height
    figure.axes[0].set_position((left / width, bottom / height, across, up))


def _bin_edges(right: int, *, beyond: bool) -> NDArray[np.float64]:
    """Return edges between whole lengths, at most 64 bins, and one more for what is beyond."""
    import numpy as np

    width = -(-right // MOST_BINS)
    edges = np.arange(0.5, right + width, width)
    return np.append(edges, edges[-1] + width) if beyond else edges


def _length_axis(beyond: int, right: int) -> str:
    if not beyond:
        return "length in tokens"
    return f"length in tokens; last bar: {beyond:,} texts over {right:,}"


def _mark_lengths(axes: Axes, max_length: int, presets: Mapping[str, int]) -> int:
    """Draw the line at the max length, a tick for each preset, and their names in rows above.

    Returns how many rows.
    """
    right, over = axes.get_xlim()[1], axes.get_xaxis_transform()
    axes.axvline(max_length + 0.5, color=INK, lw=1.5)
    ticks = [length for length in presets.values() if length <= right]
    axes.plot(ticks, [1.0] * len(ticks), "v", ms=5, color=GREY, transform=over, clip_on=False)
    chosen = (max_length, f"max length {max_length:,}")
    labels = [chosen, *_preset_labels(presets, right)]
    places = list(_rows_of(labels, right))
    for (length, label), (centre, row) in zip(labels, places, strict=True):
        axes.annotate(
            label,
            (centre, 1),
            (0, 5 + ROW * row),
            xycoords=over,
            textcoords="offset points",
            ha="center",
            fontsize=9,
            weight="bold" if (length, label) == chosen else "normal",
            color=INK,
        )
    return 1 + max(row for _, row in places)


def _preset_labels(presets: Mapping[str, int], right: float) -> list[tuple[int, str]]:
    """Return each marked length with its names; an arrow points to those beyond the axis."""
    said = {"longest": "longest", "limit": "model limit"}
    named: dict[int, list[str]] = {}
    for name, length in presets.items():
        named.setdefault(length, []).append(said.get(name, name))
    return [
        (length, f"{', '.join(names)} {length:,}{' →' if length > right else ''}")
        for length, names in sorted(named.items())
    ]


def _rows_of(labels: Iterable[tuple[int, str]], right: float) -> Iterator[tuple[float, int]]:
    """Give each label its centre, within the axis, and the lowest row in which it has room."""
    taken: list[list[tuple[float, float]]] = []
    for length, label in labels:
        half = min(len(label) * LETTER / AXIS / 2, 0.5) * right
        centre = min(max(length, half), right - half)
        free = (
            row
            for row, spans in enumerate(taken)
            if all(centre + half <= start or end <= centre - half for start, end in spans)
        )
        row = next(free, len(taken))
        if row == len(taken):
            taken.append([])
        taken[row].append((centre - half, centre + half))
        yield centre, row


def bucket_plan(lengths: Lengths, edges: Sequence[int]) -> Figure:
    """Draw the tokens that each bucket computes: those of its texts, and padding, hatched.

    Parameters
    ----------
    lengths
        Tokens of each text.
    edges
        Rising lengths; each text is padded to the smallest that holds it.
    """
    import numpy as np

    from tsnb.lengths.lengths import histogram, pad_to

    sizes, counts = histogram(lengths)
    places = np.searchsorted(edges, pad_to(edges, sizes))
    texts, real = (
        np.bincount(places, weights=held, minlength=len(edges)) for held in (counts, counts * sizes)
    )
    padding = texts * np.array(edges) - real
    figure, axes = new_figure(7, 1 + 0.4 * len(edges), fitted=False)
    rows = range(len(edges))
    axes.barh(rows, real, color=BLUE, label="text")
    axes.barh(rows, padding, left=real, label="padding", **HATCHED, fc=GREY)
    numbers = zip(texts, real, padding, strict=True)
    lines = [_bucket_line(*map(int, held)) for held in numbers]
    for row, line in enumerate(lines):
        axes.text(1.01, row, line, transform=axes.get_yaxis_transform(), va="center", color=INK)
    names = [f"up to {edge:,}" for edge in edges]
    axes.set_yticks(rows, names)
    axes.set(ylim=(len(edges) - 0.5, -0.5))
    axes.set_xlabel("tokens computed", loc="left")
    _few_ticks(axes.xaxis, 4)
    figure.legend(loc="lower right", ncols=2, frameon=False, labelcolor=INK)
    left, right = (LETTER * max(map(len, held)) + 12 for held in (names, lines))
    _fix_margins(figure, left=left, right=right, top=4)
    return figure


def _bucket_line(texts: int, real: int, padding: int) -> str:
    share = f"{padding / max(real + padding, 1):.0%}"
    gaps = {"real": f"{real:,}", "padding": f"{padding:,}", "share": share}
    if texts == 1:
        return say("lengths.bucket-line-one", **gaps)
    return say("lengths.bucket-line", texts=f"{texts:,}", **gaps)
