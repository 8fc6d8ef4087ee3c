"""Answers to the exercises of notebook 04."""

from __future__ import annotations

from statistics import mean
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.practice.exercises.judging import judge, verdict
from tsnb.lengths.batching import plan_dynamic
from tsnb.practice.exercises import inference
from tsnb.practice.exercises.base import embedded

if TYPE_CHECKING:
    from collections.abc import Callable

    Lengths = list[int]

COUNTED = {"longest": 180, "sorted": 111, "padding": 0.56}


def read(traced: Any, pairs: Any, *, ones: bool = False, first: bool = False) -> list[tuple[str, float]]:
    tokenizer = embedded()[1]
    batch = tokenizer(pairs, padding=True, return_tensors="pt")
    if ones:
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    logits = traced(**batch)["logits"]
    blanks = [row.index(tokenizer.mask_token_id) for row in batch["input_ids"].tolist()]
    if first:
        blanks = blanks[:1] * len(blanks)
    best = logits[range(len(pairs)), blanks].softmax(-1).max(-1)
    return [(tokenizer.decode(i), p.item()) for p, i in zip(*best, strict=True)]


def fill(fits: Callable[[Lengths, int, int], bool], *, in_order: bool = False) -> Any:
    """Return a plan that fills batches, from the shortest text, as long as (lengths, most, longest) fit."""

    def plan(lengths: Lengths, most: int) -> list[list[int]]:
        assert max(lengths) <= most
        batches: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda index: 0 if in_order else lengths[index]):
            if batches and fits([lengths[i] for i in [*batches[-1], index]], most, max(lengths)):
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    return plan


def within(row: Lengths, most: int, _: int) -> bool:
    return len(row) * max(row) <= most


plan = fill(within)


def race(  # noqa: PLR0913, one switch for each mistake
    candidates: dict[str, Any],
    texts: list[str],
    clock: Callable[[], float],
    *,
    within: float = 1e-4,
    warm_up: int = 2,
    turns: bool = True,
    best: Callable[[list[float]], float] = min,
    rounds: int = 5,
) -> dict[str, float]:
    expected = candidates["eager"](texts)
    same = [
        name
        for name, run in candidates.items()
        if name == "eager" or float((run(texts) - expected).abs().max()) <= within
    ]
    for name in same * (warm_up - 1):
        candidates[name](texts)
    seconds: dict[str, list[float]] = {name: [] for name in same}
    for name in same * rounds if turns else [name for name in same for _ in range(rounds)]:
        start = clock()
        candidates[name](texts)
        seconds[name].append(clock() - start)
    return {name: best(times) for name, times in seconds.items()}


def racing(**other: Any) -> Callable[..., Any]:
    return lambda *arguments: race(*arguments, **other)


ANSWERS: list[tuple[str, Any, str]] = [
    ("fill-batch", read, "done"),
    ("fill-batch", lambda traced, pairs: read(traced, pairs, first=True), "first-row"),
    ("fill-batch", lambda traced, pairs: read(traced, pairs, ones=True), "all-ones"),
    ("fill-batch", lambda *_: {"henson": 0.9}, "type"),
    ("fill-batch", lambda _, pairs: [("jim", float("nan"))] * len(pairs), "wrong"),
    ("count-padding", COUNTED, "done"),
    ("count-padding", COUNTED | {"longest": 80}, "tokens-only"),
    ("count-padding", COUNTED | {"sorted": 3 * 30 + 3 * 24}, "arrival"),
    ("count-padding", COUNTED | {"longest": float("nan")}, "wrong"),
    ("plan-batches", plan, "done"),
    ("plan-batches", lambda lengths, most: (b.indices for b in plan_dynamic(lengths, most)), "done"),
    ("plan-batches", lambda lengths, most: plan(lengths, most)[:-1], "not-once"),
    ("plan-batches", fill(lambda row, most, _: sum(row) <= most), "real-tokens"),
    ("plan-batches", lambda lengths, _: [[*range(len(lengths))]], "wrong"),
    ("plan-batches", fill(within, in_order=True), "padding"),
    ("plan-batches", fill(lambda row, most, longest: len(row) * longest <= most), "many-batches"),
    ("mend-race", race, "done"),
    ("mend-race", lambda *arguments: race(*arguments) | {"rounded": None}, "done"),
    ("mend-race", racing(within=1.0), "kept"),
    ("mend-race", racing(warm_up=1, best=mean), "first-calls"),
    ("mend-race", racing(turns=False), "no-turns"),
    ("mend-race", racing(best=mean), "mean"),
    ("mend-race", lambda candidates, texts, _: race(candidates, texts, perf_counter), "wrong"),
]


@pytest.mark.parametrize("rounds", [2, 3, 11])
def test_the_quickest_of_rounds_in_turns_is_right_however_many(rounds: int) -> None:
    assert verdict("mend-race", racing(rounds=rounds, warm_up=4)) == "done"


def test_values_are_filled_in() -> None:
    counted = COUNTED | {"sorted": 96, "padding": 0.6}
    assert "1 of 3 are right; look again at `sorted`, `padding`." in judge("count-padding", counted).text
    assert "from 56% to 28%" in judge("count-padding", COUNTED).text
    ones = judge("fill-batch", lambda traced, pairs: read(traced, pairs, ones=True))
    assert "Where was Nora ? [MASK]" in ones.text
    assert "`planned` takes 0." in judge("mend-race", racing(turns=False)).text


def test_the_ways_to_read_are_told_apart_by_far() -> None:
    alone = inference.readings()["done"]
    for name in ("all-ones", "first-row", "not-yet"):
        assert max(map(inference.gap, inference.readings()[name], alone)) > 100 * inference.SHARE, name
