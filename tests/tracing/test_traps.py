from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.traced import quiet_jit
from tsnb.tracing.traps import HIDDEN, BakedDropout, IntMask, PositionLoop, make

TRAPS = (IntMask, PositionLoop, BakedDropout)


def ids(*shape: int) -> torch.Tensor:
    return torch.arange(shape[0] * shape[1]).reshape(shape) % 100


def plain(model: nn.Module, **how: Any) -> Any:
    with quiet_jit() as jit, no_warnings():
        return jit.trace(model, ids(1, 7), **how)


def traced(model: nn.Module) -> tsnb.Traced:
    return tsnb.trace(model, {"input_ids": ids(1, 7)})


def baked() -> Any:
    return plain(make(BakedDropout).train(), check_trace=False).eval()


@pytest.mark.parametrize("trap", TRAPS)
def test_the_model_itself_runs_any_length_with_weights_from_a_seed(trap: type[nn.Module]) -> None:
    before = torch.random.get_rng_state()
    first, same, other = make(trap), make(trap), make(trap, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first(ids(1, 5)), same(ids(1, 5)))
    assert not torch.equal(first(ids(1, 5)), other(ids(1, 5)))
    for length in (1, 3, 7, 20):
        assert first(ids(2, length)).shape == ((2, HIDDEN) if trap is PositionLoop else (2, length, HIDDEN))


@pytest.mark.parametrize(("trap", "short", "long"), [(IntMask, "raises", "raises"), (PositionLoop, "raises", "wrong")])
def test_a_trap_goes_wrong_at_other_lengths_and_runs_other_batch_sizes(
    trap: type[nn.Module], short: str, long: str
) -> None:
    model = make(trap)
    verdicts = tsnb.probe(traced(model), model, [1, 6, 7, 8, 20], [1, 3])
    kinds = {length: {verdicts[batch, length].kind for batch in (1, 3)} for length in verdicts.lengths}
    assert kinds == {1: {short}, 6: {short}, 7: {"same"}, 8: {long}, 20: {long}}
    assert torch.allclose(make(IntMask)(ids(1, 7))[:, :3], make(IntMask)(ids(1, 3)), atol=1e-6)  # causal


def test_dropout_that_was_recorded_stays_and_drops_half() -> None:
    trace = baked()
    assert not torch.equal(trace(ids(1, 7)), trace(ids(1, 7)))
    assert float((trace(ids(50, 20)) == 0).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_the_probe_calls_recorded_dropout_wrong_and_dropout_in_eval_mode_harmless() -> None:
    model = make(BakedDropout)
    trace = traced(model)
    verdicts = tsnb.probe(trace, model, [3, 7, 9], [1, 2])
    assert {verdict.kind for verdict in verdicts.values()} == {"same"}
    verdicts = tsnb.probe(replace(trace, module=baked()), model, [3, 7, 9])
    assert {verdict.kind for verdict in verdicts.values()} == {"wrong"}
    with pytest.raises(tsnb.TraceError, match="dropout would be baked"):
        traced(model.train())


@pytest.mark.parametrize(
    ("trap", "other", "message"),
    [
        (IntMask, (1, 9), "encountered an exception while running the trace"),
        (PositionLoop, (1, 3), "encountered an exception while running the trace"),
        (PositionLoop, (1, 9), "Graphs differed across invocations"),
    ],
)
def test_check_inputs_of_another_length_find_it(trap: type[nn.Module], other: tuple[int, int], message: str) -> None:
    with pytest.raises(torch.jit.TracingCheckError, match=message):
        plain(make(trap), check_inputs=[(ids(*other),)])


@pytest.mark.parametrize("trap", TRAPS)
def test_check_inputs_of_another_batch_size_find_none(trap: type[nn.Module]) -> None:
    plain(make(trap), check_inputs=[(ids(2, 7),)])
    trace = plain(make(BakedDropout).train(), check_inputs=[(ids(1, 9),)])  # nor of another length, dropout
    assert not torch.equal(trace(ids(1, 7)), trace(ids(1, 7)))
