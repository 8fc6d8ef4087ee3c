"""The benchmark: what is timed, in which order, and what stops it before a time is reported."""

import csv
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import tsnb
from tests.kinds import Capture, Load, MonkeyPatch
from tsnb.figures import benchmark_bars
from tsnb.inference import benchmark as benchmarking
from tsnb.inference.backends import BACKENDS, Backend, Outputs
from tsnb.inference.benchmark import Benchmark, benchmark, read_benchmark
from tsnb.lengths.lengths import Geometry
from tsnb.tiny_bert import corpus

Encoder = tuple[Any, Any]

TEXTS = corpus.texts(6, seed=2, longest=32)
QUICK = ["trace-padded", "runner"]


@pytest.fixture(scope="module")
def encoder(load: Load) -> Encoder:
    model, tokenizer = load(head="encoder")
    return model, tokenizer


@pytest.fixture(scope="module")
def report(encoder: Encoder) -> Benchmark:
    names = [*QUICK, "runner-int8"]
    return benchmark(*encoder, iter(TEXTS), backends=names, rounds=3, max_tokens=64, progress=False)


def replaced(monkeypatch: MonkeyPatch, name: str, make: Any) -> None:
    """Put another way to run the model under a backend's name."""
    monkeypatch.setitem(BACKENDS, name, Backend(make, name))


def failing(*_: Any) -> Any:
    message = "\nno such operator\nand pages of a graph"
    raise RuntimeError(message)


def test_every_backend_is_timed_once_a_round_and_equals_the_model(report: Benchmark, encoder: Encoder) -> None:
    assert [row.name for row in report.rows] == [*QUICK, "runner-int8"]
    for row in report.rows:
        assert len(row.seconds) == 3
        assert min(row.first, *row.seconds) > 0
        assert (row.difference < 1e-4) is row.exact
        assert row.median > report.limit or not row.exact
        assert report.ratio(row.name) == report["trace-padded"].median / row.median
    lengths = tsnb.token_lengths(encoder[1], TEXTS)
    assert (report.texts, report.real) == (len(TEXTS), lengths.sum())
    assert report["trace-padded"].computed == len(TEXTS) * lengths.max()
    assert report.real <= report["runner"].computed < report["trace-padded"].computed


def write(folder: Path, report: Benchmark) -> Path:
    (folder / "benchmark.csv").write_text(report.to_csv(), encoding="utf-8")
    return folder / "benchmark.csv"


def test_text_page_and_csv_show_the_same(report: Benchmark, tmp_path: Path) -> None:
    heads, *lines = str(report).splitlines()
    assert "real / computed" in heads
    assert lines[0].startswith("trace, every text padded to")
    assert len({len(line) for line in (heads, *lines[:3])}) == 1  # columns stand under each other
    page = report._repr_html_()
    assert page.count("<tr>") == 1 + 3
    for row in report.rows:
        assert f"<td>{row.label}</td>" in page
        assert f"<td>{row.median:.2f}</td>" in page
    for text in (page, str(report)):
        assert "Planning the batches takes" in text
        assert "Fewer bits give other numbers" in text
    assert read_benchmark(write(tmp_path, report)) == report
    assert " - " in lines[2]  # 8 bits have no share of a limit in 32
    passes = list(csv.DictReader(StringIO(report.to_csv())))
    assert len(passes) == 3 * 4  # the first pass is round 0
    assert float(passes[1]["seconds"]) == report["trace-padded"].seconds[0]
    assert {line["backend"] for line in passes} == {*QUICK, "runner-int8"}


def test_a_backend_with_other_results_is_not_timed(encoder: Encoder, monkeypatch: MonkeyPatch) -> None:
    passes: list[int] = []

    def broken(config: Any) -> Any:
        run = BACKENDS["trace-padded"].make(config)

        def wrong(texts: Any) -> Outputs:
            passes.append(len(texts))
            right = run(texts)
            return Outputs([tensor + 0.01 for tensor in right.tensors], right.computed)

        return wrong

    replaced(monkeypatch, "runner", broken)
    report = benchmark(*encoder, TEXTS, backends=QUICK, rounds=3, progress=False)
    assert [row.name for row in report.rows] == ["trace-padded"]
    assert report.left_out["runner"].startswith("its results differ from the model's by 0.01")
    assert passes == [len(TEXTS)]


def test_a_peer_that_is_missing_or_fails_is_left_out_and_named(
    encoder: Encoder, monkeypatch: MonkeyPatch, capsys: Capture
) -> None:
    def missing(_: Any) -> Any:
        message = "No compiler here."
        raise tsnb.InputError(message)

    for name, make in (("compiled", missing), ("onnxruntime", failing), ("runner-int8", lambda _: failing)):
        replaced(monkeypatch, name, make)
    names = ["compiled", "runner", "onnxruntime", "runner-int8"]
    report = benchmark(*encoder, TEXTS, backends=names, rounds=2)
    assert [row.name for row in report.rows] == ["runner"]
    failed = "left out, because it failed with this model (RuntimeError: no such operator)"
    assert report.left_out == {"compiled": "No compiler here.", "onnxruntime": failed, "runner-int8": failed}
    assert "compiled: No compiler here." in str(report)
    assert "100%" in capsys.readouterr().err
    with pytest.raises(tsnb.InputError, match=r"named can run. compiled: No compiler here"):
        benchmark(*encoder, TEXTS, backends=["compiled"], progress=False)


def test_a_model_that_cannot_run_the_texts_is_said_in_a_sentence(encoder: Encoder, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarking, "eager_alone", failing)
    with pytest.raises(tsnb.TraceError, match=r"texts \(RuntimeError: no such operator\)\."):
        benchmark(*encoder, TEXTS, backends=QUICK, progress=False)


def test_a_text_over_the_limit_is_named(encoder: Encoder) -> None:
    with pytest.raises(tsnb.InputError, match=r"Text 1 \(puppeteer .*tokens, .* positions for 512\."):
        benchmark(*encoder, ["a poet", "puppeteer " * 600], progress=False)


def test_a_model_whose_sizes_are_unknown_has_no_limit(encoder: Encoder, monkeypatch: MonkeyPatch) -> None:
    def unknown(_: Any) -> Any:
        message = "The configuration does not say hidden."
        raise tsnb.InputError(message)

    monkeypatch.setattr(Geometry, "of", unknown)
    report = benchmark(*encoder, TEXTS, backends=QUICK, rounds=1, progress=False)
    assert "The least time is unknown" in str(report)
    assert "nan" not in str(report)
    assert len(benchmark_bars(report).axes[0].lines) == len(QUICK)  # and no dashed one


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backends": ["runer"]}, "no backend called runer. Did you mean runner"),
        ({"backends": []}, "No backend that was named"),
        ({"rounds": 1.5}, "rounds must be a whole number"),
        ({"max_tokens": 4}, "Text 0 has"),
        ({"minutes": 0}, "minutes must be a number above 0; got 0"),
        ({"texts": []}, "no texts"),
    ],
)
def test_bad_options(encoder: Encoder, options: Any, message: str) -> None:
    with pytest.raises(tsnb.InputError, match=message):
        benchmark(*encoder, **{"texts": TEXTS, "backends": QUICK, "progress": False, **options})


def test_a_trace_that_takes_its_own_shape_only(encoder: Encoder, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarking, "is_dynamic", lambda _: False)
    with pytest.raises(tsnb.TraceError, match="at its traced shape only"):
        benchmark(*encoder, TEXTS, backends=QUICK, progress=False)


def interrupted(monkeypatch: MonkeyPatch, after: int) -> None:
    """Let somebody press Ctrl-C while a pass is timed."""
    passes = iter([True] * after + [False])

    def timed(run: Any) -> float:
        if not next(passes, True):
            raise KeyboardInterrupt
        run()
        return 1.0

    monkeypatch.setattr(benchmarking, "timed", timed)


def test_what_was_measured_until_ctrl_c_is_reported(encoder: Encoder, monkeypatch: MonkeyPatch) -> None:
    interrupted(monkeypatch, after=3)
    report = benchmark(*encoder, TEXTS, backends=QUICK, rounds=5, progress=False)
    assert [len(row.seconds) for row in report.rows] == [1, 2]
    assert "Stopped before the last round" in str(report)
    interrupted(monkeypatch, after=0)
    with pytest.raises(KeyboardInterrupt):  # nothing was measured
        benchmark(*encoder, TEXTS, backends=QUICK, rounds=5, progress=False)


def test_as_many_texts_as_fit_into_the_minutes(encoder: Encoder, monkeypatch: MonkeyPatch) -> None:
    texts = corpus.texts(40, seed=4, longest=32)
    for seconds, count in ((0.8, 8), (0.08, 20), (1e-6, 40)):  # that eight texts take
        monkeypatch.setattr(benchmarking, "timed", lambda run, taken=seconds: (run(), taken)[1])
        report = benchmark(*encoder, texts, backends=["runner"], rounds=1, minutes=0.0438, progress=False)
        assert abs(report.texts - count) <= 1


LABELS = {"runner": "Ours", "onnxruntime": "Theirs", "runner-int8": "Rounded"}


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        ({"runner": (4.0, 4.1), "onnxruntime": (2.0, 2.1)}, "“Theirs”, 1.98 × as fast as the next, “Ours” (2.00 s, m"),
        ({"runner": (2.0, 2.6), "onnxruntime": (2.0, 2.5)}, "the next, “Ours” (0.05 s, which is within the spread of"),
        ({"runner": (4.0,), "runner-int8": (2.0,)}, "With the model's own numbers: “Ours”, 2.00 × its time."),
        ({"runner": (4.0,), "onnxruntime": (9.0,)}, "To ship it: the trace's .pt file, no package but torch; it was"),
        ({"runner": (9.0,), "onnxruntime": (2.0,)}, "To ship it: an .onnx file, onnxruntime ("),
    ],
)
def test_the_last_sentence_says_who_won_by_how_much_and_what_it_costs(
    report: Benchmark, seconds: dict[str, tuple[float, ...]], sentence: str
) -> None:
    rows = [
        replace(report["runner"], name=name, label=LABELS[name], seconds=each, exact=BACKENDS[name].exact)
        for name, each in seconds.items()
    ]
    assert sentence in replace(report, rows=tuple(rows)).conclusion()


def test_what_makes_a_time_doubtful_is_said(report: Benchmark) -> None:
    assert "Too few texts to measure" in str(report)
    slow = replace(report, texts=500, rows=tuple(replace(row, seconds=(1.0, 2.0)) for row in report.rows))
    assert "Too few texts" not in str(slow)
    plain = replace(slow, instructions={"AVX512-BF16": False, "AMX": False, "VNNI": False})
    assert "lacks AVX512-BF16 and AMX, for 16 bits; VNNI, for 8 bits: do not blame the bits" in str(plain)
    assert "lacks" not in str(replace(slow, instructions={"AVX512-BF16": False, "AMX": True, "VNNI": True}))
    assert "lacks" not in str(replace(plain, rows=plain.rows[:2]))  # no fewer bits, no word about them


def test_the_run_that_came_with_the_course_is_made_again_in_the_small(encoder: Encoder, tmp_path: Path) -> None:
    """The backends of its table, but those that compile C++, on six texts of a smaller model."""
    measured = read_benchmark()
    names = [row.name for row in measured.rows if BACKENDS[row.name].build < 10]
    again = benchmark(*encoder, TEXTS, backends=names, rounds=1, questions=True, progress=False)
    for row in again.rows:
        told = measured[row.name]
        assert row.exact == told.exact
        assert row.label.split(",")[0].split("padded to")[0] == told.label.split(",")[0].split("padded to")[0]
        assert (row.answers is None) == (told.answers is None)
    assert [row.name for row in again.rows] == names
    assert measured.processor
    assert not measured.stopped
    assert (
        write(tmp_path, again).read_text(encoding="utf-8").partition("\n")[0]
        == (write(tmp_path, measured).read_text(encoding="utf-8").partition("\n")[0])
    )


@pytest.mark.parametrize("content", [None, "", "a,b\n1,2\n", "backend,round\nrunner,0\n"])
def test_what_is_no_csv_of_a_benchmark(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    with pytest.raises(tsnb.InputError, match=r"x\.csv is no benchmark\.csv that tsnb bench wrote"):
        read_benchmark(tmp_path / "x.csv")
