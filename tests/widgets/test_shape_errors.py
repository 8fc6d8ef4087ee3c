"""The shape-error explorer, driven by its state; no browser."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tsnb.tracing.subjects import SUBJECTS, Subject
from tsnb.widgets.shape_error_state import ShapeErrorState, first_worth_a_look
from tsnb.widgets.shape_errors import ShapeErrorExplorer

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED_MESSAGE = (
    "The expanded size of the tensor (3) must match the existing size (7) at non-singleton dimension 2"
)


@pytest.fixture
def state() -> Iterator[ShapeErrorState]:
    made = ShapeErrorState()
    yield made
    made.stop()


def _probed(state: ShapeErrorState, subject: str) -> ShapeErrorState:
    if state.subject == subject:
        state.start()
    state.subject = subject
    state.wait()
    assert not state.probing
    return state


@pytest.mark.parametrize(
    ("subject", "kinds"),
    [
        ("bert", {"same", "unsupported"}),
        ("int-mask", {"same", "raises"}),
        ("position-loop", {"same", "raises", "wrong"}),
        ("baked-dropout", {"wrong"}),
        ("funnel", {"same", "raises", "wrong"}),
        ("longformer", {"same", "raises", "wrong"}),
    ],
)
def test_each_subject_shows_what_it_is_there_for(
    state: ShapeErrorState, subject: str, kinds: set[str]
) -> None:
    _probed(state, subject)
    assert {verdict.kind for verdict in state.cells.values()} == kinds
    assert len(state.cells) == len(state.shapes) == state.total


def test_a_new_subject_is_probed_when_it_is_chosen(state: ShapeErrorState) -> None:
    state.subject = "int-mask"
    state.wait()
    assert state.cells[1, 7].kind == "same"
    state.subject = "position-loop"
    state.wait()
    assert state.cells[1, 9].kind == "wrong"


def test_the_first_shape_that_raises_is_chosen(state: ShapeErrorState) -> None:
    assert _probed(state, "int-mask").selected == (1, 3)
    assert _probed(state, "baked-dropout").selected == (1, 3)
    assert _probed(state, "bert").selected == (1, 24)
    assert first_worth_a_look({}) is None


def test_a_raising_cell_is_explained_in_the_words_of_the_seed(state: ShapeErrorState) -> None:
    told = "\n".join(_probed(state, "int-mask").describe())
    assert SEED_MESSAGE in told
    assert "traps.py" in told
    assert "Cause: " in told
    assert "What to do: " in told


def test_a_wrong_cell_shows_the_difference_and_no_error(state: ShapeErrorState) -> None:
    _probed(state, "position-loop").selected = (1, 9)
    told = "\n".join(state.describe())
    assert f"{state.cells[1, 9].difference:.2g}" in told
    assert "Error" not in told
    assert state.picture().count("<svg") == 2


def test_where_the_traced_shape_is_wrong_padding_is_not_the_advice(state: ShapeErrorState) -> None:
    told = "\n".join(_probed(state, "baked-dropout").describe())
    assert "Pad" not in told
    assert "model.eval()" in told


def test_the_arrows_move_and_stop_at_the_edge(state: ShapeErrorState) -> None:
    _probed(state, "int-mask")
    state.selected = (1, 3)
    state.move(0, -1)
    assert state.selected == (1, 3)
    state.move(1, 1)
    assert state.selected == (2, 5)
    state.move(9, 0)
    assert state.selected == (2, 5)


def test_the_side_to_blame_is_told_by_the_other_cells(state: ShapeErrorState) -> None:
    _probed(state, "position-loop").selected = (2, 9)
    assert state._axis((1, 7), state.cells[2, 9]) == "length"
    assert state._axis((1, 7), state.cells[1, 7]) is None


def test_stop_keeps_what_was_found(state: ShapeErrorState) -> None:
    _probed(state, "int-mask")
    held = state.held
    assert held is not None
    several = threading.Event()

    def after_three(change: Any) -> None:
        if len(change["new"]) == 3:
            state._stop.set()
            several.set()

    state.observe(after_three, "cells")
    state.start()
    state.wait()
    assert several.is_set()
    assert len(state.cells) == 3
    assert "3" in state.note
    assert str(len(state.shapes)) in state.note


def test_a_subject_that_cannot_be_made_is_said(state: ShapeErrorState) -> None:
    def broken() -> Subject:
        message = "no such luck"
        raise RuntimeError(message)

    state.makers = {**state.makers, "int-mask": broken}
    _probed(state, "int-mask")
    assert "no such luck" in state.note
    assert not state.probing


def test_the_text_form_says_everything(state: ShapeErrorState) -> None:
    text = str(_probed(state, "int-mask"))
    assert str(state.map) in text
    assert "Cause: " in text
    assert "15 shapes probed" in text


def test_the_readers_own_trace_comes_first() -> None:
    layer = torch.nn.Embedding(9, 4).eval()
    traced = tsnb.trace(layer, {"input": torch.ones(1, 5, dtype=torch.int64)})
    explorer = ShapeErrorExplorer(traced, layer, lengths=[2, 5], batch_sizes=[1])
    explorer.state.wait()
    assert explorer.state.subject == "yours"
    assert {shape: verdict.kind for shape, verdict in explorer.state.cells.items()} == {
        (1, 2): "same",
        (1, 5): "same",
    }


@pytest.mark.parametrize("length", [5, 8])
def test_the_traced_shape_is_one_of_those_probed(length: int) -> None:
    layer = torch.nn.Embedding(9, 4).eval()
    traced = tsnb.trace(layer, {"input": torch.ones(4, length, dtype=torch.int64)})
    explorer = ShapeErrorExplorer(traced, layer)
    explorer.state.wait()
    assert explorer.grid.rows == [1, 2, 3, 4]
    assert explorer.grid.columns == sorted({length, 8, 16, 32, 64, 128})
    assert explorer.grid.selected == [4, length]
    assert "the shape that was traced" in explorer.detail.value


def test_what_is_chosen_first_is_in_the_grid() -> None:
    layer = torch.nn.Embedding(9, 4).eval()
    traced = tsnb.trace(layer, {"input": torch.ones(1, 5, dtype=torch.int64)})
    explorer = ShapeErrorExplorer(traced, layer, lengths=[2, 3], batch_sizes=[2])
    explorer.state.wait()
    assert explorer.state.selected == (2, 2)
    unknown = tsnb.Traced(traced.module, replace(traced.contract, batch_size=None, length=None))
    explorer = ShapeErrorExplorer(unknown, layer)
    explorer.state.wait()
    assert explorer.state.selected == (1, 8)


def test_what_the_reader_chooses_meanwhile_stays_chosen(state: ShapeErrorState) -> None:
    _probed(state, "int-mask")

    def choose(change: Any) -> None:
        if len(change["new"]) == 2:
            state.selected = (2, 7)

    state.observe(choose, "cells")
    state.start()
    state.wait()
    assert state.selected == (2, 7)
    state.unobserve(choose, "cells")
    state.start()
    state.wait()
    assert state.selected == (1, 3)


def test_bad_lengths_are_refused_before_anything_runs() -> None:
    layer = torch.nn.Embedding(9, 4).eval()
    traced = tsnb.trace(layer, {"input": torch.ones(1, 5, dtype=torch.int64)})
    with pytest.raises(tsnb.InputError, match="that rise"):
        ShapeErrorExplorer(traced, layer, lengths=[5, 2])


def test_a_trace_of_another_model_is_said_in_the_note() -> None:
    layer, other = torch.nn.Embedding(9, 4).eval(), torch.nn.Embedding(9, 4).eval()
    traced = tsnb.trace(layer, {"input": torch.ones(1, 5, dtype=torch.int64)})
    explorer = ShapeErrorExplorer(traced, other, lengths=[5])
    explorer.state.wait()
    assert "not made from this" in explorer.state.note


@pytest.fixture(scope="module")
def explorer() -> ShapeErrorExplorer:
    made = ShapeErrorExplorer()
    made.state.wait()
    return made


class TestView:
    def _show(self, explorer: ShapeErrorExplorer, subject: str) -> None:
        explorer.models.value = subject
        explorer.state.wait()

    def test_the_drop_down_offers_every_subject(self, explorer: ShapeErrorExplorer) -> None:
        assert [name for _, name in explorer.models.options] == list(SUBJECTS)

    def test_the_grid_shows_every_verdict_with_words(self, explorer: ShapeErrorExplorer) -> None:
        self._show(explorer, "position-loop")
        assert explorer.grid.rows == [1, 2, 3]
        assert explorer.grid.columns == [3, 5, 7, 9, 16]
        assert explorer.grid.traced == [1, 7]
        assert explorer.grid.marks["1,9"]["kind"] == "wrong"
        assert explorer.grid.marks["1,9"]["label"].startswith("batch 1, length 9: runs")

    def test_a_choice_in_the_grid_is_explained(self, explorer: ShapeErrorExplorer) -> None:
        self._show(explorer, "int-mask")
        explorer.grid.selected = [2, 9]
        assert explorer.state.selected == (2, 9)
        assert "Batch 2, length 9" in explorer.detail.value
        assert "<svg" in explorer.detail.value

    def test_the_choice_of_the_state_is_shown_in_the_grid(self, explorer: ShapeErrorExplorer) -> None:
        self._show(explorer, "int-mask")
        explorer.state.selected = (3, 16)
        assert explorer.grid.selected == [3, 16]

    def test_stop_rests_unless_it_probes_and_keeps_the_focus(self, explorer: ShapeErrorExplorer) -> None:
        seen: list[tuple[bool, bool]] = []
        held = explorer.stopper

        def note(_: object) -> None:
            seen.append((held.resting, held.disabled))

        explorer.state.observe(note, "cells")
        explorer.state.start()
        explorer.state.wait()
        explorer.state.unobserve(note, "cells")
        assert (False, False) in seen
        assert not any(disabled for _, disabled in seen)
        assert held.resting
        assert explorer.progress.layout.display == "none"

    def test_a_chosen_shape_is_explained_when_its_verdict_comes_in(
        self, explorer: ShapeErrorExplorer
    ) -> None:
        self._show(explorer, "int-mask")
        state = explorer.state
        cells, state.cells = state.cells, {}
        state.selected = (2, 9)
        assert "not probed" in explorer.detail.value
        state.cells = cells
        assert SEED_MESSAGE[:20] in explorer.detail.value

    def test_without_a_front_end_there_are_table_picture_and_words(
        self, explorer: ShapeErrorExplorer
    ) -> None:
        self._show(explorer, "int-mask")
        explorer.state.selected = (1, 3)
        bundle = explorer._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert SEED_MESSAGE in bundle["text/plain"]
        assert "<table" in bundle["text/html"]
        assert "<svg" in bundle["text/html"]

    def test_what_torch_says_is_escaped(self, explorer: ShapeErrorExplorer) -> None:
        state = explorer.state
        self._show(explorer, "int-mask")
        bad = type(state.cells[1, 3])("raises", error="RuntimeError: <script>")
        state.cells = {**state.cells, (1, 3): bad}
        state.selected = (1, 7)
        state.selected = (1, 3)
        assert "<script>" not in explorer.detail.value
