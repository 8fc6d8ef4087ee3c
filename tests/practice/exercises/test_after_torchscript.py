"""Answers to the exercises of notebook 06."""

from typing import Any

import torch

from tests.practice.exercises.judging import mistaken
from tsnb.practice.exercises import after_torchscript

CAUSES = {"A": "example", "B": "model", "C": "declaration"}
LENGTH = ("hidden.shape[1] + 1)", "int(hidden.shape[1]) + 1)")
EXAMPLE = "tensor.repeat(2, 1)"


def by_values(hidden: torch.Tensor) -> torch.Tensor:
    if hidden.sum() > 1e9:
        return hidden.sum(1)
    return (hidden / torch.arange(1, hidden.shape[1] + 1)[None, :, None]).sum(1)


def by_jit(model: Any, inputs: dict[str, torch.Tensor], path: str) -> None:
    torch.jit.save(torch.jit.trace(model, example_kwarg_inputs=inputs, strict=False), path)


def served_by_jit(path: str, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    logits: torch.Tensor = torch.jit.load(path)(**inputs)["logits"]
    return logits


ANSWERS: list[tuple[str, Any, str]] = [
    ("loop-exportable", after_torchscript.weighted_by_loop, "still-constant"),
    ("loop-exportable", mistaken("loop-exportable", LENGTH), "still-constant"),
    ("loop-exportable", mistaken("loop-exportable", (".sum(1)", ".mean(1)")), "other-numbers"),
    ("loop-exportable", by_values, "values"),
    ("loop-exportable", lambda hidden: hidden, "type"),
    ("declare-shapes", mistaken("declare-shapes", ("0: Dim.DYNAMIC, ", "")), "frozen-rows"),
    ("declare-shapes", mistaken("declare-shapes", (EXAMPLE, "tensor"), ("DYNAMIC", "AUTO")), "frozen-rows"),
    ("declare-shapes", mistaken("declare-shapes", (EXAMPLE, "tensor")), "one-row"),
    ("declare-shapes", mistaken("declare-shapes", (", 1: Dim.DYNAMIC", "")), "frozen-length"),
    ("declare-shapes", mistaken("declare-shapes", ("1: Dim.DYNAMIC", '1: Dim("length", max=128)')), "short-range"),
    ("declare-shapes", mistaken("declare-shapes", ("export(model,", "export(model.train(),")), "wrong"),
    ("declare-shapes", lambda model, _: model, "type"),
    ("whose-refusal", CAUSES | {"A": "model"}, "blames-the-model"),
    ("whose-refusal", CAUSES | {"B": "example"}, "blames-the-example"),
    ("whose-refusal", CAUSES | {"C": "model"}, "undeclared"),
    ("whose-refusal", CAUSES | {"C": "example"}, "wrong"),
    ("move-service", (by_jit, served_by_jit), "still-torchscript"),
    ("move-service", mistaken("move-service", (", dynamic_shapes=free", "")), "frozen"),
    ("move-service", mistaken("move-service", ("export(Plain()", "export(model")), "needs-transformers"),
    ("move-service", mistaken("move-service", ('["logits"]\n', '["logits"] * 2\n')), "wrong"),
]


def test_the_causes_are_measured() -> None:
    assert after_torchscript.causes() == CAUSES
