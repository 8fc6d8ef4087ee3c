from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.tracing.architectures import make as make_tiny
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.traced import quiet_jit
from tsnb.tracing.traps import HIDDEN, BakedDropout, IntMask, PositionLoop, make

TRAPS = (IntMask, PositionLoop, BakedDropout)
SEED = "The expanded size of the tensor (3) must match the existing size (7) at non-singleton dimension 2"


def ids(*shape: int) -> torch.Tensor:
    return torch.arange(shape[0] * shape[1]).reshape(shape) % 100


def plain(model: nn.Module, **how: Any) -> Any:
    with quiet_jit() as jit, no_warnings():
        return jit.trace(model, ids(1, 7), **how)


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("length", [1, 3, 7, 20])
def test_the_model_itself_runs_any_length(trap: type[nn.Module], length: int) -> None:
    found = make(trap)(ids(2, length))
    assert found.shape == ((2, HIDDEN) if trap is PositionLoop else (2, length, HIDDEN))


@pytest.mark.parametrize("trap", TRAPS)
def test_weights_are_drawn_from_a_seed_and_nothing_else(trap: type[nn.Module]) -> None:
    before = torch.random.get_rng_state()
    first, same, other = make(trap), make(trap), make(trap, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not first.training
    assert torch.equal(first(ids(1, 5)), same(ids(1, 5)))
    assert not torch.equal(first(ids(1, 5)), other(ids(1, 5)))


def test_the_mask_is_causal() -> None:
    model = make(IntMask)
    assert torch.allclose(model(ids(1, 7))[:, :3], model(ids(1, 3)), atol=1e-6)


def test_an_int_in_a_mask_raises_the_documentations_message() -> None:
    with pytest.raises(RuntimeError) as caught:
        plain(make(IntMask))(ids(1, 3))
    assert str(caught.value).splitlines()[-1].startswith(f"RuntimeError: {SEED}.")


@pytest.mark.parametrize("length", [1, 3, 6, 8, 20])
def test_an_int_in_a_mask_raises_at_every_other_length(length: int) -> None:
    with pytest.raises(RuntimeError, match="expanded size"):
        plain(make(IntMask))(ids(1, length))


def traced(model: nn.Module) -> tsnb.Traced:
    return tsnb.trace(model, {"input_ids": ids(1, 7)})


def test_an_int_in_a_mask_runs_at_other_batch_sizes() -> None:
    model = make(IntMask)
    assert torch.allclose(plain(model)(ids(3, 7)), model(ids(3, 7)), atol=1e-6)


@pytest.mark.parametrize("length", [1, 3, 6])
def test_a_loop_over_positions_raises_at_shorter_texts(length: int) -> None:
    with pytest.raises(RuntimeError, match=r"select\(\): index"):
        plain(make(PositionLoop))(ids(1, length))


@pytest.mark.parametrize("length", [8, 9, 20])
def test_a_loop_over_positions_leaves_out_the_end_of_longer_texts(length: int) -> None:
    model = make(PositionLoop)
    long, trace = ids(2, length), plain(model)
    assert torch.allclose(trace(long), model(long[:, :7]), atol=1e-6)
    assert not torch.allclose(trace(long), model(long), atol=0.1)


def test_a_loop_over_positions_gives_no_warning() -> None:
    with warnings.catch_warnings(record=True) as caught, quiet_jit() as jit:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        jit.trace(make(PositionLoop), ids(1, 7))
    assert caught == []
    assert traced(make(PositionLoop)).warnings == ()


def baked() -> Any:
    return plain(make(BakedDropout).train(), check_trace=False)


def test_dropout_that_was_recorded_stays_after_eval() -> None:
    trace = baked().eval()
    assert not torch.equal(trace(ids(1, 7)), trace(ids(1, 7)))


def test_half_of_it_is_dropped() -> None:
    share = float((baked().eval()(ids(50, 20)) == 0).float().mean())
    assert share == pytest.approx(0.5, abs=0.05)


def test_the_own_check_of_torch_lets_it_through() -> None:
    trace = plain(make(BakedDropout).train())
    assert not torch.equal(trace(ids(1, 7)), trace(ids(1, 7)))


def test_traced_in_eval_mode_it_is_harmless() -> None:
    model = make(BakedDropout)
    found = tsnb.probe(traced(model), model, [3, 7, 9], [1, 2])
    assert {verdict.kind for verdict in found.values()} == {"same"}


def test_the_probe_calls_it_wrong_at_the_very_shape_that_was_traced() -> None:
    model = make(BakedDropout)
    held = replace(traced(model), module=baked())
    assert tsnb.probe(held, model, [7], [1])[1, 7].kind == "wrong"


def test_tsnb_refuses_to_trace_it_in_training_mode() -> None:
    with pytest.raises(tsnb.TraceError) as caught:
        traced(make(BakedDropout).train())
    assert caught.value.key == "tracing.training"


@pytest.mark.parametrize(
    ("trap", "other", "words"),
    [
        (IntMask, (1, 9), "encountered an exception while running the trace"),
        (IntMask, (1, 3), "encountered an exception while running the trace"),
        (PositionLoop, (1, 3), "encountered an exception while running the trace"),
        (PositionLoop, (1, 9), "Graphs differed across invocations"),
    ],
)
def test_check_inputs_of_another_length_find_it(
    trap: type[nn.Module], other: tuple[int, int], words: str
) -> None:
    with pytest.raises(torch.jit.TracingCheckError, match=words):
        plain(make(trap), check_inputs=[(ids(*other),)])


@pytest.mark.parametrize("trap", TRAPS)
def test_check_inputs_of_another_batch_size_find_none(trap: type[nn.Module]) -> None:
    plain(make(trap), check_inputs=[(ids(2, 7),)])


@pytest.mark.parametrize("other", [(1, 9), (1, 3), (2, 7)])
def test_check_inputs_do_not_find_dropout(other: tuple[int, int]) -> None:
    plain(make(BakedDropout).train(), check_inputs=[(ids(*other),)])


@pytest.mark.parametrize("other", [(1, 3), (1, 24)])
def test_check_inputs_find_funnel(other: tuple[int, int]) -> None:
    model = make_tiny("funnel")
    model.config.return_dict = False
    with pytest.raises(torch.jit.TracingCheckError):
        plain(model, check_inputs=[(ids(*other),)])
