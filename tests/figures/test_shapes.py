from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.tracing.test_probe import CELLS, CONTRACT, MAP

from tsnb import ShapeMap, padding_cost
from tsnb.figures import plots
from tsnb.figures.padding import padding_panels
from tsnb.tracing.compare import SYMBOLS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def texts(figure: Any) -> list[str]:
    return [held.get_text() for held in figure.axes[0].texts]


def test_a_cell_and_a_symbol_for_each_shape() -> None:
    figure = plots.shape_map(MAP)
    assert texts(figure) == [verdict.symbol for verdict in CELLS.values()]
    assert len(figure.axes[0].patches) == len(CELLS) + 1  # and the frame of the traced shape


def test_the_colour_is_the_verdicts() -> None:
    from matplotlib.colors import to_hex

    patches = [held for held in plots.shape_map(MAP).axes[0].patches if held.get_fill()]
    assert [to_hex(held.get_facecolor()) for held in patches] == [
        plots.COLOURS[verdict.kind] for verdict in CELLS.values()
    ]


def test_every_kind_has_a_colour_of_its_own() -> None:
    assert set(plots.COLOURS) == set(SYMBOLS)
    assert len(set(plots.COLOURS.values())) == len(SYMBOLS)


def test_the_frame_is_around_the_traced_shape() -> None:
    [frame] = [held for held in plots.shape_map(MAP).axes[0].patches if not held.get_fill()]
    drawn: Any = frame
    assert drawn.get_center() == pytest.approx((1, 1))


def test_threads_that_draw_at_once_leave_no_style_behind() -> None:
    import matplotlib as mpl

    def draw(_: int) -> None:
        for _ in range(6):
            plots.svg(plots.new_figure(1, 1, fitted=False)[0], "")

    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(draw, range(4)))
    assert dict(mpl.rcParams) == before


def test_no_frame_where_the_traced_shape_was_not_tried() -> None:
    figure = plots.shape_map(ShapeMap({(1, 8): CELLS[1, 8]}, CONTRACT))
    assert len(figure.axes[0].patches) == 1


def test_sides_and_legend_are_written_on_it() -> None:
    axes = plots.shape_map(MAP).axes[0]
    assert [held.get_text() for held in axes.get_xticklabels()] == ["8", "16", "99"]
    assert [held.get_text() for held in axes.get_yticklabels()] == ["1", "2"]
    assert axes.get_xlabel() == f"length in tokens\n{MAP.legend()}"
    assert axes.get_ylabel() == "batch size"


def test_it_is_drawn_with_its_words_beside_it() -> None:
    drawn = plots.svg(plots.shape_map(MAP), str(MAP))
    label = re.search("aria-label='([^']*)'", drawn)
    assert label is not None
    assert label[1] == str(MAP)
    assert "role='img'" in drawn


def test_all_of_its_text_is_in_the_pages_colour() -> None:
    drawn = plots.svg(plots.shape_map(MAP), "a map")
    written = re.findall(r"<text[^>]*style=\"([^\"]*)\"", drawn)
    assert len(written) > len(CELLS)
    assert all(f"fill: {plots.PAGE_INK}" in style for style in written)
    for symbol in SYMBOLS.values():
        assert f">{symbol}<" in drawn


@pytest.mark.parametrize("fitted", [True, False])
def test_only_a_fitted_figure_is_drawn_twice(monkeypatch: pytest.MonkeyPatch, *, fitted: bool) -> None:
    """A slider waits for those that are not fitted."""
    figure, _ = plots.new_figure(fitted=fitted)
    draw = type(figure).draw
    count: list[Figure] = []

    def counted(self: Figure, renderer: Any) -> None:
        count.append(self)
        draw(self, renderer)

    monkeypatch.setattr(type(figure), "draw", counted)
    plots.svg(figure, "nothing")
    assert len(count) == 1 + fitted


def test_what_a_slider_draws_is_not_fitted() -> None:
    lengths = np.arange(1, 200)
    histogram = plots.length_histogram(lengths, 64)
    plan = plots.bucket_plan(lengths, (64, 200))
    panels = padding_panels(padding_cost(lengths))
    engines = [figure.get_layout_engine() for figure in (histogram, plan, panels)]
    assert engines == [None] * 3
