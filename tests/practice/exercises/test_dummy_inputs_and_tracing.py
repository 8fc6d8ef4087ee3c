"""Answers to the exercises of notebook 02."""

from __future__ import annotations

from typing import Any

import torch

import tsnb
from tests.practice.exercises.judging import Later, judge
from tsnb.practice.exercises import dummy_inputs_and_tracing as exercises
from tsnb.practice.exercises.base import embedded
from tsnb.tiny_bert import corpus

TEXTS = list(exercises.TEXTS)
TRUTH: dict[Any, Any] = dict.fromkeys(exercises.SHAPES[:-1], "same") | {(1, 513): "unsupported"}


def batch(**options: Any) -> dict[str, Any]:
    options = {"padding": "max_length", "max_length": 20, "return_tensors": "pt"} | options
    return dict(embedded()[1](TEXTS, **options))


def mask(change: Any) -> dict[str, Any]:
    return batch() | {"attention_mask": change(batch()["attention_mask"])}


def by_name(model: Any, tokens: Any, segments: Any) -> Any:
    named = {"input_ids": tokens, "token_type_ids": segments}
    return torch.jit.trace(model, example_kwarg_inputs=named)


def swapped(model: Any, tokens: Any, segments: Any) -> Any:
    return model(input_ids=segments, token_type_ids=tokens)


def edges(max_length: int) -> list[int]:
    lengths = tsnb.token_lengths(embedded()[1], corpus.texts(1000))
    return tsnb.plan_buckets(lengths.clip(max=max_length), count=4)


ANSWERS: list[tuple[str, Any, str]] = [
    ("dummy-batch", Later(batch), "done"),
    ("dummy-batch", Later(lambda: {"input_ids": batch()["input_ids"]}), "missing"),
    ("dummy-batch", Later(lambda: {name: ids[:, :16] for name, ids in batch().items()}), "other-shape"),
    ("dummy-batch", Later(lambda: mask(torch.ones_like)), "mask-differs"),
    ("dummy-batch", Later(lambda: mask(torch.Tensor.bool)), "wrong"),
    ("dummy-batch", Later(lambda: tsnb.dummy_inputs(embedded()[1], embedded()[0], TEXTS[0], 20, 4)), "wrong"),
    ("argument-order", by_name, "done"),
    ("argument-order", lambda m, t, s: tsnb.trace(m, {"input_ids": t, "token_type_ids": s}), "done"),
    ("argument-order", lambda m, t, _: torch.jit.trace(m, [t]), "no-segments"),
    ("argument-order", lambda m, t, s: m(input_ids=t, token_type_ids=s), "not-a-trace"),
    ("argument-order", swapped, "raises"),
    ("five-verdicts", TRUTH, "done"),
    ("five-verdicts", dict.fromkeys(TRUTH, "raises"), "published-rule"),
    ("five-verdicts", dict.fromkeys(TRUTH, "same"), "beyond-limit"),
    ("five-verdicts", TRUTH | {(1, 512): "raises"}, "wrong"),
    ("find-the-trap", ("Scaled", (1, 9)), "done"),
    ("find-the-trap", ("Scaled", (1, 7)), "wrong"),
    ("find-the-trap", ("Placed", (1, 9)), "raises"),
    ("find-the-trap", ("Placed", (1, 1)), "stretched"),
    ("find-the-trap", ("Scaled", (1, 10**9)), "type"),
    ("length-under-cost", Later(lambda: edges(100)), "done"),
    ("length-under-cost", Later(lambda: edges(127)), "cuts-nothing"),
    ("length-under-cost", [127], "one-length"),
    ("length-under-cost", [22, 37, 56, 72], "cuts-too-much"),
    ("length-under-cost", [18, 26, 39, 52, 100], "too-many"),
    ("length-under-cost", [20, 100], "wrong"),
    ("length-under-cost", [22.5, 100], "type"),
]


def test_the_verdicts_are_measured() -> None:
    assert exercises.verdicts() == TRUTH


def test_values_and_lines_are_filled_in() -> None:
    assert "cost is 4.05" in judge("length-under-cost", [127]).text
    assert "4 of 5 as probed" in judge("five-verdicts", TRUTH | {(1, 512): "raises"}).text
    assert "off by 0.32" in judge("find-the-trap", ("Scaled", (1, 9))).text
    assert "return model(input_ids=segments, token_type_ids=tokens)" in judge("argument-order", swapped).text
