"""What answers to the exercises of notebook 04 are told."""

from __future__ import annotations

from statistics import mean, median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.practice.exercises.judging import judge, table, told
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


def in_lists(traced: Any, pairs: Any) -> list[list[Any]]:
    return [[word, torch.tensor(round(share, 3))] for word, share in read(traced, pairs)]


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


def starter(candidates: Any, texts: Any, clock: Any) -> dict[str, float]:
    seconds = {}
    for name, run in candidates.items():
        start = clock()
        for _ in range(5):
            run(texts)
        seconds[name] = (clock() - start) / 5
    return seconds


def without_rounded(candidates: Any, texts: Any, clock: Any) -> dict[str, float]:
    return starter({name: run for name, run in candidates.items() if name != "rounded"}, texts, clock)


ANSWERS: list[tuple[str, Any, str]] = [
    ("fill-batch", read, "done"),
    ("fill-batch", in_lists, "done"),
    ("fill-batch", lambda traced, pairs: read(traced, pairs, ones=True, first=True), "not-yet"),
    ("fill-batch", lambda *_: ..., "not-yet"),
    ("fill-batch", lambda traced, pairs: read(traced, pairs, first=True), "first-row"),
    ("fill-batch", lambda traced, pairs: read(traced, pairs, ones=True), "all-ones"),
    ("fill-batch", lambda traced, pairs: read(traced, pairs)[:1], "type"),
    ("fill-batch", lambda *_: {"henson": 0.9}, "type"),
    ("fill-batch", lambda traced, pairs: read(traced, pairs)[::-1], "wrong"),
    ("fill-batch", lambda _, pairs: [("jim", float("nan"))] * len(pairs), "wrong"),
    ("count-padding", COUNTED, "done"),
    ("count-padding", {"longest": np.int64(180), "sorted": 111.0, "padding": np.float64(0.5556)}, "done"),
    ("count-padding", COUNTED | {"longest": 80}, "tokens-only"),
    ("count-padding", COUNTED | {"sorted": 3 * 30 + 3 * 24}, "arrival"),
    ("count-padding", COUNTED | {"padding": 56}, "percent"),
    ("count-padding", COUNTED | {"padding": 80 / 180}, "real-share"),
    ("count-padding", COUNTED | {"longest": float("nan")}, "wrong"),
    ("count-padding", COUNTED | {"sorted": "111"}, "type"),
    ("count-padding", COUNTED | {"batches": 2}, "type"),
    ("plan-batches", plan, "done"),
    ("plan-batches", lambda lengths, most: (b.indices for b in plan_dynamic(lengths, most)), "done"),
    ("plan-batches", lambda lengths, _: [[index] for index in range(len(lengths))], "not-yet"),
    (
        "plan-batches",
        lambda lengths, most: [[lengths[i] for i in b] for b in plan(lengths, most)],
        "not-once",
    ),
    ("plan-batches", lambda lengths, most: [*plan(lengths, most), [0]], "not-once"),
    ("plan-batches", lambda lengths, most: plan(lengths, most)[:-1], "not-once"),
    ("plan-batches", lambda lengths, most: [[], *plan(lengths, most)], "not-once"),
    ("plan-batches", fill(lambda row, most, _: sum(row) <= most), "real-tokens"),
    ("plan-batches", lambda lengths, _: [[*range(len(lengths))]], "wrong"),
    ("plan-batches", fill(within, in_order=True), "padding"),
    ("plan-batches", fill(lambda row, most, longest: len(row) * longest <= most), "many-batches"),
    ("plan-batches", lambda *_: [1, 2], "type"),
    ("mend-race", race, "done"),
    ("mend-race", racing(best=median, warm_up=4), "done"),
    ("mend-race", lambda *arguments: race(*arguments) | {"rounded": None}, "done"),
    ("mend-race", starter, "not-yet"),
    ("mend-race", lambda *_: ..., "not-yet"),
    ("mend-race", racing(within=1.0), "kept"),
    ("mend-race", racing(within=0.0), "kept"),
    ("mend-race", without_rounded, "first-calls"),
    ("mend-race", racing(warm_up=1, best=mean), "first-calls"),
    ("mend-race", racing(turns=False), "no-turns"),
    ("mend-race", racing(best=mean), "mean"),
    ("mend-race", racing(best=sum), "mean"),
    ("mend-race", lambda candidates, texts, _: race(candidates, texts, perf_counter), "wrong"),
    ("mend-race", lambda *_: None, "type"),
]


@table(ANSWERS)
def test_answers(name: str, answer: Any, expected: str) -> None:
    assert told(name, answer) == expected


@pytest.mark.parametrize("rounds", range(2, 12))
def test_the_quickest_of_rounds_in_turns_is_right_however_many(rounds: int) -> None:
    assert told("mend-race", racing(rounds=rounds)) == "done"
    assert told("mend-race", racing(rounds=rounds, warm_up=4)) == "done"


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
