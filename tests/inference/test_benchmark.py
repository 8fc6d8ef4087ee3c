"""The benchmark: what is timed, in which order, and what stops it before a time is told."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

import tsnb
from tsnb.figures import benchmark_bars
from tsnb.inference import benchmark as benchmarking
from tsnb.inference.backends import CANDIDATES, Answers, MissingPeerError
from tsnb.inference.benchmark import Benchmark, Row, benchmark
from tsnb.lengths.lengths import Geometry
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

    Encoder = tuple[Any, Any]

TEXTS = corpus.texts(6, seed=2, longest=32)
QUICK = ["trace-padded", "runner"]


@pytest.fixture(scope="module")
def encoder(load: Callable[..., Any]) -> Encoder:
    model, tokenizer = load(head="encoder")
    return model, tokenizer


@pytest.fixture(scope="module")
def report(encoder: Encoder) -> Benchmark:
    return benchmark(*encoder, TEXTS, candidates=QUICK, rounds=3, max_tokens=64, progress=False)


def made(*seconds: float, **changes: Any) -> Row:
    return replace(Row("runner", "the Runner", seconds, 9.0, 20, 1e-6), **changes)


def test_median_p95_and_spread() -> None:
    row = made(1.0, 2.0, 3.0, 4.0, 5.0)
    assert (row.median, row.spread) == (3.0, 2.0)
    assert row.p95 == pytest.approx(4.8)


def test_ratio_and_limit() -> None:
    rows = (made(4.0, name="trace-padded"), made(1.0))
    report = Benchmark(rows, {}, texts=2, real=10, flops=8e9, peak=4e9, planning=0.0, threads=1)
    assert report.ratio("runner") == 4.0
    assert report.ratio("trace-padded", to="runner") == 0.25
    assert report.limit == 2.0


def test_every_candidate_is_timed_once_a_round(report: Benchmark) -> None:
    assert [row.name for row in report.rows] == QUICK
    assert all(len(row.seconds) == 3 for row in report.rows)
    assert all(second > 0 for row in report.rows for second in (row.first, *row.seconds))


def test_what_was_computed(report: Benchmark, encoder: Encoder) -> None:
    lengths = tsnb.token_lengths(encoder[1], TEXTS)
    assert (report.texts, report.real) == (len(TEXTS), lengths.sum())
    assert report["trace-padded"].computed == len(TEXTS) * lengths.max()
    assert report.real <= report["runner"].computed < report["trace-padded"].computed


def test_all_results_equal_the_model(report: Benchmark) -> None:
    assert all(row.difference < 1e-4 for row in report.rows)


def test_nothing_is_quicker_than_the_limit(report: Benchmark) -> None:
    assert all(row.median > report.limit for row in report.rows)


def test_the_one_that_begins_changes_from_round_to_round() -> None:
    order: list[str] = []
    runs = {name: lambda _, name=name: order.append(name) for name in "abc"}
    with benchmarking_bar() as bar:
        benchmarking._rounds(runs, [], 4, bar)  # type: ignore[arg-type]
    assert "".join(order) == "abcbcacababc"


def benchmarking_bar() -> Any:
    from tqdm import tqdm

    return tqdm(disable=True)


def test_a_candidate_with_other_results_is_not_timed(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []

    def broken(setting: Any) -> Any:
        run = CANDIDATES["trace-padded"](setting)

        def wrong(texts: Any) -> Answers:
            passes.append(len(texts))
            right = run(texts)
            return Answers([tensor + 0.01 for tensor in right.tensors], right.computed)

        return wrong

    monkeypatch.setitem(CANDIDATES, "runner", broken)
    with pytest.raises(tsnb.TraceError, match=r"runner differ .* by 0\.01"):
        benchmark(*encoder, TEXTS, candidates=QUICK, rounds=3, progress=False)
    assert passes == [len(TEXTS)]


def test_a_peer_that_is_missing_is_left_out_and_named(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Any) -> Any:
        raise MissingPeerError("benchmark.no-compiler")

    monkeypatch.setitem(CANDIDATES, "compiled", missing)
    names = ["runner", "compiled"]
    report = benchmark(*encoder, TEXTS, candidates=names, rounds=1, progress=False)
    assert [row.name for row in report.rows] == ["runner"]
    assert "compiled: torch.compile needs a C++ compiler" in str(report)


def failing(*_: Any) -> Any:
    said = "\nno such operator\nand pages of a graph"
    raise RuntimeError(said)


def making_a_failure(_: Any) -> Any:
    return failing


@pytest.mark.parametrize("broken", [failing, making_a_failure])
def test_a_candidate_that_fails_is_left_out_with_the_reason(
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: Callable[..., Any],
) -> None:
    monkeypatch.setitem(CANDIDATES, "compiled", broken)
    report = benchmark(*encoder, TEXTS, candidates=["compiled", "runner"], rounds=2)
    assert [row.name for row in report.rows] == ["runner"]
    told = "left out, because it failed with this model (RuntimeError: no such operator)"
    assert report.left_out == {"compiled": told}
    assert "100%" in capsys.readouterr().err
    with pytest.raises(tsnb.InputError, match=r"named can run. compiled: left out"):
        benchmark(*encoder, TEXTS, candidates=["compiled"], progress=False)


@pytest.mark.parametrize("name", ["trace", "eager_alone"])
def test_a_model_that_cannot_run_the_texts_is_said_in_a_sentence(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(benchmarking, name, failing)
    with pytest.raises(tsnb.TraceError, match=r"texts \(RuntimeError: no such operator\)\."):
        benchmark(*encoder, TEXTS, candidates=QUICK, progress=False)


def test_a_text_over_the_limit_is_named(encoder: Encoder) -> None:
    texts = ["a poet", "puppeteer " * 600]
    with pytest.raises(tsnb.InputError, match=r"Text 1 \(puppeteer .* positions for 512\.") as told:
        benchmark(*encoder, texts, progress=False)
    assert told.value.gaps["tokens"] == len(encoder[1](texts[1], verbose=False)["input_ids"])


def test_a_model_whose_sizes_are_unknown_has_no_limit(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: Any) -> Any:
        raise tsnb.InputError("lengths.no-geometry", model="Model", name="hidden")

    monkeypatch.setattr(Geometry, "of", unknown)
    report = benchmark(*encoder, TEXTS, candidates=QUICK, rounds=1, progress=False)
    assert [row["of the limit"] for row in report.table()] == ["-", "-"]
    assert "The least time is unknown" in str(report)
    assert "nan" not in str(report)
    assert len(benchmark_bars(report).axes[0].lines) == len(QUICK)  # and no dashed one


def test_the_table_has_a_row_for_each_candidate(report: Benchmark) -> None:
    lines = str(report).splitlines()
    assert "real / computed" in lines[0]
    assert lines[1].startswith("trace, every text padded to")
    assert len({len(line) for line in lines[:3]}) == 1  # columns stand under each other


def test_a_notebook_shows_the_same_cells(report: Benchmark) -> None:
    shown = report._repr_html_()
    assert shown.count("<tr>") == 1 + len(QUICK)
    for row in report.table():
        assert all(f"<td>{text}</td>" in shown for text in row.values())
    assert "Planning the batches takes" in shown


def test_8_bits_have_no_share_of_the_limit(encoder: Encoder) -> None:
    names = ["trace-padded", "int8"]
    report = benchmark(*encoder, TEXTS, candidates=names, rounds=1, progress=False)
    assert report["int8"].difference > 1e-4
    assert not report["int8"].exact
    assert report.table()[1]["of the limit"] == "-"
    assert "8 bits give other numbers" in str(report)


def test_csv_has_a_line_for_each_pass(report: Benchmark) -> None:
    lines = list(csv.DictReader(StringIO(report.to_csv())))
    assert len(lines) == 2 * 4  # the first pass is round 0
    assert float(lines[1]["seconds"]) == report["trace-padded"].seconds[0]
    assert {line["candidate"] for line in lines} == set(QUICK)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"candidates": ["runer"]}, "no candidate called runer. Did you mean runner"),
        ({"candidates": []}, "No candidate was named"),
        ({"rounds": 0}, "rounds must be a whole number"),
        ({"rounds": 1.5}, "rounds must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1; got 0"),
        ({"batch_size": -2}, "batch_size must be a whole number of at least 1; got -2"),
        ({"max_tokens": True}, "budget must be a whole number"),
        ({"max_tokens": 4}, "a batch may have 4,"),
    ],
)
def test_bad_options(encoder: Encoder, options: Any, said: str) -> None:
    with pytest.raises(tsnb.InputError, match=said):
        benchmark(*encoder, TEXTS, **{"candidates": QUICK, "progress": False, **options})


def test_no_texts(encoder: Encoder) -> None:
    with pytest.raises(tsnb.InputError):
        benchmark(*encoder, [], progress=False)


def test_a_trace_that_takes_its_own_shape_only(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarking, "is_dynamic", lambda _: False)
    with pytest.raises(tsnb.TraceError, match="at its traced shape only"):
        benchmark(*encoder, TEXTS, candidates=QUICK, progress=False)


def test_the_bar_counts_every_pass(encoder: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark(*encoder, TEXTS, candidates=QUICK, rounds=2)
    assert "7/7" in capsys.readouterr().err  # the model alone, and two candidates three times
