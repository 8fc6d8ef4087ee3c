from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

import tsnb
from tests.tracing.architectures import example, make
from tsnb import Contract, ShapeMap, Verdict
from tsnb.tracing import compare as verdicts
from tsnb.tracing import probe as shapes
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.traced import quiet_jit
from tsnb.tracing.traps import BakedDropout, IntMask, PositionLoop
from tsnb.tracing.traps import make as make_trap

if TYPE_CHECKING:
    from collections.abc import Callable

SAME, WRONG = Verdict("same", 1e-7), Verdict("wrong", 0.5)
RAISES = Verdict(
    "raises",
    error="RuntimeError: The size of tensor a (8) must match the size of tensor b (16) "
    "at non-singleton dimension 1",
    shapes=(("input_ids", (2, 8)),),
)
OVER = Verdict("unsupported", error="index out of range in self", shapes=(("input_ids", (1, 99)),))
CONTRACT = Contract(("input_ids",), batch_size=2, length=16, max_positions=64)
CELLS = {
    (1, 8): SAME,
    (1, 16): WRONG,
    (1, 99): OVER,
    (2, 8): RAISES,
    (2, 16): SAME,
    (2, 99): OVER,
}
MAP = ShapeMap(CELLS, CONTRACT)
TEXT = """\
batch \\ length  8   16  99
             1  ✓    ≠   ·
             2  ✗  [✓]   ·
✓ same 2   ✗ raises 1   ≠ wrong 1   · unsupported 2
The model has embeddings for 64 positions; it cannot run longer texts itself."""
HTML = (
    "<table><tr><th scope='col'>batch \\ length</th><th scope='col'>8</th><th scope='col'>16</th>"
    "<th scope='col'>99</th></tr><tr><th scope='row'>1</th><td>✓</td><td>≠</td><td>·</td></tr>"
    "<tr><th scope='row'>2</th><td>✗</td><td>[✓]</td><td>·</td></tr></table>"
    "<p style='white-space: pre-wrap'>✓ same 2   ✗ raises 1   ≠ wrong 1   · unsupported 2<br>"
    "The model has embeddings for 64 positions; it cannot run longer texts itself.</p>"
)


@pytest.fixture(scope="module")
def bert() -> tuple[tsnb.Traced, Any]:
    model = make("bert")
    return tsnb.trace(model, example("bert")), model


def refused(kind: type[tsnb.TsnbError], call: Callable[[], object]) -> Any:
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def test_a_map_is_a_mapping() -> None:
    assert (len(MAP), list(MAP), dict(MAP)) == (6, list(CELLS), CELLS)
    assert MAP[1, 16] == WRONG
    assert (3, 8) not in MAP
    assert MAP.get((3, 8)) is None
    with pytest.raises(KeyError):
        MAP[3, 8]


def test_its_sides_are_in_order() -> None:
    backwards = ShapeMap(dict(reversed(CELLS.items())), CONTRACT)
    assert (backwards.batch_sizes, backwards.lengths) == ([1, 2], [8, 16, 99])
    assert str(backwards) == TEXT


def test_it_prints_as_text() -> None:
    assert str(MAP) == repr(MAP) == TEXT


def test_it_shows_as_a_table() -> None:
    assert MAP._repr_html_() == HTML


def test_shapes_of_a_kind() -> None:
    assert MAP.of_kind("same") == [(1, 8), (2, 16)]
    assert MAP.of_kind("unsupported") == [(1, 99), (2, 99)]
    assert ShapeMap({}, CONTRACT).of_kind("same") == []


def test_a_shape_that_is_not_there_is_blank() -> None:
    part = ShapeMap({(1, 8): SAME, (2, 16): SAME}, CONTRACT)
    assert part.rows()[1:] == [["1", "✓", " "], ["2", " ", "[✓]"]]


def test_nothing_is_in_brackets_where_the_traced_shape_was_not_tried() -> None:
    assert "[" not in str(ShapeMap(CELLS, replace(CONTRACT, length=12)))


@pytest.mark.parametrize(
    ("cells", "limit", "said"),
    [
        (CELLS, 64, True),
        (CELLS, None, False),
        (CELLS, 99, False),
        ({(1, 8): OVER}, 64, False),
        ({(1, 99): WRONG}, 64, False),
    ],
)
def test_the_limit_is_said_only_where_it_matters(
    cells: dict[Any, Verdict], limit: int | None, *, said: bool
) -> None:
    found = ShapeMap(cells, replace(CONTRACT, max_positions=limit))
    assert ("embeddings for" in str(found)) == said


def test_it_explains_what_raises() -> None:
    told = MAP.explain((2, 8))
    assert (told.family, told.input_dimension) == ("mismatch", "length")
    assert (told.traced_size, told.given_size) == (16, 8)


def test_it_explains_what_is_unsupported() -> None:
    told = MAP.explain((1, 99))
    assert (told.family, told.traced_size, told.given_size) == ("position-limit", 64, 99)


@pytest.mark.parametrize("shape", [(1, 8), (1, 16)])
def test_there_is_nothing_to_explain_where_the_trace_ran(shape: tuple[int, int]) -> None:
    assert MAP.explain(shape).family == "no-error"


def test_every_batch_size_is_tried_at_every_length(bert: tuple[tsnb.Traced, Any]) -> None:
    found = tsnb.probe(*bert, lengths=[4, 16], batch_sizes=[1, 3])
    assert list(found) == [(1, 4), (1, 16), (3, 4), (3, 16)]
    assert (found.contract, found.tolerance) == (bert[0].contract, 1e-4)


def test_one_shape_at_a_time(bert: tuple[tsnb.Traced, Any]) -> None:
    cells = shapes.probe_each(*bert, [(1, 4), (1, 65)])
    assert next(cells)[0] == (1, 4)
    assert next(cells)[1].kind == "unsupported"
    assert next(cells, None) is None


@pytest.mark.parametrize(
    "sizes",
    [range(4, 12, 4), np.array([4, 8]), np.arange(4, 12, 4, dtype=np.int32), (4, 8), {4: 0, 8: 0}],
)
def test_any_rising_whole_numbers_are_sizes(bert: tuple[tsnb.Traced, Any], sizes: Any) -> None:
    found = tsnb.probe(*bert, lengths=sizes, batch_sizes=sizes)
    assert list(found) == [(4, 4), (4, 8), (8, 4), (8, 8)]
    assert {type(size) for shape in found for size in shape} == {int}


def test_sizes_that_can_be_read_only_once(bert: tuple[tsnb.Traced, Any]) -> None:
    once: Any = iter([4, 8])
    assert list(tsnb.probe(*bert, once, [1, 2])) == [(1, 4), (1, 8), (2, 4), (2, 8)]


@pytest.mark.parametrize("name", ["lengths", "batch_sizes"])
@pytest.mark.parametrize(
    "sizes",
    [[], [8, 4], [4, 4], [0, 4], [-1], [4.0], ["4"], [None], [np.float64(4)], 4, None, "48"],
)
def test_sizes_that_are_none(bert: tuple[tsnb.Traced, Any], name: str, sizes: Any) -> None:
    given: Any = {"lengths": [4], "batch_sizes": [1], name: sizes}
    error = refused(tsnb.InputError, lambda: tsnb.probe(*bert, **given))
    assert (error.key, error.gaps["name"]) == ("shapes.not-rising", name)
    assert f"{name} must be a list of positive whole numbers that rise" in str(error)


@pytest.mark.parametrize("tolerance", [0, 0.0, -1e-4, float("nan"), None])
def test_a_tolerance_of_nothing(bert: tuple[tsnb.Traced, Any], tolerance: Any) -> None:
    error = refused(tsnb.InputError, lambda: tsnb.probe(*bert, [4], tolerance=tolerance))
    assert (error.key, error.gaps["given"]) == ("shapes.tolerance", tolerance)


def test_a_tolerance_decides(bert: tuple[tsnb.Traced, Any]) -> None:
    model = make_trap(PositionLoop)
    traced = tsnb.trace(model, {"input_ids": torch.ones(1, 7, dtype=torch.int64)})
    assert tsnb.probe(traced, model, [9], [1])[1, 9].kind == "wrong"
    assert tsnb.probe(traced, model, [9], [1], tolerance=10)[1, 9].kind == "same"
    assert tsnb.probe(*bert, [8], tolerance=1e-30)[1, 8].kind in {"same", "wrong"}


@pytest.fixture
def uncalled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Shapes that are judged, apart from the check that trace and model belong together."""
    judged: list[Any] = []
    real = verdicts.compare

    def compare(*arguments: Any) -> Verdict:
        judged.append(arguments[2])
        return real(*arguments)

    monkeypatch.setattr(shapes, "compare", compare)
    return judged


class Smaller(nn.Module):
    """A part of a model, with the part's names and weights."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.embeddings: nn.Module = whole.embeddings

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.embeddings(input_ids) * attention_mask.unsqueeze(-1)


@pytest.mark.parametrize(
    "other",
    [lambda _: make("bert", seed=1), lambda _: make("electra"), Smaller, lambda _: IntMask()],
)
def test_a_model_that_was_not_traced_is_refused_before_the_first_shape(
    bert: tuple[tsnb.Traced, Any], uncalled: list[Any], other: Callable[..., nn.Module]
) -> None:
    model = other(bert[1]).eval()
    error = refused(tsnb.TraceError, lambda: tsnb.probe(bert[0], model, [4]))
    assert (error.key, error.gaps["model"]) == ("shapes.not-its-model", type(model).__name__)
    assert uncalled == []


def test_a_model_that_has_learnt_since_is_refused(uncalled: list[Any]) -> None:
    model = make("bert")
    traced = tsnb.trace(model, example("bert"))
    tsnb.probe(traced, model, [4])
    uncalled.clear()
    copy = make("bert")
    with torch.no_grad():
        copy.pooler.dense.bias[0] += 1e-3
    refused(tsnb.TraceError, lambda: tsnb.probe(traced, copy, [4]))
    assert uncalled == []


def frozen(traced: tsnb.Traced) -> tsnb.Traced:
    with quiet_jit() as jit:
        return replace(traced, module=jit.freeze(traced.module))


def test_a_frozen_trace_of_the_model(bert: tuple[tsnb.Traced, Any]) -> None:
    held = frozen(bert[0])
    assert not list(held.module.parameters())
    assert tsnb.probe(held, bert[1], [4, 16]).of_kind("same") == list(shapes.grid([4, 16], [1, 2]))


@pytest.mark.parametrize("other", [lambda: make("bert", seed=1), lambda: make("roberta"), IntMask])
def test_a_frozen_trace_of_another_model(
    bert: tuple[tsnb.Traced, Any], uncalled: list[Any], other: Callable[[], nn.Module]
) -> None:
    model = other().eval()
    refused(tsnb.TraceError, lambda: tsnb.probe(frozen(bert[0]), model, [4]))
    assert set(uncalled) <= {(2, 16)}  # the traced shape, where the two are compared


def test_a_tolerance_below_rounding_does_not_part_a_frozen_trace_from_its_model(
    bert: tuple[tsnb.Traced, Any],
) -> None:
    shapes.check_belongs(frozen(bert[0]), bert[1], 1e-30)


@pytest.mark.parametrize("change", [tsnb.untie, lambda model: model])
def test_tied_weights_have_all_their_names(load: Any, traced: Any, change: Callable[[Any], Any]) -> None:
    model = tsnb.load("tiny-bert")[0]
    change(model)
    shapes.check_belongs(traced(), model)
    shapes.check_belongs(traced(), load()[0])


def test_a_model_in_training_mode_is_refused(bert: tuple[tsnb.Traced, Any]) -> None:
    model = make("bert").train()
    error = refused(tsnb.TraceError, lambda: tsnb.probe(bert[0], model, [4]))
    assert (error.key, error.gaps["first"]) == ("shapes.training", "BertModel")


def test_the_model_is_left_as_it_was(bert: tuple[tsnb.Traced, Any]) -> None:
    traced, model = bert
    before = torch.random.get_rng_state()
    tsnb.probe(traced, model, [4, 65], [1, 2])
    assert not any(part.training for part in model.modules())
    assert model.config.return_dict is True
    assert torch.equal(before, torch.random.get_rng_state())


def test_dropout_that_was_baked_in_is_wrong() -> None:
    model, ids = make_trap(BakedDropout), torch.ones(2, 7, dtype=torch.int64)
    traced = tsnb.trace(model, {"input_ids": ids})
    with quiet_jit() as jit:
        baked = jit.trace(model.train(), ids, check_trace=False)
    model.eval()
    found = tsnb.probe(replace(traced, module=baked), model, [3, 7, 9])
    assert {verdict.kind for verdict in found.values()} == {"wrong"}


def test_a_quick_map_shows_no_progress(
    bert: tuple[tsnb.Traced, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tsnb.probe(*bert, [4, 8])
    assert capsys.readouterr() == ("", "")


def test_a_slow_map_shows_progress(
    bert: tuple[tsnb.Traced, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shapes, "SHOW_AFTER", 0)
    tsnb.probe(*bert, [4, 8])
    shown = capsys.readouterr().err
    assert "0/4" in shown
    assert "shape" in shown


def test_a_trap_as_text() -> None:
    model = make_trap(PositionLoop)
    with no_warnings():
        traced = tsnb.trace(model, {"input_ids": torch.ones(1, 7, dtype=torch.int64)})
    assert str(tsnb.probe(traced, model, [3, 7, 9])).splitlines() == [
        "batch \\ length  3    7  9",
        "             1  ✗  [✓]  ≠",
        "             2  ✗    ✓  ≠",
        "✓ same 2   ✗ raises 2   ≠ wrong 2   · unsupported 0",
    ]


def test_a_shape_that_was_not_probed(bert: tuple[tsnb.Traced, Any]) -> None:
    found = tsnb.probe(*bert, [8])
    error = refused(tsnb.InputError, lambda: found.explain((9, 9)))
    assert (error.key, error.gaps["given"]) == ("shapes.not-probed", (9, 9))


def test_weights_that_are_not_a_number_belong_to_their_trace() -> None:
    model = nn.Linear(2, 2).eval()
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    traced = tsnb.trace(model, {"input": torch.ones(1, 2)})
    assert tsnb.probe(traced, model, [2], [1])[1, 2].kind == "same"
