import json
from dataclasses import fields, replace
from typing import Any

import pytest

from tsnb import Contract

FULL = Contract(
    input_names=("input_ids", "attention_mask"),
    output_names=("logits", "states"),
    dtypes={"input_ids": "int64", "attention_mask": "int64"},
    batch_size=2,
    length=16,
    input_axes={"input_ids": ("batch", "length"), "attention_mask": (5,)},
    output_axes=(("batch", "length", 623), ("batch", "other")),
    pad_token_id=0,
    max_positions=512,
    model_id="tiny-bert",
    versions={"torch": "2.13.0"},
    device="cuda:0",
    dtype="float16",
    id2label={0: "no", 1: "yes"},
    verified=((2, 16), (1, 8)),
    verified_inputs=({"input_ids": (2, 16)},),
    unverified="a reason",
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_names": 5}, "input_names is 5, which is not"),
        ({"input_names": "input_ids"}, 'input_names is "input_ids"'),
        ({"input_names": [], "input_axes": {}, "dtypes": {}}, "lacks every input"),
        ({"batch_size": True}, "batch_size is true"),
        ({"length": 1.5}, "length is 1.5"),
        ({"dtypes": {"input_ids": "long"}}, "which torch does not have"),
        ({"dtypes": {"positions": "int64"}}, "input_names lacks positions"),
        ({"input_axes": {"input_ids": ["batch", "width"]}}, "an axis is neither a size nor batch"),
        ({"input_axes": {"input_ids": ["batch", -1]}}, "an axis is neither"),
        ({"output_axes": []}, None),
        ({"output_axes": [["batch"]]}, "output_names and output_axes differ"),
        ({"verified": [[1, 16], [8]]}, "verified is"),
        ({"id2label": {"first": "no"}}, "id2label"),
        ({"id2label": ["no"]}, "id2label is"),
        ({"no_such_field": 1}, "has no_such_field, which this version"),
    ],
)
def test_a_contract_is_validated_when_it_is_read(change: dict[str, Any], message: str | None) -> None:
    text = json.dumps(json.loads(FULL.to_json()) | change)
    if message is None:
        assert Contract.from_json(text) == replace(FULL, output_axes=())
    else:
        with pytest.raises(ValueError, match=message):
            Contract.from_json(text)


def test_it_prints_a_line_a_field() -> None:
    lines = str(replace(FULL, known=True)).splitlines()
    assert [line.split()[0] for line in lines] == [field.name for field in fields(Contract) if field.name != "known"]
    assert "verified        2 × 16, 1 × 8" in lines
    assert "input_axes      input_ids batch × length, attention_mask 5" in lines
    assert "id2label        0 no, 1 yes" in lines
    assert "verified_inputs input_ids 2 × 16" in lines
    many = replace(FULL, id2label={number: str(number) for number in range(1000)})
    assert "7 7, and 992 more" in str(many)
    assert "length          -" in str(Contract(("x",))).splitlines()
    assert "not made by tsnb" in str(FULL)
