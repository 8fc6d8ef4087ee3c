"""Wrong answers to the exercises of notebook 04, and what is said about each."""

from __future__ import annotations

from statistics import mean, median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import tsnb
from tests.practice.exercises.judging import judge, told
from tsnb.lengths.batching import plan_dynamic
from tsnb.practice.exercises import exercise
from tsnb.practice.exercises import inference as exercises
from tsnb.practice.exercises.warm_machine import ERRORS, SECONDS, Machine

if TYPE_CHECKING:
    from collections.abc import Callable

    Plan = Callable[[list[int], int], Any]

SIX = [5, 30, 8, 6, 24, 7]


# Mend the reader of a batch


def read(traced: Any, pairs: Any, *, ones: bool = False, first: bool = False) -> list[tuple[str, float]]:
    _, tokenizer = tsnb.load("tiny-bert")
    batch = tokenizer(pairs, padding=True, return_tensors="pt")
    if ones:
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    logits = traced(**batch)["logits"]
    places = [row.index(tokenizer.mask_token_id) for row in batch["input_ids"].tolist()]
    if first:
        places = places[:1] * len(places)
    best = logits[range(len(pairs)), places].softmax(-1).max(-1)
    return [(tokenizer.decode(i), p.item()) for p, i in zip(*best, strict=True)]


def through_the_module(traced: Any, pairs: Any) -> list[list[Any]]:
    """Call the plain ScriptModule, and return what may stand in place of tuples and floats."""
    called = lambda **batch: {"logits": traced.module(**batch)[0]}  # noqa: E731
    return [[word, torch.tensor(share)] for word, share in read(called, pairs)]


READERS: dict[str, Callable[[Any, Any], Any]] = {
    "not-yet": lambda traced, pairs: read(traced, pairs, ones=True, first=True),
    "first-row": lambda traced, pairs: read(traced, pairs, first=True),
    "all-ones": lambda traced, pairs: read(traced, pairs, ones=True),
    "row-a-call": lambda traced, pairs: [read(traced, [pair])[0] for pair in pairs],
    "no-call": lambda _, pairs: read(exercises._trace(), pairs),
    "no-probability": lambda traced, pairs: [(word, 15.0) for word, _ in read(traced, pairs)],
    "other-order": lambda traced, pairs: read(traced, pairs)[::-1],
    "other-count": lambda traced, pairs: read(traced, pairs)[:1],
    "no-pairs": lambda traced, pairs: [word for word, _ in read(traced, pairs)],
    "wrong": lambda traced, pairs: [(word, share / 2) for word, share in read(traced, pairs)],
    "done": read,
}


@pytest.mark.parametrize("said", READERS)
def test_a_reader_is_compared_with_the_texts_alone(said: str) -> None:
    assert told("fill-batch", READERS[said]) == said


def with_three_decimals(traced: Any, pairs: Any) -> list[tuple[str, float]]:
    return [(word, round(share, 3)) for word, share in read(traced, pairs)]


@pytest.mark.parametrize("answer", [through_the_module, with_three_decimals])
def test_other_forms_of_a_right_answer_are_right(answer: Any) -> None:
    assert told("fill-batch", answer) == "done"


def test_the_kinds_in_a_pair_are_told() -> None:
    found = judge("fill-batch", lambda _, pairs: [(434, 0.9)] * len(pairs))
    assert "`list of tuple of int and float`" in found.text


@pytest.mark.parametrize(
    "found", [None, "henson", {"henson": 0.9}, [None], [("henson", "0.9")], [("henson", 0.9, 1)]]
)
def test_a_reader_that_returns_something_else_is_told_so(found: Any) -> None:
    assert told("fill-batch", lambda *_: found) == "no-pairs"


def test_a_probability_that_is_no_number_is_wrong() -> None:
    nan = lambda _, pairs: [("jim", float("nan"))] * len(pairs)  # noqa: E731
    assert told("fill-batch", nan) == "wrong"


def test_the_ways_to_read_are_told_apart_by_far() -> None:
    alone = exercises._readings()["alone"]
    for name in ("ones", "first", "starter"):
        gaps = map(exercises._gap, exercises._readings()[name], alone)
        assert max(gaps) > 100 * exercises.TOLERANCE, name


def test_a_batch_read_rightly_is_as_the_texts_alone() -> None:
    found = [filled for batch in exercises.PAIRS for filled in exercises._read(batch)]
    assert exercises._agree(found, exercises._readings()["alone"])


def test_an_example_is_named() -> None:
    text = judge("fill-batch", READERS["all-ones"]).text
    assert "Where was Nora ? [MASK]" in text


# Count the padding

COUNTED = {"longest": 180, "sorted": 111, "padding": 0.56}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "done"),
        ({"longest": 180.0, "padding": 1 - 80 / 180}, "done"),
        ({"longest": np.int64(180), "padding": np.float64(0.5556)}, "done"),
        ({"padding": ...}, "not-yet"),
        ({"longest": 80}, "tokens-only"),
        ({"sorted": sum(SIX)}, "tokens-only"),
        ({"longest": 100}, "padding-only"),
        ({"sorted": 180}, "one-length"),
        ({"sorted": 3 * 30 + 3 * 24}, "arrival"),
        ({"padding": 56}, "percent"),
        ({"padding": 100 / 80}, "of-tokens"),
        ({"padding": 80 / 180}, "real-share"),
        ({"padding": 31 / 111}, "of-sorted"),
        ({"padding": 100}, "no-share"),
        ({"padding": 0.5}, "wrong"),
        ({"longest": float("nan")}, "wrong"),
        ({"sorted": "111"}, "type"),
        ({"sorted": True}, "type"),
        ({"batches": 2}, "type"),
    ],
)
def test_counted_places_are_compared(changed: dict[str, Any], said: str) -> None:
    assert told("count-padding", COUNTED | changed) == said


def test_the_wrong_number_is_named() -> None:
    text = judge("count-padding", COUNTED | {"sorted": 96, "padding": 0.6}).text
    assert "1 of 3 are right; look again at `sorted`, `padding`." in text


def test_the_shares_are_filled_in() -> None:
    assert "from 56% to 28%" in judge("count-padding", COUNTED).text


# Plan your own batches


def in_order(order: list[int], lengths: list[int], fits: Callable[[list[int]], bool]) -> Any:
    """Fill batches in an order, as long as the lengths of one fit."""
    batches: list[list[int]] = []
    for index in order:
        if batches and fits([lengths[i] for i in [*batches[-1], index]]):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def shortest_first(lengths: list[int], budget: int) -> Any:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return in_order(order, lengths, lambda row: len(row) * max(row) <= budget)


def longest_first(lengths: list[int], budget: int) -> Any:
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return in_order(order, lengths, lambda row: len(row) * max(row) <= budget)


def of_real_tokens(lengths: list[int], budget: int) -> Any:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return in_order(order, lengths, lambda row: sum(row) <= budget)


def as_they_come(lengths: list[int], budget: int) -> Any:
    return in_order(list(range(len(lengths))), lengths, lambda row: len(row) * max(row) <= budget)


def of_one_size(lengths: list[int], budget: int) -> Any:
    rows = budget // max(lengths)
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def of_many_texts(lengths: list[int], budget: int) -> Any:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[start : start + budget] for start in range(0, len(order), budget)]


def in_any_order(lengths: list[int], budget: int) -> Any:
    order = np.random.default_rng(0).permutation(len(lengths)).tolist()
    return in_order(order, lengths, lambda row: len(row) * max(row) <= budget)


def one_too_many(lengths: list[int], budget: int) -> Any:
    """Ask whether the batch is full when the text is already in it."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return in_order(order, lengths, lambda row: len(row[:-1]) * max(row[:-1]) <= budget)


def by_the_text_in_hand(lengths: list[int], budget: int) -> Any:
    order = list(range(len(lengths)))
    return in_order(order, lengths, lambda row: len(row) * row[-1] <= budget)


def sorting_the_list(lengths: list[int], budget: int) -> Any:
    lengths.sort()
    return as_they_come(lengths, budget)


PLANS: dict[str, Plan] = {
    "not-yet": lambda lengths, _: [[index] for index in range(len(lengths))],
    "no-indices": lambda *_: None,
    "lengths": lambda lengths, budget: [
        [lengths[index] for index in batch] for batch in shortest_first(lengths, budget)
    ],
    "unknown": lambda lengths, budget: [
        [index + 1 for index in batch] for batch in shortest_first(lengths, budget)
    ],
    "twice": lambda lengths, budget: [*shortest_first(lengths, budget), [0]],
    "lost": lambda lengths, budget: shortest_first(lengths, budget)[:-1],
    "empty": lambda lengths, budget: [[], *shortest_first(lengths, budget)],
    "real-tokens": of_real_tokens,
    "sorted-list": sorting_the_list,
    "one-more": one_too_many,
    "by-last": by_the_text_in_hand,
    "over-budget": of_many_texts,
    "arrival": as_they_come,
    "padding": in_any_order,
    "many-batches": of_one_size,
    "done": shortest_first,
}


@pytest.mark.parametrize("said", PLANS)
def test_a_plan_is_judged_by_what_its_batches_compute(said: str) -> None:
    assert told("plan-batches", PLANS[said]) == said


@pytest.mark.parametrize(
    "plan",
    [
        longest_first,
        lambda lengths, budget: tuple(map(tuple, longest_first(lengths, budget))),
        lambda lengths, budget: [np.array(batch) for batch in shortest_first(lengths, budget)],
        lambda lengths, budget: (batch.indices for batch in plan_dynamic(lengths, budget)),
    ],
)
def test_other_plans_and_forms_are_right(plan: Plan) -> None:
    assert told("plan-batches", plan) == "done"


def test_a_plan_of_everything_in_one_batch_is_over_the_budget() -> None:
    assert told("plan-batches", lambda lengths, _: [list(range(len(lengths)))]) == "over-budget"


@pytest.mark.parametrize("found", [7, [1, 2], ["ab"], [[None]]])
def test_what_is_no_list_of_lists_of_indices_is_told_so(found: Any) -> None:
    assert told("plan-batches", lambda *_: found) == "no-indices"


def test_a_plan_for_one_set_only_is_told_about_the_other() -> None:
    first = len(exercises._tasks()[0][0])

    def for_a_thousand(lengths: list[int], budget: int) -> Any:
        return (shortest_first if len(lengths) == first else as_they_come)(lengths, budget)

    found = judge("plan-batches", for_a_thousand)
    assert found.mistake == "arrival"


def test_no_text_of_a_set_is_longer_than_its_budget() -> None:
    for lengths, budget in exercises._tasks():
        assert 0 < max(lengths) <= budget


def test_the_readers_own_list_may_be_changed() -> None:
    def emptying(lengths: list[int], budget: int) -> Any:
        batches = shortest_first(lengths, budget)
        lengths.clear()
        return batches

    assert told("plan-batches", emptying) == "done"


# Mend the race


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
    found = {name: run(texts) for name, run in candidates.items() if name != "eager"}
    gaps = {name: float((held - expected).abs().max()) for name, held in found.items()}
    same = ["eager", *(name for name, gap in gaps.items() if gap <= within)]
    for name in same * (warm_up - 1):
        candidates[name](texts)
    order = same * rounds if turns else [name for name in same for _ in range(rounds)]
    seconds: dict[str, list[float]] = {name: [] for name in same}
    for name in order:
        start = clock()
        candidates[name](texts)
        seconds[name].append(clock() - start)
    return {name: best(held) for name, held in seconds.items()}


def starter(candidates: Any, texts: Any, clock: Any, rounds: int = 5) -> dict[str, float]:
    seconds = {}
    for name, run in candidates.items():
        start = clock()
        for _ in range(rounds):
            run(texts)
        seconds[name] = (clock() - start) / rounds
    return seconds


def without(answer: Any, *names: str) -> Any:
    """Return the starter with some candidates left out, and nothing else mended."""
    return lambda candidates, *others: answer(
        {name: run for name, run in candidates.items() if name not in names}, *others
    )


def other(**changed: Any) -> Any:
    return lambda *given: race(*given, **changed)


def with_signs(candidates: Any, texts: Any, clock: Any) -> dict[str, float]:
    """Compare without `abs`: results that are too small pass."""
    expected = candidates["eager"](texts)
    kept = {name: run for name, run in candidates.items() if (run(texts) - expected).max() <= 1e-4}
    return race(kept, texts, clock, within=1.0)


RACES: list[tuple[Any, str]] = [
    (with_signs, "kept"),
    (starter, "not-yet"),
    (other(), "done"),
    (other(best=median), "done"),
    (other(rounds=2), "done"),
    (other(warm_up=4), "done"),
    (other(within=1.0), "kept"),
    (other(within=0.0), "dropped"),
    (without(starter, "rounded"), "first-calls"),
    (other(warm_up=1, best=mean), "first-calls"),
    (other(warm_up=1, best=sum), "first-calls"),
    (other(turns=False), "no-turns"),
    (other(best=mean), "mean"),
    (other(best=sum), "mean"),
    (lambda *given: race(*given) | {"planned": 9.9}, "wrong"),
    (lambda *_: None, "no-seconds"),
    (lambda *_: {"eager": "fast"}, "no-seconds"),
    (lambda *_: {}, "dropped"),
    (lambda *_: ..., "not-yet"),
    (lambda candidates, *_: dict.fromkeys(candidates, ...), "not-yet"),
    (7, "type"),
]


@pytest.mark.parametrize(("answer", "said"), RACES)
def test_a_race_is_judged_by_its_numbers_and_its_calls(answer: Any, said: str) -> None:
    assert told("mend-race", answer) == said


def test_a_candidate_that_is_marked_as_no_time_is_left_out() -> None:
    for mark in (None, float("nan"), float("inf")):
        assert told("mend-race", lambda *given: race(*given) | {"rounded": mark}) == "done"  # noqa: B023


def test_another_clock_is_told() -> None:
    from time import perf_counter

    def own(candidates: Any, texts: Any, _: Any) -> dict[str, float]:
        return race(candidates, texts, perf_counter)

    assert told("mend-race", own) == "other-clock"


@pytest.mark.parametrize("rounds", range(2, 12))
@pytest.mark.parametrize("warm_up", [2, 3, 4])
def test_the_quickest_of_rounds_in_turns_is_right_however_many(rounds: int, warm_up: int) -> None:
    assert told("mend-race", other(rounds=rounds, warm_up=warm_up)) == "done"


@pytest.mark.parametrize("rounds", range(3, 12))
def test_a_mean_with_a_disturbed_round_is_not(rounds: int) -> None:
    assert told("mend-race", other(rounds=rounds, best=mean)) == "mean"


def test_without_turns_the_last_candidate_seems_slower() -> None:
    text = judge("mend-race", other(turns=False)).text
    assert "`planned` takes 0.4" in text


def test_a_loop_that_waits_for_the_clock_ends() -> None:
    machine = Machine()
    while machine.clock() < 0.1:
        pass
    assert machine.calls == []


def test_the_machine_has_a_candidate_with_other_results_which_is_the_quickest() -> None:
    other_results = [name for name, error in ERRORS.items() if abs(error) > exercises.TOLERANCE]
    assert other_results == [min(SECONDS, key=SECONDS.__getitem__)]


# Any of them

FUNCTIONS = ("fill-batch", "plan-batches", "mend-race")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_answer_of_another_kind_is_told_what_the_exercise_takes(name: str) -> None:
    found = judge(name, [1])
    assert found.kind == "type"
    assert "This exercise takes a function" in found.text


def broken(*_: Any) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_exception_is_told_with_its_line(name: str) -> None:
    found = judge(name, broken)
    assert found.kind == "raises"
    assert "raise ZeroDivisionError" in found.text


def endless(*_: Any) -> None:
    while True:
        pass


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_loop_that_never_ends_is_stopped(name: str) -> None:
    assert exercise(name).judge(endless, 0.3).kind == "time"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_returns_the_dots_is_the_starter(name: str) -> None:
    assert judge(name, lambda *_: ...).kind == "not-yet"
