"""Answers to the exercises of notebook 02."""

from typing import Any

import torch

import tsnb
from tests.practice.exercises.judging import mistaken
from tsnb.practice.exercises import dummy_inputs_and_tracing as exercises

MASK = '"attention_mask": torch.ones_like(batch["input_ids"])'
TRUTH: dict[Any, Any] = dict.fromkeys(exercises.SHAPES[:-1], "same") | {(1, 513): "unsupported"}


def swapped(model: Any, tokens: Any, segments: Any) -> Any:
    return model(input_ids=segments, token_type_ids=tokens)


ANSWERS: list[tuple[str, Any, str]] = [
    ("dummy-batch", mistaken("dummy-batch", ("batch)", '{"input_ids": batch["input_ids"]})')), "missing"),
    ("dummy-batch", mistaken("dummy-batch", ("max_length=20", "max_length=16")), "other-shape"),
    ("dummy-batch", mistaken("dummy-batch", ("batch)", f"{{**batch, {MASK}}})")), "mask-differs"),
    ("dummy-batch", mistaken("dummy-batch", ("texts, padding", "texts[:1] * 4, padding")), "wrong"),
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
    ("length-under-cost", [26, 38, 56, 127], "cuts-nothing"),
    ("length-under-cost", [127], "one-length"),
    ("length-under-cost", [22, 37, 56, 72], "cuts-too-much"),
    ("length-under-cost", [18, 26, 39, 52, 100], "too-many"),
    ("length-under-cost", [20, 100], "wrong"),
]


def test_the_verdicts_are_measured() -> None:
    assert exercises.verdicts() == TRUTH
