"""What padding costs: four plans, counted by hand and by what the Runner really computes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tsnb
from tsnb.inference import runner as inference
from tsnb.inference.runner import MAX_TOKENS
from tsnb.lengths import padding
from tsnb.lengths.lengths import Geometry, flops, length_report
from tsnb.lengths.padding import PaddingReport, default_length, padding_cost
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.lengths.padding import PlanName

NAMES: tuple[PlanName, ...] = ("max", "arrival", "buckets", "sorted")
SOME = [5, 30, 6, 9, 12, 31]
RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(3.3, 0.6, 5000).astype(np.int64), 5, 300)
MINI = Geometry(6, 384, 1536)


def refused(*given: Any, **named: Any) -> str:
    with pytest.raises(tsnb.InputError) as caught:
        padding_cost(*given, **named)
    return str(caught.value)


# what is counted


def test_by_hand() -> None:
    found = padding_cost(SOME, 40, batch_size=2, buckets=2, max_tokens=64)
    assert found.edges == (12, 31)
    assert found.computed == {
        "max": 6 * 40,
        "arrival": 2 * 30 + 2 * 9 + 2 * 31,
        "buckets": 2 * (2 * 12) + 2 * 31,
        "sorted": 4 * 12 + 2 * 31,
    }
    assert {plan.real for plan in found.plans.values()} == {sum(SOME)}
    assert found.plans["max"].tokens_ratio == 240 / 93
    assert found.plans["max"].padding_share == pytest.approx(147 / 240)


@pytest.mark.parametrize("lengths", [REAL, MANY, SOME, [7], [7] * 20])
@pytest.mark.parametrize("max_length", [None, 16, 400])
def test_every_plan_runs_every_text_once_and_none_is_too_long(lengths: Any, max_length: int | None) -> None:
    found = padding_cost(lengths, max_length)
    for plan in found.plans.values():
        assert sorted(i for batch in plan.batches for i in batch.indices) == [*range(len(lengths))]
        assert plan.computed == sum(batch.tokens for batch in plan.batches)
        for batch in plan.batches:
            assert len(batch.indices) <= batch.rows
            assert max(found.lengths[index] for index in batch.indices) <= batch.length


@pytest.mark.parametrize("max_length", [24, 64, 128, 200])
def test_padded_to_the_max_length_is_what_the_length_report_says(max_length: int) -> None:
    found, report = padding_cost(REAL, max_length), length_report(REAL, max_length)
    assert found.computed["max"] == report.computed_tokens
    assert found.plans["max"].padding_share == pytest.approx(report.padding_share)
    assert (found.cut_texts, found.cut_tokens) == (report.cut_texts, report.cut_tokens)


@pytest.mark.parametrize("size", [1, 8, 33])
@pytest.mark.parametrize("buckets", [1, 4, 12])
def test_buckets_are_the_length_report_and_the_rows_that_fill_up(size: int, buckets: int) -> None:
    found = padding_cost(REAL, batch_size=size, buckets=buckets)
    report = length_report(REAL, 128, buckets=found.edges)
    batches = found.plans["buckets"].batches
    filler = sum((batch.rows - len(batch.indices)) * batch.length for batch in batches)
    assert found.computed["buckets"] == report.computed_tokens + filler
    assert {batch.rows for batch in batches} == {size}
    assert filler < buckets * size * 128
    assert size > 1 or not filler


@pytest.mark.parametrize("size", [1, 7, 8, 64, 5000])
def test_arrival_order_is_kept(size: int) -> None:
    plan = padding_cost(REAL, batch_size=size).plans["arrival"]
    parts = [REAL[first : first + size] for first in range(0, len(REAL), size)]
    assert plan.computed == sum(len(part) * part.max() for part in parts)
    assert [i for batch in plan.batches for i in batch.indices] == [*range(1000)]
    assert size > 1 or plan.padding_share == 0


@pytest.mark.parametrize("geometry", [MINI, Geometry(12, 768, 3072)])
def test_operations_are_those_of_every_row(geometry: Geometry) -> None:
    found = padding_cost(REAL, 100, geometry=geometry)
    least = sum(flops(min(int(length), 100), geometry) for length in REAL)
    for plan in found.plans.values():
        spent = sum(flops(batch.length, geometry) * batch.rows for batch in plan.batches)
        assert plan.flops_ratio == pytest.approx(spent / least)
    assert found.edges == tuple(tsnb.plan_buckets(np.minimum(REAL, 100), 4, geometry=geometry))


def test_long_rows_cost_more_operations_than_tokens() -> None:
    plan = padding_cost(REAL, geometry=MINI).plans["max"]
    assert plan.flops_ratio is not None
    assert plan.flops_ratio > plan.tokens_ratio
    assert padding_cost(REAL).plans["max"].flops_ratio is None


def test_the_lesson_on_texts_of_mixed_length() -> None:
    found = padding_cost(REAL).computed
    assert found["max"] > found["arrival"] > found["buckets"] > found["sorted"] > REAL.sum()


def test_lengths_that_are_all_the_same_need_no_padding() -> None:
    found = padding_cost([16] * 64)
    assert {plan.tokens_ratio for plan in found.plans.values()} == {1.0}
    assert found.edges == (16,)


# as the Runner computes


def texts() -> list[str]:
    return corpus.texts(60, longest=60)


@pytest.fixture(params=[None, 7])
def window(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the Runner hold few texts at once, or as many as it likes."""
    if request.param:
        for module in (inference, padding):
            monkeypatch.setattr(module, "WINDOW", request.param)
    return request.param


@pytest.mark.parametrize("max_tokens", [64, MAX_TOKENS])
@pytest.mark.usefixtures("window")
def test_sorted_is_what_the_runner_computes(
    load: Callable[..., Any], traced: Callable[..., Any], max_tokens: int
) -> None:
    tokenizer = load()[1]
    runner = tsnb.Runner(traced(), tokenizer, max_tokens=max_tokens)
    assert runner.dynamic
    runner(texts())
    found = padding_cost(tsnb.token_lengths(tokenizer, texts()), max_tokens=max_tokens).plans["sorted"]
    assert (runner.work.computed, runner.work.real) == (found.computed, found.real)
    assert runner.work.share == pytest.approx(1 - found.padding_share)


@pytest.mark.usefixtures("window")
def test_buckets_are_what_the_runner_computes_with_fixed_shapes(
    load: Callable[..., Any], traced: Callable[..., Any]
) -> None:
    tokenizer = load()[1]
    found = padding_cost(tsnb.token_lengths(tokenizer, texts()), batch_size=4, buckets=2)
    runner = tsnb.Runner([traced(length=edge, size=4) for edge in found.edges], tokenizer)
    assert not runner.dynamic
    runner(texts())
    assert runner.work.computed == found.computed["buckets"]


def test_many_texts_are_planned_in_windows() -> None:
    """The Runner holds 2,048 texts at once; a batch never has texts of two windows."""
    assert len(MANY) > 2 * inference.WINDOW
    found = padding_cost(MANY)
    for name in ("buckets", "sorted"):
        for batch in found.plans[name].batches:
            assert len({index // inference.WINDOW for index in batch.indices}) == 1


# choices


def test_the_longest_is_rounded_up_to_a_multiple_of_8() -> None:
    assert [default_length([length]) for length in (1, 8, 9, 127, 128)] == [8, 8, 16, 128, 128]
    assert padding_cost([3, 17]).max_length == 24


def test_texts_that_are_cut_are_told() -> None:
    found = padding_cost([5, 9, 12, 30], 10)
    assert (found.cut_texts, found.cut_tokens) == (2, 22)
    assert found.lengths == (5, 9, 10, 10)
    assert found.cut() == "2 of 4 texts are cut to 10 tokens; 22 tokens are lost"
    assert str(found).endswith(found.cut())


def test_thousands_are_apart_in_every_number() -> None:
    found = padding_cost([600, 25_304, 60_000], 50_000, buckets=3, max_tokens=60_000)
    assert "padded to 50,000" in str(found)
    assert "bucket edges: 600, 25,304, 50,000" in str(found)
    assert "cut to 50,000 tokens" in found.cut()


def test_without_a_cut_nothing_is_said_of_it() -> None:
    assert padding_cost(SOME).cut() == ""
    assert "cut" not in str(padding_cost(SOME))


def test_more_buckets_than_lengths_are_as_many_as_there_are_lengths() -> None:
    found = padding_cost([5, 5, 9], buckets=12)
    assert found.edges == (5, 9)
    assert found.plans["buckets"].label == "2 buckets, batches of 8"
    assert padding_cost(SOME, buckets=1).plans["buckets"].label == "1 bucket, batches of 8"


def test_any_list_of_lengths_and_numbers_of_numpy_will_do() -> None:
    expected = padding_cost(SOME, 32, buckets=2)
    assert padding_cost(np.array(SOME, dtype=np.int16), np.int64(32), buckets=2) == expected  # type: ignore[arg-type]
    assert padding_cost(tuple(SOME), 32, buckets=2) == expected


# bad input


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "There are no lengths."),
        ([5, 0], "got 0."),
        ([5, 2.5], "got 2.5."),
        ("5 6", "got str."),
        (["jim"], "got jim."),
        (None, "got NoneType."),
    ],
)
def test_lengths_that_are_none(given: Any, said: str) -> None:
    assert said in refused(given)


@pytest.mark.parametrize("name", ["max_length", "batch_size", "buckets", "max_tokens"])
@pytest.mark.parametrize("given", [0, -1, 2.5, "8", True])
def test_numbers_that_are_none(name: str, given: Any) -> None:
    expected = f"{name} must be a whole number of at least 1; got {given}."
    assert refused(SOME, **{name: given}) == expected


def test_a_budget_that_is_too_small_names_the_text() -> None:
    said = refused([5] * 3000 + [600], max_tokens=512)
    assert said.startswith("Text 3000 has 600 tokens, and the budget of a batch is 512.")
    assert "600 or more" in said
    assert padding_cost([5] * 3000 + [600], 512, max_tokens=512).cut_texts == 1


# as text


def test_the_table() -> None:
    found = str(padding_cost(REAL, 64, geometry=MINI)).splitlines()
    assert re.split(r"  +", found[0]) == [
        "plan",
        "computed",
        "real",
        "padding",
        "no padding = 1",
        "in FLOPs",
    ]
    assert [line.split("  ")[0] for line in found[1:5]] == [
        "padded to 64",
        "batches of 8 in arrival order",
        "4 buckets, batches of 8",
        "Runner: sorted by length, up to 512 tokens a batch",
    ]
    assert len({len(line) for line in found[:5]}) == 1
    assert found[5].startswith("bucket edges: ")
    assert "texts are cut to 64 tokens" in found[6]
    assert len(found) == 7


def test_the_table_has_the_numbers() -> None:
    found = padding_cost(REAL, geometry=MINI)
    for line, plan in zip(str(found).splitlines()[1:], found.plans.values(), strict=False):
        assert plan.flops_ratio is not None
        assert line.split()[-5:] == [
            f"{plan.computed:,}",
            f"{REAL.sum():,}",
            f"{plan.padding_share:.1%}",
            f"{plan.tokens_ratio:.2f}",
            f"{plan.flops_ratio:.2f}",
        ]


def test_without_a_geometry_the_table_has_no_operations() -> None:
    assert "FLOPs" not in str(padding_cost(REAL))


def test_a_report_shows_as_its_table() -> None:
    found = padding_cost(SOME)
    assert repr(found) == str(found)
    assert isinstance(found, PaddingReport)
    assert tuple(found.plans) == tuple(found.computed) == NAMES
    assert tsnb.padding_cost is padding_cost
