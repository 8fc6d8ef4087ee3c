"""Token lengths, what a max length cuts and costs, and the picture of it."""

from __future__ import annotations

import logging
import re
import warnings
from time import process_time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torch import nn
from transformers import (
    AlbertConfig,
    BertConfig,
    BertTokenizer,
    DistilBertConfig,
    FunnelConfig,
    MarianConfig,
    T5Config,
)

import tsnb
from tsnb import tiny_bert
from tsnb.figures import plots
from tsnb.lengths import lengths as module
from tsnb.lengths.lengths import Geometry, flops, histogram, length_report, pad_to, presets, token_lengths
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

BERT_BASE = Geometry(12, 768, 3072)
SOME = [5, 9, 12, 30]
RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(4.5, 1, 10**6).astype(np.int64), 3, None)


@pytest.fixture(scope="session")
def tokenizer(load: Callable[..., Any]) -> Any:
    return load()[1]


def refused(called: Callable[..., Any], *given: Any, **named: Any) -> str:
    with pytest.raises(tsnb.InputError) as caught:
        called(*given, **named)
    return str(caught.value)


# token_lengths


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 2500])
def test_lengths_are_those_of_the_tokenizer_a_text_at_a_time(tokenizer: Any, count: int) -> None:
    texts = (corpus.texts(500) * 5)[:count]
    found = token_lengths(tokenizer, texts)
    assert found.dtype == np.int64
    assert found.tolist() == [corpus.pieces(text) + 2 for text in texts]


def test_every_kind_of_text_and_of_iterable(tokenizer: Any) -> None:
    texts: list[Any] = ["who was jim ?", ("who ?", "a poet"), "", ("", "jim"), np.str_("jim")]
    expected = [len(tokenizer(*(held if type(held) is tuple else [held])).input_ids) for held in texts]
    for given in (texts, tuple(texts), iter(texts), (held for held in texts)):
        assert token_lengths(tokenizer, given).tolist() == expected


def test_a_slow_tokenizer_counts_the_same(tokenizer: Any) -> None:
    slow = BertTokenizer.from_pretrained(tiny_bert.FOLDER, local_files_only=True)
    texts: list[Any] = [*corpus.texts(20), ("who ?", "a puppeteer")]
    assert token_lengths(slow, texts).tolist() == token_lengths(tokenizer, texts).tolist()


def test_nothing_is_cut_and_nobody_warns(tokenizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    long = "jim " * (tokenizer.model_max_length + 100)
    logging.getLogger("transformers").propagate = True
    tokenizer.deprecation_warnings.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = token_lengths(tokenizer, [long, (long, long)])
    logging.getLogger("transformers").propagate = False
    assert found.tolist() == [614, 1227]
    assert caplog.records == []


def test_a_tokenizer_that_cuts_and_pads_does_neither_here(tokenizer: Any) -> None:
    from copy import deepcopy

    changed = deepcopy(tokenizer)
    changed.backend_tokenizer.enable_truncation(8)
    changed.backend_tokenizer.enable_padding(length=64)
    assert token_lengths(changed, ["jim " * 20, "jim"]).tolist() == [22, 3]


def test_texts_are_tokenized_a_thousand_at_once() -> None:
    asked: list[int] = []

    def tokenizer(batch: list[str], **_: Any) -> dict[str, list[list[int]]]:
        asked.append(len(batch))
        return {"input_ids": [[0] * len(text) for text in batch]}

    given: Any = tokenizer
    assert token_lengths(given, ("x" * 3 for _ in range(2500))).sum() == 7500
    assert asked == [1000, 1000, 500]


@pytest.mark.parametrize(("delay", "shown"), [(0, 1), (9, 0)])
def test_a_bar_appears_when_it_takes_long(
    tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    delay: int,
    shown: int,
) -> None:
    assert module.DELAY == 2
    monkeypatch.setattr(module, "DELAY", delay)
    token_lengths(tokenizer, ["jim"] * 30, progress=False)
    assert "30/30" not in capsys.readouterr().err
    token_lengths(tokenizer, ["jim"] * 30)
    assert capsys.readouterr().err.count("30/30") == shown


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "one text",
            "Expected a list of texts; got one str. Put a single text into a list: [text].",
        ),
        (b"one text", "Expected a list of texts; got one bytes."),
        (None, "Expected a list of texts; got one NoneType."),
        (7, "Expected a list of texts; got one int."),
        ([], "There are no texts to measure. Give at least one."),
        (iter([]), "There are no texts to measure."),
        (["jim", 7], "Text 1 is a int; expected a text, or a pair of texts as a tuple."),
        (["jim"] * 1500 + [None], "Text 1500 is a NoneType;"),
        ([("one", "two", "three")], "Text 0 is a tuple;"),
        ([("one",)], "Text 0 is a tuple;"),
        (["jim", ("one", 2)], "Text 1 is a tuple;"),
        ([["one", "two"]], "Text 0 is a list;"),
        (["jim", "\ud83d"], "Text 1 holds half of a surrogate pair"),
    ],
)
def test_what_is_no_list_of_texts_is_told(tokenizer: Any, given: Any, said: str) -> None:
    assert refused(token_lengths, tokenizer, given).startswith(said)


# the cost of a text


@pytest.mark.parametrize("layers", [1, 12, 24])
@pytest.mark.parametrize("hidden", [64, 768, 1024])
@pytest.mark.parametrize("length", [1, 2, 31, 128, 512, 4096])
def test_the_formula_is_that_of_the_paper(layers: int, hidden: int, length: int) -> None:
    # Narayanan et al. 2021, appendix: 24 B s l h² (1 + s / 6h), here with B = 1
    paper = 24 * length * layers * hidden**2 * (1 + length / (6 * hidden))
    assert flops(length, Geometry(layers, hidden, 4 * hidden)) == pytest.approx(paper, rel=1e-12)


@pytest.mark.parametrize(("hidden", "inside", "length"), [(8, 24, 5), (16, 10, 40), (4, 4, 1)])
def test_the_formula_counts_every_matrix_product(hidden: int, inside: int, length: int) -> None:
    products = [  # rows, inner, columns
        *[(length, hidden, hidden)] * 4,
        *[(length, hidden, inside), (length, inside, hidden)],
        *[(length, hidden, length), (length, length, hidden)],
    ]
    counted = sum(2 * rows * inner * columns for rows, inner, columns in products)
    assert flops(length, Geometry(3, hidden, inside)) == 3 * counted


def test_arrays_and_numbers_cost_the_same() -> None:
    found = flops(np.array([1, 31, 512]), BERT_BASE)
    assert found.dtype == np.float64
    assert found.tolist() == [flops(length, BERT_BASE) for length in (1, 31, 512)]
    assert flops(10**9, BERT_BASE) > 2**63
    assert flops(np.array([10**9]), BERT_BASE)[0] == pytest.approx(flops(10**9, BERT_BASE))


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        (BertConfig(), (12, 768, 3072)),
        (DistilBertConfig(n_layers=3, dim=48, n_heads=4, hidden_dim=99), (3, 48, 99)),
        (AlbertConfig(), (12, 4096, 16384)),
        (T5Config(), (6, 512, 2048)),
        (MarianConfig(), (12, 1024, 4096)),
        (FunnelConfig(), (12, 768, 3072)),
        (SimpleNamespace(num_layers=np.int64(2), d_model=8, ffn_dim=32), (2, 8, 32)),
    ],
)
def test_sizes_are_read_from_configurations(config: Any, sizes: tuple[int, int, int]) -> None:
    model: Any = SimpleNamespace(config=config)
    assert Geometry.of(model) == Geometry(*sizes)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (nn.Linear(2, 2), "layers"),
        (SimpleNamespace(config=SimpleNamespace(num_layers=2)), "hidden"),
        (SimpleNamespace(config=SimpleNamespace(num_layers=[2, 2], d_model=8)), "layers"),
        (SimpleNamespace(config=SimpleNamespace(n_layers=2, dim=8, d_ff=None)), "intermediate"),
    ],
)
def test_a_size_that_no_configuration_says_is_told(model: Any, name: str) -> None:
    said = refused(Geometry.of, model)
    assert f"The configuration of this {type(model).__name__} does not say {name}," in said
    assert "Geometry(layers, hidden, intermediate)" in said


# presets


@pytest.mark.parametrize(
    ("lengths", "limit", "expected"),
    [
        (range(1, 101), None, {"p50": 50, "p95": 95, "p99": 99, "longest": 100}),
        ([7], 512, {"p50": 7, "p95": 7, "p99": 7, "longest": 7, "limit": 512}),
        ([3, 3, 3, 900], 512, {"p50": 3, "p95": 900, "p99": 900, "longest": 900, "limit": 512}),
    ],
)
def test_presets(lengths: Any, limit: int | None, expected: dict[str, int]) -> None:
    assert presets(np.array(lengths), limit) == expected
    assert {type(length) for length in presets(np.array(lengths), limit).values()} == {int}


@pytest.mark.parametrize(("name", "share"), [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)])
def test_a_preset_is_the_least_length_that_so_many_texts_fit_in(name: str, share: float) -> None:
    length = presets(REAL)[name]
    assert length_report(REAL, length).fit >= share > length_report(REAL, length - 1).fit


# length_report


@pytest.mark.parametrize("geometry", [None, BERT_BASE, Geometry(2, 8, 16)])
@pytest.mark.parametrize("buckets", [None, [16, 40, 128], [128], [1, 500]])
@pytest.mark.parametrize("max_length", [1, 20, 64, 128, 500])
def test_the_report_is_what_a_loop_over_texts_counts(
    max_length: int, buckets: list[int] | None, geometry: Geometry | None
) -> None:
    report = length_report(REAL, max_length, geometry=geometry, buckets=buckets)
    given = REAL.tolist()
    kept = [min(length, max_length) for length in given]
    padded = [min(edge for edge in buckets or [max_length] if edge >= length) for length in kept]
    one = (lambda length: length) if geometry is None else lambda length: flops(length, geometry)
    assert report.texts == 1000
    assert report.cut_texts == sum(length > max_length for length in given)
    assert report.fit == pytest.approx(1 - report.cut_texts / 1000)
    assert report.cut_tokens == sum(given) - sum(kept)
    assert report.cut_share == pytest.approx(report.cut_tokens / sum(given))
    assert report.computed_tokens == sum(padded)
    assert report.padding_share == pytest.approx(1 - sum(kept) / sum(padded))
    assert report.relative_cost == pytest.approx(sum(map(one, padded)) / sum(map(one, kept)))


def test_no_padding_costs_nothing_more() -> None:
    report = length_report([7] * 5, 7, geometry=BERT_BASE)
    assert (report.fit, report.cut_tokens, report.padding_share) == (1, 0, 0)
    assert report.relative_cost == 1


def test_attention_makes_padding_dearer_than_its_tokens() -> None:
    linear, squared = (length_report(REAL, 512, geometry=geometry) for geometry in (None, BERT_BASE))
    assert squared.relative_cost > linear.relative_cost > 1
    assert squared.padding_share == linear.padding_share


def test_a_report_prints_as_aligned_text() -> None:
    report = length_report(MANY, 100, geometry=BERT_BASE)
    lines = str(report).splitlines()
    assert repr(report) == str(report)
    assert len(lines) == 7
    assert len({re.search(r"  \S+( \(.*\))?$", line).start() for line in lines}) == 1  # type: ignore[union-attr]
    assert lines[0].endswith("1,000,000")


def test_a_report_of_a_million_lengths_takes_a_moment() -> None:
    start = process_time()
    for max_length in range(100, 200):
        length_report(MANY, max_length, geometry=BERT_BASE)
    assert (process_time() - start) / 100 <= 0.02


@pytest.mark.parametrize("longest", [30, module.COUNTABLE, module.COUNTABLE + 1, 10**15])
def test_a_histogram_of_any_span(longest: int) -> None:
    sizes, texts = histogram([9, longest, 5, 9])
    assert sizes.tolist() == [5, 9, longest]
    assert texts.tolist() == [1, 2, 1]
    assert sizes.dtype == texts.dtype == np.int64


# bad input

NOT_WHOLE = "Expected a list of lengths in tokens, each a positive whole number"
WRONG: list[tuple[Any, str]] = [
    ([], "There are no lengths."),
    (np.array([], dtype=int), "There are no lengths."),
    ([5, 0, 9], f"{NOT_WHOLE}, as tsnb.token_lengths gives them; got 0."),
    ([5, -3], "got -3."),
    ([5, 2.5], "got 2.5."),
    ([5.0, 6.0], "got 5.0."),
    (np.array([5, 2.5]), "got 5.0."),
    ([5, "6"], "got 6."),
    ([True, True], "got True."),
    ([5, None], "got None."),
    ([[5, 6], [7, 8]], "got [5, 6]."),
    ([[5, 6], [7]], "got [5, 6]."),
    (7, "got int."),
    (None, "got NoneType."),
    ("5 6", "got str."),
    ((length for length in SOME), "got generator."),
]


@pytest.mark.parametrize(("given", "said"), WRONG)
@pytest.mark.parametrize(
    "called",
    [
        lambda given: length_report(given, 16),
        presets,
        tsnb.plan_buckets,
        lambda given: plots.length_histogram(given, 16),
        lambda given: plots.bucket_plan(given, [16]),
    ],
)
def test_lengths_that_are_none(called: Callable[[Any], Any], given: Any, said: str) -> None:
    assert said in refused(called, given)


@pytest.mark.parametrize("given", [0, -1, 2.5, "16", None, True])
def test_a_max_length_that_is_none(given: Any) -> None:
    expected = f"max_length must be a whole number of at least 1; got {given}."
    assert refused(length_report, SOME, given) == expected


@pytest.mark.parametrize("given", [[], [16, 16], [16, 8], [0, 16], [8, 16.5], [8, "16"], ["a"]])
def test_buckets_that_do_not_rise(given: Any) -> None:
    expected = "Bucket edges must be positive whole numbers that rise, such as [16, 32, 64]; got"
    assert refused(length_report, SOME, 16, buckets=given) == f"{expected} {given}."
    assert refused(plots.bucket_plan, SOME, given) == f"{expected} {given}."


def test_buckets_that_are_too_short() -> None:
    said = refused(length_report, SOME, 64, buckets=[8, 16])
    assert said.startswith("The last bucket edge is 16, and a text of 30 tokens must fit")
    assert length_report(SOME, 16, buckets=[8, 16]).computed_tokens == 8 + 3 * 16
    assert pad_to([8, 30], SOME).tolist() == [8, 30, 30, 30]


# the picture


def bars(figure: Figure) -> list[np.ndarray[Any, Any]]:
    """Return how many texts each bar of those that fit, and of those that are cut, stands for."""
    fits, every = (held.get_data().values for held in figure.axes[0].patches)  # type: ignore[attr-defined]
    return [fits, every - fits]


def words(figure: Figure) -> list[str]:
    return [held.get_text() for held in figure.axes[0].texts]


@pytest.mark.parametrize("max_length", [1, 26, 64, 127, 128, 300])
@pytest.mark.parametrize("limit", [None, 40, 128, 512])
def test_every_text_is_in_a_bar(max_length: int, limit: int | None) -> None:
    fits, cut = bars(plots.length_histogram(REAL, max_length, presets(REAL, limit)))
    assert fits.sum() == np.count_nonzero(max_length >= REAL)
    assert cut.sum() == np.count_nonzero(max_length < REAL)
    assert len(fits) <= plots.MOST_BINS + 1


def test_the_line_and_the_names_of_the_presets() -> None:
    figure = plots.length_histogram(REAL, 64, {"p50": 26, "mine": 90, "longest": 128, "limit": 512})
    assert words(figure) == [
        "max length 64",
        "p50 26",
        "mine 90",
        "longest 128",
        "model limit 512 →",
    ]
    assert figure.axes[0].lines[0].get_xdata()[0] == 64.5  # type: ignore[index]
    assert list(figure.axes[0].lines[1].get_xdata()) == [26, 90, 128]  # type: ignore[arg-type]


def test_presets_of_one_length_share_a_label() -> None:
    assert words(plots.length_histogram([7, 7], 7, presets([7, 7], 7)))[1:] == [
        "p50, p95, p99, longest, model limit 7"
    ]


def test_texts_over_the_limit_share_the_last_bar() -> None:
    figure = plots.length_histogram(MANY, 256, presets(MANY, 512))
    over = int((MANY > 512).sum())
    assert bars(figure)[1][-1] == over
    assert figure.axes[0].get_xlabel().endswith(f"last bar: {over:,} texts over 512")
    assert figure.axes[0].get_xlim()[1] < 530


@pytest.mark.parametrize("max_length", [1, 20, 27, 64, 69, 100, 127, 128, 200, 512])
@pytest.mark.parametrize("limit", [None, 64, 128, 512])
@pytest.mark.parametrize("lengths", [SOME, REAL, [5] * 3 + [7], MANY])
def test_no_label_is_on_another_or_outside(lengths: Any, limit: int | None, max_length: int) -> None:
    figure = plots.length_histogram(lengths, max_length, presets(lengths, limit))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_colour_is_not_the_only_sign() -> None:
    fits, cut = plots.length_histogram(REAL, 30).axes[0].patches
    assert not fits.get_hatch()
    assert cut.get_hatch() == "////"
    legend = plots.length_histogram(REAL, 30).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["fits", "is cut"]


@pytest.mark.parametrize("lengths", [REAL, MANY])
def test_a_histogram_is_drawn_between_two_moves_of_a_slider(lengths: Any) -> None:
    marks, took = presets(lengths, 512), []
    for max_length in range(40, 90):
        start = process_time()
        drawn = plots.svg(plots.length_histogram(lengths, max_length, marks), "lengths")
        took.append(process_time() - start)
    assert np.median(took) <= 0.15  # p95 alone on a machine; the median holds on a busy one too
    assert drawn.startswith("<svg")
    assert plots.INK not in drawn
    assert "max length 89" in drawn


def test_buckets_that_are_no_list() -> None:
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.length_report([5], 16, buckets=16)  # type: ignore[arg-type]
    assert (caught.value.key, caught.value.gaps["given"]) == ("lengths.not-rising", 16)


def test_a_length_beyond_all_texts() -> None:
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.length_report([2**63], 16)
    assert caught.value.key == "lengths.not-whole"


def test_a_model_in_place_of_its_geometry(load: Callable[..., Any]) -> None:
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.plan_buckets([5, 6], geometry=load()[0])
    assert (caught.value.key, caught.value.gaps["given"]) == (
        "lengths.not-geometry",
        "BertForMaskedLM",
    )
