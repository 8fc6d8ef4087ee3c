"""What padding costs: four plans, counted by hand and by what the Runner really computes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tsnb
from tsnb.inference import runner as inference
from tsnb.lengths import padding
from tsnb.lengths.batching import MAX_TOKENS, WINDOW
from tsnb.lengths.lengths import Geometry, flops, length_report
from tsnb.lengths.padding import padding_cost
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

SOME = [5, 30, 6, 9, 12, 31]
RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(3.3, 0.6, 5000).astype(np.int64), 5, 300)  # more than a window
MINI = Geometry(6, 384, 1536)
TEXTS = corpus.texts(60, longest=60)


# what is counted


@pytest.mark.parametrize("lengths", [REAL, MANY, [7] * 20])
@pytest.mark.parametrize("max_length", [None, 16, 400])
def test_every_plan_runs_every_text_once_and_none_is_too_long(lengths: Any, max_length: int | None) -> None:
    report = padding_cost(lengths, max_length)
    for plan in report.plans.values():
        assert sorted(i for batch in plan.batches for i in batch.indices) == [*range(len(lengths))]
        assert plan.computed == sum(batch.tokens for batch in plan.batches)
        for batch in plan.batches:
            assert len(batch.indices) <= batch.rows
            assert max(report.lengths[index] for index in batch.indices) <= batch.length


@pytest.mark.parametrize(("max_length", "size", "buckets"), [(24, 1, 1), (128, 8, 4), (200, 33, 12)])
def test_padding_is_what_the_length_report_says(max_length: int, size: int, buckets: int) -> None:
    result = padding_cost(REAL, max_length, batch_size=size, buckets=buckets)
    report = length_report(REAL, max_length)
    assert result.computed["max"] == report.computed_tokens
    assert (result.cut_texts, result.cut_tokens) == (report.cut_texts, report.cut_tokens)
    batches = result.plans["buckets"].batches
    filler = sum((batch.rows - len(batch.indices)) * batch.length for batch in batches)
    report = length_report(REAL, max_length, buckets=result.edges)
    assert result.computed["buckets"] == report.computed_tokens + filler
    assert {batch.rows for batch in batches} == {size}
    assert filler < buckets * size * 128
    assert size > 1 or not filler


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_arrival_order_is_kept(size: int) -> None:
    plan = padding_cost(REAL, batch_size=size).plans["arrival"]
    parts = [REAL[first : first + size] for first in range(0, len(REAL), size)]
    assert plan.computed == sum(len(part) * part.max() for part in parts)
    assert [i for batch in plan.batches for i in batch.indices] == [*range(1000)]
    assert size > 1 or plan.padding_share == 0


def test_operations_are_those_of_every_row() -> None:
    report = padding_cost(REAL, 100, geometry=MINI)
    least = sum(flops(min(int(length), 100), MINI) for length in REAL)
    for plan in report.plans.values():
        spent = sum(flops(batch.length, MINI) * batch.rows for batch in plan.batches)
        assert plan.flops_ratio == pytest.approx(spent / least)
        assert spent / least >= plan.tokens_ratio  # long rows cost more operations than tokens
    assert report.edges == tuple(tsnb.plan_buckets(np.minimum(REAL, 100), 4, geometry=MINI))


def test_the_lesson_on_texts_of_mixed_length() -> None:
    computed = padding_cost(REAL).computed
    assert computed["max"] > computed["arrival"] > computed["buckets"] > computed["sorted"] > REAL.sum()
    assert {plan.tokens_ratio for plan in padding_cost([16] * 64).plans.values()} == {1.0}


# as the Runner computes


@pytest.mark.parametrize("window", [WINDOW, 7])
def test_the_runner_computes_what_is_counted(
    load: Callable[..., Any], traced: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    for module in (inference, padding):
        monkeypatch.setattr(module, "WINDOW", window)
    tokenizer = load()[1]
    lengths = tsnb.token_lengths(tokenizer, TEXTS)
    for max_tokens in (64, MAX_TOKENS):
        runner = tsnb.Runner(traced(), tokenizer, max_tokens=max_tokens)
        runner(TEXTS)
        plan = padding_cost(lengths, max_tokens=max_tokens).plans["sorted"]
        assert runner.dynamic
        assert (runner.work.computed, runner.work.real) == (plan.computed, plan.real)
    report = padding_cost(lengths, batch_size=4, buckets=2)
    runner = tsnb.Runner([traced(length=edge, size=4) for edge in report.edges], tokenizer)
    runner(TEXTS)
    assert not runner.dynamic
    assert runner.work.computed == report.computed["buckets"]


# choices


def test_texts_that_are_cut_are_told() -> None:
    report = padding_cost([5, 9, 12, 30], 10)
    assert (report.cut_texts, report.cut_tokens) == (2, 22)
    assert report.lengths == (5, 9, 10, 10)
    assert report.cut() == "2 of 4 texts are cut to 10 tokens; 22 tokens are lost"
    assert str(report).endswith(report.cut())
    assert padding_cost(SOME).cut() == ""
    assert "cut" not in str(padding_cost(SOME))


def test_more_buckets_than_lengths_are_as_many_as_there_are_lengths() -> None:
    report = padding_cost([5, 5, 9], buckets=12)
    assert (report.edges, report.max_length) == ((5, 9), 16)  # the longest, rounded up to a multiple of 8
    assert report.plans["buckets"].label == "2 buckets, batches of 8"
    assert padding_cost(SOME, buckets=1).plans["buckets"].label == "1 bucket, batches of 8"


@pytest.mark.parametrize("name", ["max_length", "batch_size", "buckets", "max_tokens"])
def test_numbers_that_are_none(name: str) -> None:
    numbers: dict[str, Any] = {name: 2.5}
    with pytest.raises(tsnb.InputError, match=f"{name} must be a whole number of at least 1; got 2.5"):
        padding_cost(SOME, **numbers)


def test_max_tokens_that_are_too_few_name_the_text() -> None:
    with pytest.raises(tsnb.InputError, match="Text 3000 has 600 tokens, and a batch may have 512, padding"):
        padding_cost([5] * 3000 + [600], max_tokens=512)
    assert padding_cost([5] * 3000 + [600], 512, max_tokens=512).cut_texts == 1


# as text


def test_the_table() -> None:
    report = padding_cost(REAL, 64, geometry=MINI)
    head, *rows, edges, cut = str(report).splitlines()
    columns = ["plan", "computed", "real", "padding", "no padding = 1", "in FLOPs"]
    assert re.split(r"  +", head) == columns
    for row, plan in zip(rows, report.plans.values(), strict=True):
        counts = [f"{plan.computed:,}", f"{plan.real:,}", f"{plan.padding_share:.1%}"]
        ratios = [f"{plan.tokens_ratio:.2f}", f"{plan.flops_ratio:.2f}"]
        assert re.split(r"  +", row) == [plan.label, *counts, *ratios]
    assert [row.split("  ")[0] for row in rows[:2]] == ["padded to 64", "batches of 8 in arrival order"]
    assert rows[3].startswith("Runner: sorted by length, up to 512 tokens a batch  ")
    assert len({len(row) for row in (head, *rows)}) == 1
    assert edges.startswith("bucket edges: ")
    assert cut == report.cut()
    assert "FLOPs" not in str(padding_cost(REAL))
    assert all(f">{column}<" in report._repr_html_() for column in columns)
