import pytest
import torch
from torch import nn

from tsnb.tracing.traps import HIDDEN, BakedDropout, IntMask, PositionLoop, make

TRAPS = (IntMask, PositionLoop, BakedDropout)


def ids(*shape: int) -> torch.Tensor:
    return torch.arange(shape[0] * shape[1]).reshape(shape) % 100


@pytest.mark.parametrize("trap", TRAPS)
def test_the_model_itself_runs_any_length_with_weights_from_a_seed(trap: type[nn.Module]) -> None:
    before = torch.random.get_rng_state()
    first, same, other = make(trap), make(trap), make(trap, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first(ids(1, 5)), same(ids(1, 5)))
    assert not torch.equal(first(ids(1, 5)), other(ids(1, 5)))
    for length in (1, 3, 7, 20):
        assert first(ids(2, length)).shape == ((2, HIDDEN) if trap is PositionLoop else (2, length, HIDDEN))
