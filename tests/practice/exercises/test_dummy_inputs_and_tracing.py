"""What answers to the exercises of notebook 02 are told."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tsnb
from tests.practice.exercises.judging import Later, judge, table, told
from tsnb.practice.exercises import dummy_inputs_and_tracing as exercises
from tsnb.practice.exercises.base import embedded
from tsnb.tiny_bert import corpus

TEXTS = list(exercises.TEXTS)
TRUTH: dict[Any, Any] = dict.fromkeys(exercises.SHAPES[:-1], "same") | {(1, 513): "unsupported"}
pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")


def batch(**options: Any) -> dict[str, Any]:
    options = {"padding": "max_length", "max_length": 20, "return_tensors": "pt"} | options
    return dict(embedded()[1](TEXTS, **options))


def without(name: str) -> dict[str, Any]:
    return {key: values for key, values in batch().items() if key != name}


def mask(change: Any) -> dict[str, Any]:
    return batch() | {"attention_mask": change(batch()["attention_mask"])}


def one_tensor(ids: dict[str, Any]) -> dict[str, Any]:
    return ids | {"token_type_ids": ids["attention_mask"]}


def by_name(model: Any, tokens: Any, segments: Any) -> Any:
    named = {"input_ids": tokens, "token_type_ids": segments}
    return torch.jit.trace(model, example_kwarg_inputs=named)


def other_weights(model: Any, tokens: Any, segments: Any) -> Any:
    return by_name(type(model)(model.config).eval(), tokens, segments)


def swapped(model: Any, tokens: Any, segments: Any) -> Any:
    return model(input_ids=segments, token_type_ids=tokens)


def edges(max_length: int) -> list[int]:
    lengths = tsnb.token_lengths(embedded()[1], corpus.texts(1000))
    return tsnb.plan_buckets(lengths.clip(max=max_length), count=4)


ANSWERS: list[tuple[str, Any, str]] = [
    ("dummy-batch", Later(batch), "done"),
    ("dummy-batch", Later(lambda: without("token_type_ids")), "done"),
    ("dummy-batch", Later(lambda: batch(padding_side="left")), "done"),
    ("dummy-batch", Later(lambda: batch(return_tensors=None)), "lists"),
    ("dummy-batch", Later(lambda: without("attention_mask")), "missing"),
    ("dummy-batch", Later(lambda: {name: ids[:, :16] for name, ids in batch().items()}), "other-shape"),
    ("dummy-batch", Later(lambda: mask(torch.ones_like)), "mask-differs"),
    ("dummy-batch", Later(lambda: mask(torch.zeros_like)), "mask-differs"),
    ("dummy-batch", Later(lambda: mask(torch.Tensor.bool)), "wrong"),
    ("dummy-batch", Later(lambda: batch() | {"mask": batch()["attention_mask"]}), "wrong"),
    ("dummy-batch", Later(lambda: {name: ids.flip(0) for name, ids in batch().items()}), "wrong"),
    ("dummy-batch", Later(lambda: batch(add_special_tokens=False)), "wrong"),
    ("dummy-batch", Later(lambda: tsnb.dummy_inputs(embedded()[1], embedded()[0], TEXTS[0], 20, 4)), "wrong"),
    ("dummy-batch", Later(lambda: list(batch().values())), "type"),
    ("dummy-batch", Later(lambda: one_tensor(batch())), "wrong"),
    ("argument-order", by_name, "done"),
    ("argument-order", lambda m, t, s: torch.jit.trace(m, [t, torch.ones_like(t), s]), "done"),
    ("argument-order", lambda m, t, s: tsnb.trace(m, {"input_ids": t, "token_type_ids": s}), "done"),
    ("argument-order", lambda m, t, s: torch.jit.trace(m, [t, s]), "not-yet"),
    ("argument-order", lambda m, t, _: torch.jit.trace(m, [t]), "no-segments"),
    ("argument-order", lambda m, t, s: torch.jit.trace(m, {"a": t, "b": s}), "dict-by-position"),
    ("argument-order", lambda m, t, s: m(input_ids=t, token_type_ids=s), "not-a-trace"),
    ("argument-order", lambda *_: None, "not-a-trace"),
    ("argument-order", other_weights, "wrong"),
    ("argument-order", swapped, "raises"),
    ("five-verdicts", TRUTH, "done"),
    ("five-verdicts", dict.fromkeys(TRUTH, "raises"), "published-rule"),
    ("five-verdicts", dict.fromkeys(TRUTH, "same"), "beyond-limit"),
    ("five-verdicts", TRUTH | {(1, 512): "raises"}, "wrong"),
    ("five-verdicts", TRUTH | {(2, 24): "fails"}, "type"),
    ("find-the-trap", ("Scaled", (1, 9)), "done"),
    ("find-the-trap", ["Scaled", [3, 2]], "done"),
    ("find-the-trap", ("Scaled", (1, 7)), "wrong"),
    ("find-the-trap", ("Mean", (1, 9)), "wrong"),
    ("find-the-trap", ("Placed", (1, 9)), "raises"),
    ("find-the-trap", ("Placed", (1, 65)), "raises"),
    ("find-the-trap", ("Placed", (1, 1)), "stretched"),
    ("find-the-trap", ("scaled", (1, 9)), "type"),
    ("find-the-trap", ("Scaled", (1, 10**9)), "type"),
    ("length-under-cost", Later(lambda: edges(100)), "done"),
    ("length-under-cost", Later(lambda: edges(127)), "cuts-nothing"),
    ("length-under-cost", [127], "one-length"),
    ("length-under-cost", [22, 37, 56, 72], "cuts-too-much"),
    ("length-under-cost", [18, 26, 39, 52, 100], "too-many"),
    ("length-under-cost", [20, 100], "wrong"),
    ("length-under-cost", [100, 50], "type"),
    ("length-under-cost", [22.5, 100], "type"),
]


@pytest.mark.filterwarnings("ignore::tsnb.models.load.NewWeightsWarning")
@table(ANSWERS)
def test_answers(name: str, answer: Any, expected: str) -> None:
    assert told(name, answer) == expected


def test_the_verdicts_are_measured() -> None:
    assert exercises.verdicts() == TRUTH


def test_values_and_lines_are_filled_in() -> None:
    assert "cost is 4.05" in judge("length-under-cost", [127]).text
    assert "4 of 5 as probed" in judge("five-verdicts", TRUTH | {(1, 512): "raises"}).text
    assert "off by 0.32" in judge("find-the-trap", ("Scaled", (1, 9))).text
    assert "return model(input_ids=segments, token_type_ids=tokens)" in judge("argument-order", swapped).text
