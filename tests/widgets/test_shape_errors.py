"""The shape-error explorer, without a browser."""

import asyncio
import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest
import torch

import tsnb
from tests.kinds import Load, MonkeyPatch, Traces, Until
from tsnb.tracing.subjects import SUBJECTS, Subject
from tsnb.widgets.shape_errors import RESTING, ShapeErrorExplorer

SEED_MESSAGE = "The expanded size of the tensor (3) must match the existing size (7) at non-singleton dimension 2"
LAYER = torch.nn.Embedding(9, 4).eval()
TRACED = tsnb.trace(LAYER, {"input": torch.ones(1, 5, dtype=torch.int64)})


@pytest.fixture(scope="module")
def subject() -> Callable[[str], Subject]:
    """Make a subject once."""
    makers = dict(SUBJECTS)
    return cache(lambda name: makers[name]())


@pytest.fixture
def probed(subject: Callable[[str], Subject], monkeypatch: MonkeyPatch) -> Callable[[str], Any]:
    """Return an explorer that has probed a subject."""

    def probe(name: str) -> ShapeErrorExplorer:
        for each in SUBJECTS:
            monkeypatch.setitem(SUBJECTS, each, partial(subject, each))
        explorer = ShapeErrorExplorer(TRACED, LAYER, lengths=[5])
        explorer.models.value = name
        return explorer

    return probe


@pytest.mark.parametrize(
    ("name", "kinds", "chosen"),
    [
        ("bert", {"same", "unsupported"}, (1, 24)),
        ("int-mask", {"same", "raises"}, (1, 3)),
        ("position-loop", {"same", "raises", "wrong"}, (1, 3)),
        ("baked-dropout", {"wrong"}, (1, 3)),
        ("funnel", {"same", "raises", "wrong"}, None),
        ("longformer", {"same", "raises", "wrong"}, None),
    ],
)
def test_each_subject_shows_what_it_is_there_for(
    probed: Callable[[str], Any], name: str, kinds: set[str], chosen: tuple[int, int] | None
) -> None:
    explorer = probed(name)
    assert RESTING in explorer.stopper._dom_classes
    assert {verdict.kind for verdict in explorer.cells.values()} == kinds
    assert len(explorer.cells) == len(explorer.shapes)
    assert explorer.selected == chosen or chosen is None
    assert f"{len(explorer.shapes)} shapes probed." in str(explorer)
    assert str(explorer.map) in str(explorer)


def test_a_raising_cell_is_explained_in_the_words_of_the_seed(probed: Callable[[str], Any]) -> None:
    explorer = probed("int-mask")
    text = "\n".join(explorer.describe())
    assert all(words in text for words in (SEED_MESSAGE, "traps.py", "Cause: ", "What to do: "))
    bundle = explorer._repr_mimebundle_()
    assert SEED_MESSAGE in bundle["text/plain"]
    assert all(words in bundle["text/html"] for words in ("<table", "<svg", "<b>Cause:</b>"))


def test_a_wrong_cell_shows_the_difference_and_no_error(probed: Callable[[str], Any]) -> None:
    explorer = probed("position-loop")
    explorer.selected = (1, 9)
    text = "\n".join(explorer.describe())
    assert f"{explorer.cells[1, 9].difference:.2g}" in text
    assert "Pad to the traced shape" in text
    assert "Error" not in text
    assert explorer.picture().count("<svg") == 2
    explorer.selected = (2, 9)
    assert [mark for mark in "↔↕" if mark in explorer.picture()] == ["↔"]  # the side that fails alone
    baked = "\n".join(probed("baked-dropout").describe())  # at the traced shape too
    assert "Pad" not in baked
    assert "model.eval()" in baked


# The probe, in steps


@pytest.fixture
def model(load: Load) -> Any:
    return load(head="encoder")[0]


def test_what_the_reader_does_while_it_probes_is_as_always(model: Any, traced: Traces, until: Until) -> None:
    """The model returns what it always does, no random number is another, warnings are shown."""
    ids = torch.ones(1, 8, dtype=torch.int64)
    always, config = type(model(ids)), model.config.to_dict()
    numbers: list[float] = []

    async def cells() -> int:
        explorer = ShapeErrorExplorer(traced("encoder"), model, lengths=[8, 16, 24], batch_sizes=[1, 2])

        def cell() -> bool:
            with warnings.catch_warnings(record=True) as shown:
                warnings.warn("look", stacklevel=1)
            assert [str(warning.message) for warning in shown] == ["look"]
            assert type(model(ids)) is always
            assert model.config.to_dict() == config
            assert torch.is_grad_enabled()
            numbers.append(torch.rand(1).item())
            return len(explorer.cells) == 6

        looks: int = await until(cell)
        return looks

    torch.manual_seed(3)
    assert asyncio.run(cells()) >= 3  # the reader looks between steps, however quick they are
    torch.manual_seed(3)
    assert numbers == [torch.rand(1).item() for _ in numbers]


def test_the_note_says_what_comes_and_how_far_it_is(probed: Callable[[str], Any], until: Until) -> None:
    notes: list[str] = []

    async def cell() -> None:
        explorer = probed("int-mask")
        explorer.observe(lambda change: notes.append(change.new), "note")
        assert explorer.note.startswith("Making the model and its trace")
        await until(lambda: not explorer.steps.running)
        explorer.again.click()
        assert explorer.note == ""  # it is made once

    asyncio.run(cell())
    assert notes[:15] == [f"{number} of 15 shapes probed so far." for number in range(1, 16)]
    assert notes[15:] == ["15 shapes probed.", ""]


def test_stop_keeps_the_verdicts_and_another_subject_takes_their_place(
    probed: Callable[[str], Any], until: Until
) -> None:
    async def cell() -> None:
        explorer = probed("int-mask")
        await until(lambda: len(explorer.cells) == 3)
        assert RESTING not in explorer.stopper._dom_classes
        explorer.stopper.click()
        assert RESTING in explorer.stopper._dom_classes
        assert explorer.note == "Stopped after 3 of 15 shapes."
        assert explorer.selected == (1, 3)
        explorer.models.value = "position-loop"
        assert explorer.grid.marks == {}
        explorer.steps.finish()
        assert explorer.grid.marks["1,9"]["kind"] == "wrong"

    asyncio.run(cell())


def test_what_cannot_be_made_or_compared_is_said(probed: Callable[[str], Any]) -> None:
    explorer = probed("bert")

    def broken() -> Subject:
        message = "no <such> luck"
        raise ValueError(message)

    explorer.makers["int-mask"] = broken
    explorer.models.value = "int-mask"
    assert explorer.status.value == "The probe stopped: no &lt;such&gt; luck"
    assert RESTING in explorer.stopper._dom_classes
    other = ShapeErrorExplorer(TRACED, torch.nn.Embedding(9, 4).eval(), lengths=[5])
    assert "not made from this" in other.note


def test_what_the_reader_chooses_meanwhile_stays_chosen(probed: Callable[[str], Any]) -> None:
    explorer = probed("int-mask")

    def choose(change: Any) -> None:
        if len(change.new) == 2:
            explorer.selected = (2, 7)
            assert "not probed" in explorer.detail.value

    explorer.observe(choose, "cells")
    explorer.start()
    assert explorer.selected == (2, 7)
    assert "agree here" in explorer.detail.value


# The reader's own trace, and the view


def test_the_readers_own_trace_comes_first_and_its_shape_is_probed() -> None:
    traced = tsnb.trace(LAYER, {"input": torch.ones(4, 5, dtype=torch.int64)})
    explorer = ShapeErrorExplorer(traced, LAYER)
    assert explorer.models.value == "yours"
    assert explorer.grid.rows == [1, 2, 3, 4]
    assert explorer.grid.columns == [5, 8, 16, 32, 64, 128]
    assert explorer.grid.selected == [4, 5]
    assert "the shape that was traced" in explorer.detail.value


def test_the_grid_shows_every_verdict_with_words_and_grid_and_trait_choose_for_each_other(
    probed: Callable[[str], Any],
) -> None:
    explorer = probed("position-loop")
    assert (explorer.grid.rows, explorer.grid.columns) == ([1, 2, 3], [3, 5, 7, 9, 16])
    assert explorer.grid.traced == [1, 7]
    assert explorer.grid.marks["1,9"]["kind"] == "wrong"
    assert explorer.grid.marks["1,9"]["label"].startswith("batch 1, length 9: runs")

    explorer.grid.selected = [2, 9]
    assert explorer.selected == (2, 9)
    assert "Batch 2, length 9" in explorer.detail.value
    explorer.selected = (3, 16)
    assert explorer.grid.selected == [3, 16]


def test_what_torch_says_is_escaped(probed: Callable[[str], Any]) -> None:
    explorer = probed("int-mask")
    bad = type(explorer.cells[1, 3])("raises", error="RuntimeError: <script>")
    explorer.cells = {**explorer.cells, (1, 7): bad}
    explorer.selected = (1, 7)
    assert "<script>" not in explorer.detail.value
