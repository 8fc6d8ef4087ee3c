"""Wrong answers to the exercises of notebook 05, and what is said about each."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from tests.practice.exercises.judging import judge, told
from tsnb.practice.exercises.classifier import Classifier
from tsnb.practice.exercises.neuron_conversion import PREDICTED

if TYPE_CHECKING:
    from collections.abc import Callable


# From names to positions


def in_order(model: Any, inputs: dict[str, Any]) -> tuple[Any, ...]:
    names = inspect.signature(model.forward).parameters
    return tuple(inputs[name] for name in names if name in inputs)


ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "not-yet": lambda _, inputs: tuple(inputs.values()),
    "not-a-tuple": lambda model, inputs: list(in_order(model, inputs)),
    "left-out": lambda _, inputs: (inputs["input_ids"], inputs["attention_mask"]),
    "alphabet": lambda _, inputs: tuple(inputs[name] for name in sorted(inputs)),
    "nothing": lambda *_: (),
    "other-tensors": lambda _, inputs: tuple(held + 1 for held in inputs.values()),
    "one-model": lambda _, inputs: (
        *(inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")),
    ),
    "wrong": lambda _, inputs: tuple(inputs.values())[::-1],
    "done": in_order,
}


@pytest.mark.parametrize("said", ORDERS)
def test_an_order_of_inputs_is_told_apart_by_the_tensors_that_come_back(said: str) -> None:
    assert told("by-position", ORDERS[said]) == said


def test_places_that_hold_no_tensor_are_told() -> None:
    filled = lambda model, inputs: tuple(  # noqa: E731, one more answer beside those above
        inputs.get(name) for name in inspect.signature(model.forward).parameters
    )
    assert told("by-position", filled) == "no-tensors"
    assert told("by-position", lambda _, inputs: tuple(inputs)) == "no-tensors"
    assert told("by-position", lambda _, inputs: tuple(inputs.items())) == "no-tensors"


def test_an_order_that_is_written_down_is_not_one_for_any_model() -> None:
    order = ("input_ids", "attention_mask", "token_type_ids")
    written = lambda _, inputs: tuple(  # noqa: E731, one more answer beside those above
        inputs[name] for name in order if name in inputs
    )
    assert told("by-position", written) == "one-model"


def test_a_copy_of_a_tensor_is_that_tensor() -> None:
    copies = lambda model, inputs: tuple(  # noqa: E731, one more answer beside those above
        tensor.clone() for tensor in in_order(model, inputs)
    )
    assert told("by-position", copies) == "done"


# Operators on the list

RIGHT = {name: name not in {"embedding", "scaled_dot_product_attention"} for name in PREDICTED}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "done"),
        ({"gelu": ...}, "not-yet"),
        ({"scaled_dot_product_attention": True}, "newer"),
        ({"scaled_dot_product_attention": True, "embedding": True}, "newer"),
        ({"embedding": True}, "on-the-cpu"),
        ({"gelu": False}, "feared"),
        ({"gelu": False, "embedding": True}, "feared"),
        ({"gelu": "yes"}, "type"),
        ({"relu": True}, "type"),
    ],
)
def test_a_prediction_is_compared_with_the_list(changed: dict[str, Any], said: str) -> None:
    assert told("on-the-list", RIGHT | changed) == said


# A model that passes the preflight


def attend(hidden: torch.Tensor, mask: torch.Tensor, root: float = 32**0.5) -> torch.Tensor:
    scores = hidden @ hidden.transpose(1, 2) / root
    return scores.masked_fill(mask[:, None] == 0, -1e4).softmax(-1) @ hidden


class Passing(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.scores(attend(self.embedding(input_ids), attention_mask)[:, 0])


class InATuple(Passing):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return (super().forward(input_ids, attention_mask),)


class InADict(Passing):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return {"scores": super().forward(input_ids, attention_mask)}


class Fused(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return super().forward(input_ids, attention_mask)["scores"]


class Unmasked(Passing):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return super().forward(input_ids, torch.ones_like(attention_mask))


class Unscaled(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.scores(attend(self.embedding(input_ids), attention_mask, root=1.0)[:, 0])


class Unlisted(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        hidden = self.embedding(input_ids)
        scores = (hidden @ hidden.mT / 32**0.5).masked_fill(attention_mask[:, None] == 0, -1e4)
        return self.scores((scores.softmax(-1) @ hidden)[:, 0])


class WithTilde(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        hidden = self.embedding(input_ids)
        scores = hidden @ hidden.transpose(1, 2) / 32**0.5
        scores = scores.masked_fill(~attention_mask.bool()[:, None], -1e4)
        return self.scores((scores.softmax(-1) @ hidden)[:, 0])


class NoAttention(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.scores(self.embedding(input_ids)[:, 0] + 0 * attention_mask[:, :1])


class MaskedLate(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        hidden = self.embedding(input_ids)
        weights = (hidden @ hidden.transpose(1, 2) / 32**0.5).softmax(-1)
        return self.scores((weights * attention_mask[:, None] @ hidden)[:, 0])


class Inverted(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        hidden = self.embedding(input_ids)
        scores = hidden @ hidden.transpose(1, 2) / 32**0.5
        scores = scores.masked_fill(attention_mask[:, None] == 1, float("-inf"))
        return self.scores((scores.softmax(-1) @ hidden)[:, 0])


class EveryPlace(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.scores(attend(self.embedding(input_ids), attention_mask))


class NoReturn(Passing):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        super().forward(input_ids, attention_mask)


class Twice(Passing):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return (super().forward(input_ids, attention_mask),) * 2


class Frozen(Passing):
    """Adds, for each length but 16, a number that Python computed."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return super().forward(input_ids, attention_mask) + abs(int(input_ids.shape[1]) - 16)


class Other(Passing):
    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(32, 3)


class Off(Passing):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return super().forward(input_ids, attention_mask) * 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Classifier, "not-yet"),
        (Passing, "done"),
        (InATuple, "done"),
        (InADict, "dict-output"),
        (Fused, "still-fused"),
        (Unmasked, "no-mask"),
        (Unscaled, "no-root"),
        (Unlisted, "unlisted"),
        (WithTilde, "tilde"),
        (NoAttention, "no-root"),
        (MaskedLate, "padding-read"),
        (Inverted, "not-a-number"),
        (EveryPlace, "other-scores"),
        (NoReturn, "no-scores"),
        (Twice, "no-scores"),
        (Frozen, "frozen"),
        (Other, "other-weights"),
        (Off, "wrong"),
        (nn.Linear, "type"),
    ],
)
def test_a_class_is_judged_by_its_graph_and_its_numbers(answer: Any, said: str) -> None:
    assert told("pass-preflight", answer) == said


# Rows through a fixed shape


def run(
    graph: Any,
    rows: list[list[int]],
    *,
    batch: int = 4,
    height: int = 4,
    hide: bool = True,
) -> list[torch.Tensor]:
    results: list[torch.Tensor] = []
    for start in range(0, len(rows), batch):
        held = rows[start : start + batch]
        tall = height or len(held)
        ids = torch.zeros(tall, 32, dtype=torch.int64)
        mask = torch.zeros_like(ids) if hide else torch.ones_like(ids)
        for place, row in enumerate(held):
            ids[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = 1
        logits = graph(input_ids=ids, attention_mask=mask)["logits"]
        results += [logits[place, : len(row)] for place, row in enumerate(held)]
    return results


def ragged(graph: Any, rows: list[list[int]]) -> list[Any]:
    ids = [torch.tensor([row]) for row in rows]
    return [graph(input_ids=row, attention_mask=torch.ones_like(row)) for row in ids]


def padded(graph: Any, rows: list[list[int]]) -> list[torch.Tensor]:
    logits = graph(
        input_ids=torch.ones(4, 32, dtype=torch.int64),
        attention_mask=torch.ones(4, 32, dtype=torch.int64),
    )["logits"]
    return [logits[0] for _ in rows]


RUNS: dict[str, Callable[[Any, Any], Any]] = {
    "not-yet": ragged,
    "short-batch": lambda graph, rows: run(graph, rows, height=0),
    "refused": lambda graph, rows: run(graph, rows, batch=8, height=8),
    "other-count": lambda graph, rows: run(graph, rows[:4]),
    "with-padding": padded,
    "other-shape": lambda graph, rows: run(graph, sorted(rows, key=len)),
    "not-a-list": lambda graph, rows: torch.cat(run(graph, rows)),
    "unused": lambda _, rows: [torch.zeros(len(row), 623) for row in rows],
    "no-mask": lambda graph, rows: run(graph, rows, hide=False),
    "row-a-call": lambda graph, rows: run(graph, rows, batch=1),
    "wrong": lambda graph, rows: [row + 1 for row in run(graph, rows)],
    "done": run,
}


@pytest.mark.parametrize("said", RUNS)
def test_what_comes_through_a_fixed_shape_is_compared_with_the_model(said: str) -> None:
    assert told("fixed-rows", RUNS[said]) == said


def test_a_run_that_returns_nothing_is_told_so() -> None:
    assert "type `NoneType`" in judge("fixed-rows", lambda *_: None).text
    assert told("fixed-rows", lambda graph, rows: [run(graph, rows), run(graph, rows)]) == "not-a-list"


def test_a_graph_takes_ids_and_mask_by_position_too() -> None:
    def by_place(graph: Any, rows: list[list[int]]) -> list[torch.Tensor]:
        return run(lambda **inputs: graph(*inputs.values()), rows)

    assert told("fixed-rows", by_place) == "done"


def test_other_dtypes_are_refused_in_the_graphs_words() -> None:
    floats = torch.zeros(4, 32)
    found = judge("fixed-rows", lambda graph, _: graph(input_ids=floats, attention_mask=floats))
    assert found.mistake == "refused"
    assert "float32" in found.text


# Graphs for a hundred texts


@pytest.mark.parametrize(
    ("graphs", "said"),
    [
        ([(24, 33), (12, 56), (8, 127)], "done"),
        ([[8, 127], [24, 33], [12, 56]], "done"),
        ([(..., ...), (..., ...), (..., ...)], "not-yet"),
        ([(24, 20), (24, 33), (12, 56), (8, 127)], "too-many"),
        ([(24, 33), (12, 127), (8, 127)], "same-length"),
        ([(24, 33), (12, 56), (8, 100)], "too-short"),
        ([(4, 33), (4, 56), (4, 127)], "many-calls"),
        ([(16, 33), (16, 56), (16, 127)], "filler"),
        ([(18, 33), (15, 56), (9, 127)], "filler"),
        ([(10, 127)], "padding"),
        ([(0, 127)], "type"),
        ([24, 12, 8], "type"),
        ([], "type"),
        ([(24, 33), (12.5, 127)], "type"),
    ],
)
def test_graphs_are_judged_by_what_they_compute(graphs: Any, said: str) -> None:
    assert told("graphs-for-texts", graphs) == said


# Any of them


@pytest.mark.parametrize("name", ["by-position", "pass-preflight", "fixed-rows"])
def test_an_answer_of_another_kind_is_told_what_the_exercise_takes(name: str) -> None:
    found = judge(name, 7)
    assert found.kind == "type"
    assert "This exercise takes" in found.text


def broken(*_: Any) -> None:
    raise ZeroDivisionError


class Broken(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return broken(input_ids, attention_mask)


@pytest.mark.parametrize(
    ("name", "answer"),
    [("by-position", broken), ("fixed-rows", broken), ("pass-preflight", Broken)],
)
def test_an_exception_is_told_with_its_line(name: str, answer: Any) -> None:
    found = judge(name, answer)
    assert found.kind == "raises"
    assert "raise ZeroDivisionError" in found.text


@pytest.mark.parametrize("name", ["by-position", "fixed-rows"])
def test_a_function_that_returns_the_dots_is_the_starter(name: str) -> None:
    assert judge(name, lambda *_: ...).kind == "not-yet"
