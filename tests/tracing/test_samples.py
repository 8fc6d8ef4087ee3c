from typing import Any

import pytest
import torch
from torch import nn

from tsnb.tracing.contract import Contract
from tsnb.tracing.samples import sample_inputs

AXES = {"input_ids": ("batch", "length"), "attention_mask": ("batch", "length")}
MASKED = Contract(tuple(AXES), dtypes=dict.fromkeys(AXES, "int64"), input_axes=AXES, pad_token_id=3)
TWENTY = nn.Embedding(20, 4)


def draw(
    shape: tuple[int, int], contract: Contract = MASKED, model: nn.Module = TWENTY, **how: Any
) -> dict[str, torch.Tensor]:
    return sample_inputs(contract, model, shape, **how)


def one(name: str, dtype: str, shape: tuple[int, int], axes: tuple[Any, ...] = AXES["input_ids"]) -> torch.Tensor:
    return draw(shape, Contract((name,), dtypes={name: dtype}, input_axes={name: axes}))[name]


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 8), (4, 33)])
def test_padding_that_is_drawn_is_real_and_masked(shape: tuple[int, int]) -> None:
    batch, length = shape
    for seed in range(20):
        inputs = draw(shape, seed=seed)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        assert {(tuple(tensor.shape), tensor.dtype) for tensor in (ids, mask)} == {(shape, torch.int64)}
        assert torch.equal(ids == 3, mask == 0)
        assert torch.equal(mask, mask.sort(dim=1, descending=True).values)
        tokens = mask.sum(1)
        assert int(tokens.min()) > 0
        assert (int(tokens[0]) < length) == (length > 1)
        assert batch == 1 or int(tokens[-1]) == length


def test_without_padding_or_without_a_mask_every_row_is_full() -> None:
    inputs = draw((3, 8), padded=False)
    assert inputs["attention_mask"].all()
    assert not (inputs["input_ids"] == 3).any()
    alone = Contract(("input_ids",), dtypes={"input_ids": "int64"}, pad_token_id=3)
    assert not (draw((4, 9), alone)["input_ids"] == 3).any()


def test_a_seed_draws_the_same_and_the_random_state_of_torch_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    first, same, other = draw((3, 8)), draw((3, 8)), draw((3, 8), seed=1)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["input_ids"], other["input_ids"])
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("pad", [None, 3, 19])
def test_every_id_of_the_vocabulary_is_drawn_and_no_other(pad: int | None) -> None:
    ids = draw((20, 100), Contract(("input_ids",), pad_token_id=pad))["input_ids"]
    assert set(ids.flatten().tolist()) == set(range(20)) - {pad}


def test_each_input_is_drawn_by_what_its_name_and_dtype_say() -> None:
    for dtype in ("bool", "float32"):
        mask = one("attention_mask", dtype, (1, 8))
        assert (mask.dtype, mask.int().tolist()) == (getattr(torch, dtype), [[1, 1, 1, 1, 1, 1, 0, 0]])
    x = one("x", "float16", (50, 40), ("batch", "length", 3))
    assert (tuple(x.shape), x.dtype) == ((50, 40, 3), torch.float16)
    assert one("position_ids", "int64", (2, 5)).tolist() == [[0, 1, 2, 3, 4]] * 2
    assert one("scale", "float32", (2, 9), (5,)).shape == (5,)
    foreign = draw((2, 9), Contract(("input_ids", "attention_mask"), known=False))
    assert {tuple(tensor.shape) for tensor in foreign.values()} == {(2, 9)}
