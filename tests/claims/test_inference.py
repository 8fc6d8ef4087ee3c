"""Claims of notebook 04: what padding costs, what batches gain, and who wins."""

import math
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import nbformat
import pytest
import torch

import tsnb
from tsnb import figures
from tsnb.inference.answers import answers
from tsnb.inference.benchmark import REST, Benchmark, read_benchmark
from tsnb.inference.costs import cost_of_shapes
from tsnb.inference.engines import run_by
from tsnb.lengths.batching import MAX_TOKENS, plan_dynamic
from tsnb.practice.exercises import inference
from tsnb.tiny_bert import corpus
from tsnb.tracing.samples import sample_inputs

Load = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::UserWarning")


NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_inference.ipynb"


@pytest.fixture(scope="module")
def mini(load: Load) -> tsnb.Traced:
    """Return the trace that notebook 04 measures."""
    model, tokenizer = load("bert-mini", head="encoder", torchscript=True)
    return tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=128))


@pytest.fixture(scope="module")
def report(load: Load) -> Benchmark:
    """Run what notebook 04 runs, with more rounds."""
    names = ["trace-padded", "eager-longest", "pipeline", "runner"]
    model, tokenizer = load("bert-mini", head="encoder", torchscript=True)
    texts = corpus.texts(1000)[:20]
    return tsnb.benchmark(model, tokenizer, texts, backends=names, rounds=5, progress=False)


@pytest.fixture(scope="module")
def seconds(mini: tsnb.Traced) -> dict[int, float]:
    sizes = [16, 32, 64, 128, 192, 256]
    return dict(zip(sizes, cost_of_shapes(mini, [(1, size) for size in sizes]), strict=True))


@pytest.mark.claim("a-name-that-training-held-out")
def test_a_name_that_training_never_had_is_copied_from_the_question(masked_lm: Load, tokenizer: Any) -> None:
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    model = masked_lm(torchscript=True)
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
    names: dict[str, Any] = {"tokenizer": tokenizer, "traced": traced}
    for name in ("one-call", "one-answer"):
        exec(cells[name], names)
    [(first, last)] = re.findall(r"who was (\w+) (\w+) \?", cells["one-call"].lower())
    assert corpus.held_out(first, last)
    assert tokenizer.decode(names["best"].indices[0]) == last


@pytest.mark.claim("a-batch-equals-its-rows")
def test_a_row_of_a_padded_batch_equals_the_text_alone(masked_lm: Load, tokenizer: Any) -> None:
    questions = ["Who was Jim Henson ?", "Did Karl West work at the school ?"]
    answers = ["Jim [MASK] was a puppeteer", "yes , Karl [MASK] worked at the school in Rome"]
    model = masked_lm()
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
    batch = traced(**tokenizer(questions, answers, padding=True, return_tensors="pt"))["logits"]
    for row, text in enumerate(zip(questions, answers, strict=True)):
        alone = traced(**tokenizer(*text, return_tensors="pt"))["logits"][0]
        assert (batch[row, : len(alone)] - alone).abs().max() <= 1e-4


@pytest.mark.claim("a-reader-of-batches-is-wrong-in-silence")
def test_the_reader_of_the_exercise_runs_and_is_partly_wrong() -> None:
    """That these are the answers of the notebook's cell is what `ex-fill-batch-try` is told."""
    gaps = map(inference.gap, inference.readings()["not-yet"], inference.readings()["done"])
    right = [gap <= inference.SHARE for gap in gaps]
    assert 0 < sum(right) < len(right)


@pytest.mark.claim("sorting-leaves-hardly-any-padding")
def test_of_a_thousand_texts_in_planned_batches_95_percent_of_the_places_are_real(tokenizer: Any) -> None:
    lengths = tsnb.token_lengths(tokenizer, corpus.texts(1000)).tolist()
    computed = sum(batch.tokens for batch in plan_dynamic(lengths, MAX_TOKENS))
    assert sum(lengths) / computed >= 0.95
    assert sum(lengths) / (len(lengths) * max(lengths)) < 0.35  # padded to the longest


@pytest.mark.claim("padding-costs-time")
def test_a_text_of_128_takes_several_times_as_long_as_one_of_16(seconds: dict[int, float]) -> None:
    assert seconds[128] / seconds[16] > 3


@pytest.mark.claim("linear-part-is-the-larger")
def test_twice_the_length_takes_nearer_to_twice_than_to_four_times_as_long(seconds: dict[int, float]) -> None:
    assert seconds[256] / seconds[128] < 3  # nearer to twice than to four times


@pytest.mark.claim("short-texts-gain-from-batches")
def test_a_short_text_is_cheaper_in_a_batch(mini: tsnb.Traced) -> None:
    alone, together = cost_of_shapes(mini, [(1, 16), (16, 16)], rounds=9)
    assert together / 16 < 0.9 * alone


@pytest.mark.claim("eight-short-texts-have-most-of-the-gain")
def test_up_to_eight_short_texts_a_batch_gains_most(mini: tsnb.Traced) -> None:
    batches = [1, 8, 32]
    taken = cost_of_shapes(mini, [(size, 16) for size in batches], rounds=9)
    alone, eight, thirty_two = (s / size for s, size in zip(taken, batches, strict=True))
    assert alone - eight > eight - thirty_two
    assert thirty_two > 0.7 * eight
    assert batches[-1] * 16 == MAX_TOKENS  # where the picture ends


@pytest.mark.claim("first-calls-are-slow")
def test_the_first_two_calls_are_slow_and_the_next_ones_are_not(mini: tsnb.Traced, tokenizer: Any) -> None:
    """The notebook's cell three times, each call the quickest: what disturbs only adds."""
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    names = {
        "torch": torch,
        "mini_traced": mini,
        "tokenizer": tokenizer,
        "figures": figures,
        "perf_counter": perf_counter,
    }
    curves = []
    for _ in range(3):
        exec(cells["warm-up"], names)
        curves.append(names["first"].values())
    curve = [min(seconds) for seconds in zip(*curves, strict=True)]
    assert min(curve[:2]) > 1.3 * statistics.median(curve[4:])
    assert statistics.median(curve[2:5]) < 1.3 * statistics.median(curve[4:])


@pytest.mark.claim("planned-batches-beat-padding")
def test_the_usual_advice_is_the_slowest_and_planned_batches_about_twice_as_fast_or_more(report: Benchmark) -> None:
    assert report.ratio("runner") > 1.7
    assert min(report.ratio(row.name) for row in report.rows if row.name != "trace-padded") > 1


@pytest.mark.claim("most-of-the-gain-is-padding")
def test_planned_batches_gain_more_by_fewer_places_than_by_quicker_ones(report: Benchmark) -> None:
    padded, planned = report["trace-padded"], report["runner"]
    fewer = padded.computed / planned.computed
    assert fewer > 2
    assert report.ratio("runner") / fewer < fewer  # how much quicker one place is


@pytest.mark.claim("planned-batches-beat-the-pipeline")
def test_planned_batches_beat_the_pipeline(report: Benchmark) -> None:
    assert report.ratio("runner", to="pipeline") > 1.2


@pytest.mark.claim("a-naive-race-misleads")
def test_the_benchmark_of_the_exercise_says_that_the_trace_is_slower_and_it_is_not() -> None:
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    names: dict[str, Any] = {"perf_counter": None}
    exec(cells["ex-mend-race-try"].rpartition("checks.check")[0], names)
    seconds = names["race"](*inference.machine(**inference.EFFECTS["first-calls"]))
    assert seconds["trace"] > seconds["eager"]
    assert inference.SECONDS["trace"] < inference.SECONDS["eager"]


@pytest.mark.claim("int8-gives-other-numbers")
def test_8_bits_differ_by_far_more_than_rounding(load: Load) -> None:
    model, tokenizer = load("tiny-bert", head="masked-lm", torchscript=True)
    report = tsnb.benchmark(
        model, tokenizer, corpus.texts(1000)[:64], backends=["runner", "runner-int8"], rounds=1, progress=False
    )
    assert report["runner-int8"].difference > 1000 * report["runner"].difference > 0


@pytest.mark.claim("bfloat16-keeps-the-range")
def test_bfloat16_keeps_the_range_and_float16_more_digits() -> None:
    half, brain, full = (torch.finfo(dtype) for dtype in (torch.float16, torch.bfloat16, torch.float32))
    assert brain.max > 0.99 * full.max
    assert half.max == 65_504
    assert torch.tensor(70_000.0).half().isinf()
    assert [-math.log10(dtype.eps / 2) for dtype in (brain, half)] == pytest.approx([2.4, 3.3], abs=0.05)


@pytest.mark.claim("fewer-bits-need-no-model")
@pytest.mark.parametrize("bits", [16, 8])
def test_a_file_is_run_in_fewer_bits_with_nothing_but_the_file(
    masked_lm: Load, tokenizer: Any, tmp_path: Path, bits: Any
) -> None:
    model, texts = masked_lm(), corpus.texts(4)
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
    loaded = tsnb.load_traced(tsnb.save(traced, tmp_path / "bert.pt"))
    results = tsnb.Runner(loaded, tokenizer, bits=bits)(texts)
    for one, other in zip(tsnb.Runner(loaded, tokenizer)(texts), results, strict=True):
        assert 1e-3 < (one["logits"] - other["logits"]).abs().max() < 1


@pytest.mark.claim("fewer-bits-change-hardly-an-answer")
@pytest.mark.parametrize("bits", [16, 8])
def test_of_a_thousand_held_out_questions_hardly_an_answer_changes(bits: Any) -> None:
    made = answers("torch", bits)
    assert made.questions == 1000
    assert made.changed <= 5
    assert made.before > 970
    assert abs(made.after - made.before) <= made.changed


@pytest.mark.claim("another-engine-gives-the-same-outputs")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_another_engine_gives_the_same_outputs_by_name(masked_lm: Load, tokenizer: Any, engine: Any) -> None:
    model, texts = masked_lm(), corpus.texts(12)
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
    other = tsnb.Runner(traced, tokenizer, backend=engine)(texts)
    for one, another in zip(tsnb.Runner(traced, tokenizer)(texts), other, strict=True):
        assert list(one) == list(another) == ["logits"]
        assert (one["logits"] - another["logits"]).abs().max() <= 1e-4


@pytest.mark.claim("engines-disturb-the-next-one")
def test_after_onnx_runtime_threads_wait_busily_until_the_pause_is_over(mini: tsnb.Traced) -> None:
    """Of the processor's time, which counts the same however busy the machine is."""
    inputs = sample_inputs(mini.contract, mini.module, (8, 32)).values()
    spent: dict[str, list[float]] = {"in the pause": [], "after it": [], "after the trace": []}

    def rest(name: str) -> None:
        start = time.process_time()
        time.sleep(REST)
        spent[name].append(time.process_time() - start)

    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # one thread has nobody to wait for
    try:
        ours, theirs = run_by(mini), run_by(mini, "onnxruntime")
        with torch.inference_mode():
            for _ in range(8):
                theirs(*inputs)
                rest("in the pause")
                rest("after it")
                ours(*inputs)
                rest("after the trace")
    finally:
        torch.set_num_threads(threads)
    waiting, *others = (statistics.median(seconds) for seconds in spent.values())
    assert waiting > 0.005
    assert waiting > 2 * max(others)


@pytest.mark.claim("the-plan-gains-more-than-the-engine")
def test_the_plan_gains_more_than_the_engine() -> None:
    measured = read_benchmark()
    engines = [measured[name].median for name in ("runner", "onnxruntime", "openvino", "ctranslate2", "aotinductor")]
    assert measured.ratio("runner") > max(engines) / min(engines)


@pytest.mark.claim("what-each-step-gained")
def test_the_factors_of_the_table_are_those_of_the_run_that_came_with_the_course() -> None:
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    measured = read_benchmark()
    engines = min(("onnxruntime", "openvino", "ctranslate2", "aotinductor"), key=lambda name: measured[name].median)
    names = ["runner-bf16", "openvino-bf16", "runner-int8", "onnxruntime-int8"]
    ratios = [measured.ratio("runner"), *(measured.ratio(name, to="runner") for name in (engines, *names))]
    factors = [float(factor) for factor in re.findall(r"([\d.]+) ×", cells["answers-result"])]
    assert factors == pytest.approx(ratios, rel=0.05)
    assert measured["runner"].median - measured[engines].median < measured["runner"].spread
    assert [row.name for row in measured.rows if not row.exact] == [*names, "openvino-int8"]
    assert all(row.answers.changed == 0 for row in measured.rows if row.answers)
    assert measured.texts == 300


@pytest.mark.claim("fewer-bits-can-be-slower")
def test_8_bits_by_openvino_were_slower_than_32_by_the_trace() -> None:
    measured = read_benchmark()
    assert measured["openvino-int8"].median > 1.2 * measured["runner"].median
    assert measured["openvino-int8"].answers
    assert measured["onnxruntime-int8"].difference > measured["openvino-bf16"].difference  # further off


@pytest.mark.claim("buckets-give-the-same-results")
def test_buckets_give_the_results_of_the_dynamic_trace(masked_lm: Load, tokenizer: Any) -> None:
    model, texts = masked_lm(), corpus.texts(40)
    edges = tsnb.plan_buckets(tsnb.token_lengths(tokenizer, texts), count=4)

    def trace(length: int, *, fixed: bool) -> tsnb.Traced:
        inputs = tsnb.dummy_inputs(tokenizer, model, max_length=length, batch_size=8)
        traced = tsnb.trace(model, inputs)
        return replace(traced, contract=replace(traced.contract, fixed_shape=fixed))

    dynamic = tsnb.Runner(trace(edges[-1], fixed=False), tokenizer)
    buckets = tsnb.Runner([trace(edge, fixed=True) for edge in edges], tokenizer)
    assert not buckets.dynamic
    for one, other in zip(dynamic(texts), buckets(texts), strict=True):
        assert (one["logits"] - other["logits"]).abs().max() <= 1e-4
