from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from torch import nn

from tsnb import Contract
from tsnb.tracing.contract import model_id, versions

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


def test_the_example_sets_every_field() -> None:
    empty = Contract(("x",))
    same = [field.name for field in fields(Contract)]
    assert [name for name in same if getattr(FULL, name) == getattr(empty, name)] == []


@pytest.mark.parametrize("contract", [FULL, Contract(("x",))])
def test_json_and_back(contract: Contract) -> None:
    assert Contract.from_json(contract.to_json()) == contract


def test_the_json_is_plain() -> None:
    data = json.loads(FULL.to_json())
    assert data["input_names"] == ["input_ids", "attention_mask"]
    assert data["input_axes"] == {"input_ids": ["batch", "length"], "scale": [5]}
    assert data["output_axes"] == [["batch", "length", 623], ["batch", "other"]]
    assert (data["batch_size"], data["fixed_shape"]) == (2, True)


@pytest.mark.parametrize("text", ["", "{", '{"no_such_field": 1}', "{}"])
def test_json_that_is_no_contract(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        Contract.from_json(text)


def test_verified_shapes_are_added_once_and_sorted() -> None:
    more = FULL.with_verified([(4, 8), (1, 8)])
    assert more.verified == ((1, 8), (2, 16), (4, 8))
    assert replace(more, verified=FULL.verified) == FULL


def test_it_prints_a_line_a_field() -> None:
    lines = str(replace(FULL, known=True)).splitlines()
    assert [line.split()[0] for line in lines] == [
        field.name for field in fields(Contract) if field.name != "known"
    ]
    assert "verified      2 × 16, 1 × 8" in lines
    assert "dtypes        input_ids int64, attention_mask int64" in lines
    assert "input_axes    input_ids batch × length, scale 5" in lines


def test_what_is_not_known_prints_as_a_dash() -> None:
    assert "length        -" in str(Contract(("x",))).splitlines()


def test_a_file_of_somebody_else_is_said_to_be_one() -> None:
    assert "not made by tsnb" in str(FULL)
    assert "not made by tsnb" not in str(replace(FULL, known=True))


def test_versions_are_those_installed() -> None:
    import torch
    import transformers

    found = versions()
    assert (found["torch"], found["transformers"]) == (torch.__version__, transformers.__version__)


def test_a_module_is_named_by_its_class() -> None:
    assert model_id(nn.Linear(2, 2)) == "Linear"


def test_json_of_a_time_before_targets() -> None:
    data = json.loads(FULL.to_json())
    del data["target"]
    assert Contract.from_json(json.dumps(data)) == replace(FULL, target="")


def test_a_plain_trace_has_no_target() -> None:
    assert "target        -" in str(Contract(("x",)))
    assert "target        inf2" in str(FULL)
