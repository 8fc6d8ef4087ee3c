"""Figures of lengths: how many texts have which, and what is computed in each bucket. Notebook 02.

Texts are placed by an estimate of their width; none is measured, so that a slider's move is drawn at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from tsnb.base.palette import BLUE, GREY, ORANGE
from tsnb.figures.style import HATCHED, INK, LETTER, few_ticks, fix_margins, new_figure
from tsnb.lengths.lengths import histogram, pad_to

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tsnb.lengths.lengths import Lengths

MOST_BINS = 64
AXIS = 438  # points across, of the histogram's axis
ROW = 12  # points, of labels above a figure
NAMES = {"limit": "model limit"}


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

    Taught in notebook 02.
    """
    (sizes, texts), marks = histogram(lengths), presets or {}
    longest = int(sizes[-1])
    right = max(max_length, min(longest, marks.get("limit", longest)))
    width = -(-right // MOST_BINS)
    edges = np.arange(0.5, right + width, width)  # between whole lengths
    xlabel = "length in tokens"
    if longest > right:
        edges = np.append(edges, edges[-1] + width)
        xlabel += f"; last bar: {int(texts[sizes > right].sum()):,} texts over {right:,}"
    shown = np.where(sizes > right, edges[-1], sizes)
    every = np.histogram(shown, edges, weights=texts)[0]
    fits = np.histogram(shown, edges, weights=texts * (sizes <= max_length))[0]
    figure, axes = new_figure(7, 2.6, fitted=False)
    axes.stairs(fits, edges, fill=True, color=BLUE, label="fits")
    axes.stairs(every, edges, baseline=fits, fill=True, label="is cut", **HATCHED, fc=ORANGE)
    axes.set(xlim=(0, edges[-1]), ylim=(0, 1.08 * every.max()), ylabel="texts")
    axes.set_xlabel(xlabel, loc="left")
    figure.legend(loc="lower right", ncols=2, frameon=False, labelcolor=INK)
    few_ticks(axes.xaxis, 8)
    few_ticks(axes.yaxis, 4)
    rows = _mark_lengths(axes, max_length, marks)
    fix_margins(figure, left=54, right=12, top=8 + ROW * rows)
    return figure


def _mark_lengths(axes: Axes, max_length: int, presets: Mapping[str, int]) -> int:
    """Draw the line at the max length, a tick for each preset, and their names in rows above.

    An arrow points to a preset beyond the axis. Returns how many rows.
    """
    right, over = axes.get_xlim()[1], axes.get_xaxis_transform()
    axes.axvline(max_length + 0.5, color=INK, lw=1.5)
    ticks = [length for length in presets.values() if length <= right]
    axes.plot(ticks, [1.0] * len(ticks), "v", ms=5, color=GREY, transform=over, clip_on=False)
    taken: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)  # spans of each row
    for name, length in [("max length", max_length), *sorted(presets.items(), key=itemgetter(1))]:
        label = f"{NAMES.get(name, name)} {length:,}{' →' if length > right else ''}"
        half = min(len(label) * LETTER / AXIS / 2, 0.5) * right
        centre = min(max(length, half), right - half)
        start, end = centre - half, centre + half
        row = next(row for row in count() if all(end <= first or last <= start for first, last in taken[row]))
        taken[row].append((start, end))
        style: dict[str, Any] = {"weight": "bold" if length == max_length else "normal", "fontsize": 9, "color": INK}
        place, above = (centre, 1), (0, 5 + ROW * row)
        axes.annotate(label, place, above, xycoords=over, textcoords="offset points", ha="center", **style)
    return len(taken)


def bucket_plan(lengths: Lengths, edges: Sequence[int]) -> Figure:
    """Draw the tokens that each bucket computes: those of its texts, and padding, hatched.

    Parameters
    ----------
    lengths
        Tokens of each text.
    edges
        Rising lengths; each text is padded to the smallest that it fits.

    Taught in notebook 02.
    """
    sizes, counts = histogram(lengths)
    buckets = np.searchsorted(edges, pad_to(edges, sizes))
    texts = np.bincount(buckets, counts, len(edges))
    real = np.bincount(buckets, counts * sizes, len(edges))
    padding = texts * np.array(edges) - real
    figure, axes = new_figure(7, 1 + 0.4 * len(edges), fitted=False)
    rows = range(len(edges))
    axes.barh(rows, real, color=BLUE, label="text")
    axes.barh(rows, padding, left=real, label="padding", **HATCHED, fc=GREY)
    names, lines = [f"up to {edge:,}" for edge in edges], []
    for row in rows:
        number = "1 text" if texts[row] == 1 else f"{texts[row]:,.0f} texts"
        share = padding[row] / max(real[row] + padding[row], 1)
        lines.append(f"{number}: {real[row]:,.0f} + {padding[row]:,.0f} ({share:.0%})")
        axes.text(1.01, row, lines[-1], transform=axes.get_yaxis_transform(), va="center", color=INK)
    axes.set_yticks(rows, names)
    axes.set(ylim=(len(edges) - 0.5, -0.5))
    axes.set_xlabel("tokens computed", loc="left")
    few_ticks(axes.xaxis, 4)
    figure.legend(loc="lower right", ncols=2, frameon=False, labelcolor=INK)
    left, right = (LETTER * max(map(len, column)) + 12 for column in (names, lines))
    fix_margins(figure, left=left, right=right, top=4)
    return figure
