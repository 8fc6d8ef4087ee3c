from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from tsnb import Contract
from tsnb.tracing.axes import batch_and_length, input_axes
from tsnb.tracing.contract import resolve

FULL = Contract(
    input_names=("input_ids", "attention_mask"),
    output_names=("logits", "states"),
    dtypes={"input_ids": "int64", "attention_mask": "int64"},
    batch_size=2,
    length=16,
    input_axes={"input_ids": ("batch", "length"), "scale": (5,)},
    output_axes=(("batch", "length", 623), ("batch", "other")),
    pad_token_id=0,
    max_positions=512,
    model_id="tiny-bert",
    versions={"torch": "2.13.0"},
    verified=((2, 16), (1, 8)),
    fixed_shape=True,
    target="inf2",
    devices=("cpu",),
    known=False,
)


def test_the_json_is_plain_and_one_of_a_time_before_targets_is_read() -> None:
    assert Contract.from_json(FULL.to_json()) == FULL
    data = json.loads(FULL.to_json())
    assert data["input_names"] == ["input_ids", "attention_mask"]
    assert data["output_axes"] == [["batch", "length", 623], ["batch", "other"]]
    del data["target"]
    assert Contract.from_json(json.dumps(data)) == replace(FULL, target="")


@pytest.mark.parametrize("text", ["", '{"no_such_field": 1}', "{}"])
def test_json_that_is_no_contract(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        Contract.from_json(text)


def test_verified_shapes_are_added_once_and_sorted() -> None:
    assert FULL.with_verified([(4, 8), (1, 8)]).verified == ((1, 8), (2, 16), (4, 8))


def test_it_prints_a_line_a_field() -> None:
    lines = str(replace(FULL, known=True)).splitlines()
    assert [line.split()[0] for line in lines] == [field.name for field in fields(Contract) if field.name != "known"]
    assert "verified      2 × 16, 1 × 8" in lines
    assert "input_axes    input_ids batch × length, scale 5" in lines
    assert "length        -" in str(Contract(("x",))).splitlines()
    assert "not made by tsnb" in str(FULL)


def test_batch_and_length() -> None:
    five = torch.zeros(5)
    assert batch_and_length({"a": five, "b": torch.zeros(2, 7, 3)}) == (2, 7)
    assert batch_and_length({"a": torch.zeros(()), "b": five}) == (5, None)


@pytest.mark.parametrize(("shape", "axes"), [((2, 4), ("batch", 4)), ((3, 7), (3, "length")), ((7,), (7,))])
def test_axes_of_an_input_beside_token_ids(shape: tuple[int, ...], axes: tuple[Any, ...]) -> None:
    inputs = {"input_ids": torch.zeros(2, 7), "x": torch.zeros(shape)}
    assert input_axes(inputs)["x"] == axes
    assert resolve(axes, 2, 7) == shape
