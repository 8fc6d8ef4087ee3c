"""Answers to the exercises of notebook 05."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from tsnb.practice.exercises.neuron_conversion import PREDICTED
from tsnb.practice.exercises.small_models import Classifier

LISTED = {name: name not in {"embedding", "scaled_dot_product_attention"} for name in PREDICTED}


def in_order(model: Any, inputs: dict[str, Any]) -> tuple[Any, ...]:
    names = inspect.signature(model.forward).parameters
    return tuple(inputs[name] for name in names if name in inputs)


def named(*names: str) -> Any:
    return lambda _, inputs: tuple(inputs[name] for name in names if name in inputs)


class Passing(Classifier):
    """A classifier in single operators; those below change a part of it."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        hidden = self.embedding(input_ids)
        scores = self.scaled(hidden @ hidden.transpose(1, 2))
        weights = scores.masked_fill(self.hides(attention_mask)[:, None], -1e4).softmax(-1)
        return self.returned(self.scores((weights @ hidden)[:, 0]))

    def scaled(self, scores: torch.Tensor) -> Any:
        return scores / 32**0.5

    def hides(self, mask: torch.Tensor) -> torch.Tensor:
        return mask.eq(0)

    def returned(self, scores: torch.Tensor) -> Any:
        return scores


def changed(**parts: Any) -> type[nn.Module]:
    """Return the class with some of its parts changed."""
    return type("Changed", (Passing,), {name: staticmethod(part) for name, part in parts.items()})


class Fused(Classifier):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return super().forward(input_ids, attention_mask)["scores"]


class Frozen(Passing):
    """Adds, for each length but 16, a number that Python computed."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return super().forward(input_ids, attention_mask) + abs(int(input_ids.shape[1]) - 16)


def run(graph: Any, rows: list[list[int]], *, batch: int = 4, height: int = 4, hidden: int = 0) -> list[torch.Tensor]:
    results: list[torch.Tensor] = []
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        ids = torch.zeros(height or len(part), 32, dtype=torch.int64)
        mask = torch.full_like(ids, hidden)
        for place, row in enumerate(part):
            ids[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = 1
        logits = graph(input_ids=ids, attention_mask=mask)["logits"]
        results += [logits[place, : len(row)] for place, row in enumerate(part)]
    return results


def padded(graph: Any, rows: list[list[int]]) -> list[torch.Tensor]:
    ones = torch.ones(4, 32, dtype=torch.int64)
    return [graph(ones, ones.clone())["logits"][0] for _ in rows]


def floats(graph: Any, _: Any) -> Any:
    return graph(input_ids=torch.zeros(4, 32), attention_mask=torch.zeros(4, 32))


ANSWERS: list[tuple[str, Any, str]] = [
    ("by-position", in_order, "done"),
    ("by-position", lambda model, inputs: list(in_order(model, inputs)), "not-a-tuple"),
    ("by-position", named("input_ids", "attention_mask", "token_type_ids"), "one-model"),
    ("by-position", lambda _, inputs: tuple(inputs.values())[::-1], "wrong"),
    ("on-the-list", LISTED, "done"),
    ("on-the-list", LISTED | {"scaled_dot_product_attention": True, "embedding": True}, "newer"),
    ("on-the-list", LISTED | {"embedding": True, "gelu": False}, "on-the-cpu"),
    ("on-the-list", LISTED | {"gelu": False}, "feared"),
    ("pass-preflight", Passing, "done"),
    ("pass-preflight", changed(returned=lambda scores: (scores,)), "done"),
    ("pass-preflight", changed(returned=lambda scores: {"scores": scores}), "not-yet"),
    ("pass-preflight", Fused, "still-fused"),
    ("pass-preflight", changed(hides=lambda mask: mask != mask), "no-mask"),  # noqa: PLR0124, nothing is hidden
    ("pass-preflight", changed(hides=lambda mask: ~mask.bool()), "unlisted"),
    ("pass-preflight", changed(scaled=lambda scores: scores), "wrong"),
    ("pass-preflight", changed(scaled=lambda scores: scores * float("nan")), "wrong"),
    ("pass-preflight", Frozen, "wrong"),
    ("pass-preflight", nn.Linear, "type"),
    ("fixed-rows", run, "done"),
    ("fixed-rows", lambda graph, rows: run(graph, rows, height=0), "short-batch"),
    ("fixed-rows", floats, "raises"),
    ("fixed-rows", padded, "wrong"),
    ("fixed-rows", lambda graph, rows: run(graph, rows, hidden=1), "no-mask"),
    ("fixed-rows", lambda graph, rows: run(graph, sorted(rows, key=len)), "wrong"),
    ("graphs-for-texts", [[8, 127], [24, 33], [12, 56]], "done"),
    ("graphs-for-texts", [(24, 20), (24, 33), (12, 56), (8, 127)], "too-many"),
    ("graphs-for-texts", [(24, 33), (12, 56), (8, 100)], "too-short"),
    ("graphs-for-texts", [(4, 33), (4, 56), (4, 127)], "many-calls"),
    ("graphs-for-texts", [(16, 33), (16, 56), (16, 127)], "filler"),
    ("graphs-for-texts", [(10, 127)], "wrong"),
    ("graphs-for-texts", [(0, 127)], "type"),
]
