from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.tracing.architectures import ARCHITECTURES, example, make
from tsnb.tracing.contract import Contract
from tsnb.tracing.samples import sample_inputs, vocabulary

AXES = {"input_ids": ("batch", "length"), "attention_mask": ("batch", "length")}
MASKED = Contract(tuple(AXES), dtypes=dict.fromkeys(AXES, "int64"), input_axes=AXES, pad_token_id=3)
TWENTY = nn.Embedding(20, 4)
SHAPES = [(1, 1), (1, 2), (1, 3), (2, 1), (1, 8), (3, 8), (4, 33)]


def contract(name: str, dtype: str, axes: tuple[Any, ...] = ("batch", "length")) -> Contract:
    return Contract((name,), dtypes={name: dtype}, input_axes={name: axes})


def draw(
    shape: tuple[int, int], held: Contract = MASKED, model: nn.Module = TWENTY, **how: Any
) -> dict[str, torch.Tensor]:
    return sample_inputs(held, model, shape, **how)


@pytest.mark.parametrize("shape", SHAPES)
def test_names_shapes_and_dtypes_are_the_contracts(shape: tuple[int, int]) -> None:
    inputs = draw(shape)
    assert list(inputs) == ["input_ids", "attention_mask"]
    assert {(tuple(held.shape), held.dtype) for held in inputs.values()} == {(shape, torch.int64)}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_pad_id_stands_where_the_mask_is_zero_and_nowhere_else(shape: tuple[int, int]) -> None:
    for seed in range(20):
        inputs = draw(shape, seed=seed)
        assert torch.equal(inputs["input_ids"] == 3, inputs["attention_mask"] == 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_row_is_padded_and_the_last_of_several_full(shape: tuple[int, int]) -> None:
    batch, length = shape
    tokens = draw(shape)["attention_mask"].sum(1)
    assert (int(tokens[0]) < length) == (length > 1)
    assert batch == 1 or int(tokens[-1]) == length


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_is_at_the_end_of_a_row_and_each_row_has_a_token(shape: tuple[int, int]) -> None:
    mask = draw(shape)["attention_mask"]
    assert torch.equal(mask, mask.sort(dim=1, descending=True).values)
    assert mask[:, 0].all()


def test_without_padding_every_row_is_full() -> None:
    inputs = draw((3, 8), padded=False)
    assert inputs["attention_mask"].all()
    assert not (inputs["input_ids"] == 3).any()


def test_the_same_seed_draws_the_same() -> None:
    first, same, other = draw((3, 8)), draw((3, 8)), draw((3, 8), seed=1)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["input_ids"], other["input_ids"])


def test_the_random_state_of_torch_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    draw((3, 8))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("pad", [None, 0, 3, 19])
def test_every_id_of_the_vocabulary_is_drawn_and_no_other(pad: int | None) -> None:
    held = Contract(("input_ids",), pad_token_id=pad)
    ids = draw((20, 100), held)["input_ids"]
    assert set(ids.flatten().tolist()) == set(range(20)) - {pad}


def test_without_an_attention_mask_nothing_is_padded() -> None:
    held = Contract(("input_ids",), dtypes={"input_ids": "int64"}, pad_token_id=3)
    assert not (draw((4, 9), held)["input_ids"] == 3).any()


@pytest.mark.parametrize("dtype", ["bool", "float32", "int64"])
def test_a_mask_of_any_dtype_holds_ones_and_zeros(dtype: str) -> None:
    mask = draw((1, 8), contract("attention_mask", dtype))["attention_mask"]
    assert mask.dtype == getattr(torch, dtype)
    assert mask.int().tolist() == [[1, 1, 1, 1, 1, 1, 0, 0]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floating_point_inputs_are_normal(dtype: str) -> None:
    x = draw((50, 40), contract("x", dtype, ("batch", "length", 3)))["x"]
    assert (tuple(x.shape), x.dtype) == ((50, 40, 3), getattr(torch, dtype))
    assert abs(float(x.float().mean())) < 0.05
    assert abs(float(x.float().std()) - 1) < 0.05


def test_position_ids_count() -> None:
    positions = draw((2, 5), contract("position_ids", "int64"))["position_ids"]
    assert positions.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_an_input_of_a_fixed_shape_keeps_it() -> None:
    held = Contract(("scale",), dtypes={"scale": "float32"}, input_axes={"scale": (5,)})
    assert draw((2, 9), held)["scale"].shape == (5,)


def test_a_contract_that_says_nothing_of_axes_has_ids_and_a_mask() -> None:
    inputs = draw((2, 9), Contract(("input_ids", "attention_mask"), known=False))
    assert {tuple(held.shape) for held in inputs.values()} == {(2, 9)}
    assert not inputs["attention_mask"].all()


@pytest.mark.parametrize("types", [1, 2, 5])
def test_token_types_are_those_that_the_model_knows(types: int) -> None:
    model = nn.Embedding(20, 4)
    model.config = type("Config", (), {"type_vocab_size": types})()
    found = draw((20, 30), contract("token_type_ids", "int64"), model)["token_type_ids"]
    assert set(found.flatten().tolist()) == set(range(types))


def test_without_a_configuration_there_is_one_token_type() -> None:
    assert not draw((3, 8), contract("token_type_ids", "int64"))["token_type_ids"].any()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_ids_are_within_the_vocabulary_of_every_architecture(name: str) -> None:
    model = make(name)
    inputs = sample_inputs(tsnb.trace(model, example(name)).contract, model, (8, 16))
    assert int(inputs["input_ids"].max()) < vocabulary(model)
    assert int(inputs["input_ids"].min()) >= 0
    with torch.no_grad():
        model(**inputs)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Embedding(20, 4), 20),
        (nn.ModuleList([nn.Embedding(20, 4), nn.Embedding(7, 4)]), 7),
        (nn.Linear(2, 2), 2),
    ],
)
def test_vocabulary_without_a_configuration(model: nn.Module, expected: int) -> None:
    assert vocabulary(model) == expected


def test_vocabulary_with_a_configuration() -> None:
    assert vocabulary(make("bert")) == 99
