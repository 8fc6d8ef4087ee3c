"""Token lengths, and what a max length cuts and costs."""

from __future__ import annotations

import logging
import warnings
from copy import deepcopy
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
from tsnb.lengths.lengths import Geometry, flops, histogram, length_report, pad_to, presets, token_lengths
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

BERT_BASE = Geometry(12, 768, 3072)
SOME = [5, 9, 12, 30]
RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MANY = np.clip(RNG.lognormal(4.5, 1, 10**6).astype(np.int64), 3, None)


@pytest.fixture(scope="module")
def tokenizer(load: Callable[..., Any]) -> Any:
    return load()[1]


def refusal(called: Callable[..., Any], *values: Any, **named: Any) -> str:
    with pytest.raises(tsnb.InputError) as caught:
        called(*values, **named)
    return str(caught.value)


# token_lengths


@pytest.mark.parametrize("count", [1, 1000, 2500])
def test_lengths_are_those_of_the_tokenizer_a_text_at_a_time(tokenizer: Any, count: int) -> None:
    texts = (corpus.texts(500) * 5)[:count]
    lengths = token_lengths(tokenizer, texts)
    assert lengths.dtype == np.int64
    assert lengths.tolist() == [corpus.pieces(text) + 2 for text in texts]


def test_every_kind_of_text_of_iterable_and_of_tokenizer(tokenizer: Any) -> None:
    texts: list[Any] = ["who was jim ?", ("who ?", "a poet"), "", ("", "jim"), np.str_("jim")]
    expected = [len(tokenizer(*(text if type(text) is tuple else [text])).input_ids) for text in texts]
    for iterable in (texts, tuple(texts), iter(texts)):
        assert token_lengths(tokenizer, iterable).tolist() == expected
    slow = BertTokenizer.from_pretrained(tiny_bert.FOLDER, local_files_only=True)
    assert token_lengths(slow, texts).tolist() == expected


def test_nothing_is_cut_or_padded_and_nobody_warns(tokenizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    eager = deepcopy(tokenizer)
    eager.backend_tokenizer.enable_truncation(8)
    eager.backend_tokenizer.enable_padding(length=64)
    long = "jim " * (tokenizer.model_max_length + 100)
    logging.getLogger("transformers").propagate = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert token_lengths(eager, [long, (long, long), "jim"]).tolist() == [614, 1227, 3]
    logging.getLogger("transformers").propagate = False
    assert caplog.records == []


def test_a_bar_appears_when_it_takes_long(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token_lengths(tokenizer, ["jim"] * 30)
    monkeypatch.setattr("tsnb.lengths.lengths.DELAY", 0)
    token_lengths(tokenizer, ["jim"] * 30, progress=False)
    assert "30/30" not in capsys.readouterr().err
    token_lengths(tokenizer, ["jim"] * 30)
    assert "30/30" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ("one text", "Expected a list of texts; got one str. Put one text into a list: [text]."),
        (None, "Expected a list of texts; got one NoneType."),
        (iter([]), "There are no texts to measure. Give at least one."),
        (["jim"] * 1500 + [None], "Text 1500 is a NoneType; expected a text, or a pair of texts as a tuple."),
        ([("one", "two", "three")], "Text 0 is a tuple;"),
        (["jim", "\ud83d"], "Text 1 holds half of a surrogate pair"),
    ],
)
def test_what_is_no_list_of_texts(tokenizer: Any, texts: Any, sentence: str) -> None:
    assert refusal(token_lengths, tokenizer, texts).startswith(sentence)


# the cost of a text


@pytest.mark.parametrize("hidden", [64, 1024])
@pytest.mark.parametrize("length", [1, 31, 4096])
def test_the_formula_is_that_of_the_paper(hidden: int, length: int) -> None:
    # Narayanan et al. 2021, appendix: 24 B s l h² (1 + s / 6h), here with B = 1
    paper = 24 * length * 12 * hidden**2 * (1 + length / (6 * hidden))
    assert flops(length, Geometry(12, hidden, 4 * hidden)) == pytest.approx(paper, rel=1e-12)


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
    costs = flops(np.array([1, 31, 512, 10**9]), BERT_BASE)
    assert costs.dtype == np.float64
    assert costs.tolist() == pytest.approx([flops(length, BERT_BASE) for length in (1, 31, 512, 10**9)])
    assert flops(10**9, BERT_BASE) > 2**63


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
    ("model", "size"),
    [
        (nn.Linear(2, 2), "layers"),
        (SimpleNamespace(config=SimpleNamespace(num_layers=[2, 2], d_model=8)), "layers"),
        (SimpleNamespace(config=SimpleNamespace(n_layers=2, dim=8, d_ff=None)), "intermediate"),
    ],
)
def test_a_size_that_no_configuration_says(model: Any, size: str) -> None:
    sentence = refusal(Geometry.of, model)
    assert f"The configuration of this {type(model).__name__} does not say {size}." in sentence
    assert "Geometry(layers, hidden, intermediate)" in sentence


# presets and reports


def test_presets() -> None:
    assert presets(range(1, 101)) == {"p50": 50, "p95": 95, "p99": 99, "longest": 100}
    marks = presets(np.array([3, 3, 3, 900]), 512)
    assert marks == {"p50": 3, "p95": 900, "p99": 900, "longest": 900, "limit": 512}
    assert {type(length) for length in marks.values()} == {int}
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        length = presets(REAL)[name]
        assert length_report(REAL, length).fit >= share > length_report(REAL, length - 1).fit


@pytest.mark.parametrize("geometry", [None, BERT_BASE])
@pytest.mark.parametrize("buckets", [None, [16, 40, 128], [1, 500]])
@pytest.mark.parametrize("max_length", [1, 64, 500])
def test_the_report_is_what_a_loop_over_texts_counts(
    max_length: int, buckets: list[int] | None, geometry: Geometry | None
) -> None:
    report, lengths = length_report(REAL, max_length, geometry=geometry, buckets=buckets), REAL.tolist()
    kept = [min(length, max_length) for length in lengths]
    padded = [min(edge for edge in buckets or [max_length] if edge >= length) for length in kept]
    one = (lambda length: length) if geometry is None else lambda length: flops(length, geometry)
    assert report.texts == 1000
    assert report.cut_texts == sum(length > max_length for length in lengths)
    assert report.fit == pytest.approx(1 - report.cut_texts / 1000)
    assert report.cut_tokens == sum(lengths) - sum(kept)
    assert report.cut_share == pytest.approx(report.cut_tokens / sum(lengths))
    assert report.computed_tokens == sum(padded)
    assert report.padding_share == pytest.approx(1 - sum(kept) / sum(padded))
    assert report.relative_cost == pytest.approx(sum(map(one, padded)) / sum(map(one, kept)))


def test_attention_makes_padding_dearer_than_its_tokens() -> None:
    linear, squared = (length_report(REAL, 512, geometry=geometry) for geometry in (None, BERT_BASE))
    assert squared.relative_cost > linear.relative_cost > 1
    assert squared.padding_share == linear.padding_share


def test_a_report_of_a_million_lengths_takes_a_moment_and_prints_as_aligned_text() -> None:
    start = process_time()
    reports = [length_report(MANY, max_length, geometry=BERT_BASE) for max_length in range(100, 120)]
    assert (process_time() - start) / 20 <= 0.05
    lines = repr(reports[0]).splitlines()
    assert lines[0].split() == ["texts", "1,000,000"]
    assert (len(lines), len({len(line) for line in lines})) == (7, 1)


def test_a_histogram_of_any_span() -> None:
    sizes, texts = histogram([9, 10**15, 5, 9])
    assert (sizes.tolist(), texts.tolist()) == ([5, 9, 10**15], [1, 2, 1])


# bad input


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ([], "There are no lengths. Give at least one"),
        ([5, 0, 9], "each a positive whole number, as tsnb.token_lengths gives them; got 0."),
        ([5, 2.5], "got 2.5."),
        (np.array([5, 2.5]), "got 5.0."),
        ([5, "6"], "got 6."),
        ([True, True], "got True."),
        ([5, None], "got None."),
        ([[5, 6], [7, 8]], "got [5, 6]."),
        ([[5, 6], [7]], "got [5, 6]."),
        ([2**63], "got list."),
        (None, "got NoneType."),
        ("5 6", "got str."),
        ((length for length in SOME), "got generator."),
    ],
)
def test_lengths_that_are_none(lengths: Any, sentence: str) -> None:
    assert sentence in refusal(length_report, lengths, 16)


def test_bad_lengths_are_refused_by_all_that_take_them() -> None:
    for called in (presets, tsnb.plan_buckets, tsnb.padding_cost):
        assert refusal(called, [5, -3]).endswith("got -3.")


def test_a_max_length_that_is_none() -> None:
    assert "max_length must be a whole number of at least 1; got 0." in refusal(length_report, SOME, 0)
    for called in (length_report, tsnb.padding_cost):  # transformers says so where there is no limit
        assert "a tokenizer's way to say that it has no limit" in refusal(called, SOME, int(1e30))


@pytest.mark.parametrize("edges", [[], [16, 16], [16, 8], [0, 16], [8, 16.5], ["a"], [[8]], 16])
def test_buckets_that_do_not_rise(edges: Any) -> None:
    expected = "Bucket edges must be positive whole numbers that rise, such as [16, 32, 64]; got"
    assert refusal(length_report, SOME, 16, buckets=edges) == f"{expected} {edges}."


def test_buckets_that_are_too_short() -> None:
    sentence = refusal(length_report, SOME, 64, buckets=[8, 16])
    assert sentence.startswith("The last bucket edge is 16, and a text of 30 tokens must fit")
    assert pad_to([8, 30], SOME).tolist() == [8, 30, 30, 30]


def test_a_model_in_place_of_its_geometry(load: Callable[..., Any]) -> None:
    sentence = refusal(tsnb.plan_buckets, [5, 6], geometry=load()[0])
    assert "got a BertForMaskedLM. Give Geometry.of(model)" in sentence
