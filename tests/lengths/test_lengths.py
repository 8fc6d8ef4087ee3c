"""Token lengths, and what a max length cuts and costs."""

import logging
import warnings
from collections import UserDict
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers.processors import Sequence  # type: ignore[import-untyped]
from torch import nn
from transformers import BertConfig, BertTokenizer, FunnelConfig, T5Config

import tsnb
from tests.kinds import Load
from tsnb import tiny_bert
from tsnb.lengths.lengths import Geometry, LengthReport, flops, length_report, presets, token_lengths
from tsnb.tiny_bert import corpus

NONE: Any = None
BERT_BASE = Geometry(12, 768, 3072)
SOME = [5, 9, 12, 30]
RNG = np.random.default_rng(0)
REAL = np.clip(RNG.lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)


def configured(**sizes: object) -> Any:
    return SimpleNamespace(config=SimpleNamespace(**sizes))


@pytest.fixture(scope="module")
def tokenizer(load: Load) -> Any:
    return load()[1]


# token_lengths


def test_every_kind_of_text_of_iterable_and_of_tokenizer(tokenizer: Any) -> None:
    many = corpus.texts(500) * 3
    assert token_lengths(tokenizer, many).tolist() == [corpus.pieces(text) + 2 for text in many]
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


TEXTS = ["who was jim ?", "a poet"]


class Frame:
    """Of pandas and polars: its iterator gives names, or columns."""

    def __init__(self, table: Any) -> None:
        self.table, self.columns = table, list(table)

    def __getitem__(self, name: str) -> Any:
        return self.table[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.table)


class Table(Frame):
    """Of pyarrow; that of `datasets` has the names alone."""

    def __init__(self, table: Any) -> None:
        self.table, self.column_names, self.columns = table, list(table), list(table.values())


def test_a_table_is_no_column_whatever_it_is_made_of(tokenizer: Any) -> None:
    columns: dict[str, list[Any]] = {"id": [7, 8], "review": TEXTS, "stars": [5, 1]}
    for table in (Frame(columns), Table(columns), columns, UserDict(columns)):
        with pytest.raises(
            tsnb.InputError, match=r'the columns id, review, stars. Give .*, such as df\["review"\]\.$'
        ):
            token_lengths(tokenizer, table)
        assert token_lengths(tokenizer, table["review"]).tolist() == [6, 4]
    for column in (np.array(TEXTS), np.array(TEXTS, dtype=object), (text for text in TEXTS)):
        assert token_lengths(tokenizer, column).tolist() == [6, 4]


def test_a_text_that_makes_no_tokens_is_named_everywhere(load: Load) -> None:
    model, tokenizer = load()
    bare = deepcopy(tokenizer)
    bare.backend_tokenizer.post_processor = Sequence([])  # no [CLS], no [SEP]
    runner = tsnb.Runner(tsnb.trace(model, tsnb.dummy_inputs(bare, model, max_length=16)), bare)
    texts = [*TEXTS * 600, "\u200b", "jim"]
    for call in (lambda: token_lengths(bare, texts), lambda: runner(texts)):
        with pytest.raises(tsnb.InputError, match=r"^Text 1200 makes no tokens: .* Leave the text out, or give"):
            call()
    with pytest.raises(tsnb.InputError, match=r"^The text makes no tokens: "):
        tsnb.dummy_inputs(bare, model, "\u200b")


# the cost of a text


def test_the_formula_counts_every_matrix_product() -> None:
    hidden, inside, length = 16, 10, 40
    products = [  # rows, inner, columns
        *[(length, hidden, hidden)] * 4,
        *[(length, hidden, inside), (length, inside, hidden)],
        *[(length, hidden, length), (length, length, hidden)],
    ]
    counted = sum(2 * rows * inner * columns for rows, inner, columns in products)
    assert flops(length, Geometry(3, hidden, inside)) == 3 * counted
    assert flops(np.array([1, 10**9]), BERT_BASE).tolist() == [flops(1, BERT_BASE), flops(10**9, BERT_BASE)]


@pytest.mark.parametrize(
    ("model", "sizes"),
    [
        (SimpleNamespace(config=BertConfig()), (12, 768, 3072)),
        (SimpleNamespace(config=T5Config()), (6, 512, 2048)),
        (SimpleNamespace(config=FunnelConfig()), (12, 768, 3072)),
        (configured(n_layers=3, dim=48, hidden_dim=99), (3, 48, 99)),  # as DistilBERT
        (configured(num_layers=np.int64(2), d_model=8, ffn_dim=32), (2, 8, 32)),
    ],
)
def test_sizes_are_read_from_configurations(model: Any, sizes: tuple[int, int, int]) -> None:
    assert Geometry.of(model) == Geometry(*sizes)


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
@pytest.mark.parametrize("buckets", [None, [16, 40, 128]])
@pytest.mark.parametrize("max_length", [1, 64])
def test_the_report_is_what_a_loop_over_texts_counts(
    max_length: int, buckets: list[int] | None, geometry: Geometry | None
) -> None:
    lengths = REAL.tolist()
    kept = [min(length, max_length) for length in lengths]
    padded = [min(edge for edge in buckets or [max_length] if edge >= length) for length in kept]
    one = (lambda length: length) if geometry is None else lambda length: flops(length, geometry)
    cut = sum(length > max_length for length in lengths)
    expected = LengthReport(
        texts=1000,
        fit=1 - cut / 1000,
        cut_texts=cut,
        cut_tokens=sum(lengths) - sum(kept),
        cut_share=1 - sum(kept) / sum(lengths),
        computed_tokens=sum(padded),
        padding_share=1 - sum(kept) / sum(padded),
        relative_cost=sum(map(one, padded)) / sum(map(one, kept)),
    )
    report = length_report(REAL, max_length, geometry=geometry, buckets=buckets)
    assert astuple(report) == pytest.approx(astuple(expected))


# bad input

NO_LENGTHS = "Expected a list of lengths in tokens, each a positive whole number"
NOT_RISING = r"Bucket edges must be positive whole numbers that rise, such as \[8, 16, 32\]; got"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: token_lengths(NONE, "one text"), r"list of texts; got one str. Put one text into a list: \[text\]"),
        (lambda: token_lengths(NONE, iter([])), "There are no texts to measure. Give at least one."),
        (lambda: token_lengths(NONE, ["jim"] * 9 + [NONE]), "Text 9 is a NoneType; expected a text, .* dropna"),
        (lambda: token_lengths(NONE, [{"text": "jim"}]), "Text 0 is a dict; .* Take a row's column"),  # type: ignore[list-item]
        (lambda: length_report([], 16), "There are no lengths. Give at least one"),
        (lambda: length_report([5, 0, 9], 16), f"{NO_LENGTHS}, as tsnb.token_lengths gives them; got 0."),
        (lambda: length_report(np.array([5, 2.5]), 16), "got 5.0."),
        (lambda: length_report([[5, 6], [7]], 16), r"got \[5, 6\]."),  # type: ignore[list-item]
        (lambda: length_report("5 6", 16), "got str."),  # type: ignore[arg-type]
        (lambda: presets([5, -3]), "got -3."),
        (lambda: tsnb.plan_buckets([5, -3]), "got -3."),
        (lambda: tsnb.plan_buckets([5, 9], 0), "count must be a whole number of at least 1; got 0."),
        (lambda: length_report(SOME, 0), "max_length must be a whole number of at least 1; got 0."),
        (lambda: length_report(SOME, int(1e30)), r"max_length is 10+\d+, as where there is no limit"),
        (lambda: length_report(SOME, 16, buckets=[]), NOT_RISING),
        (lambda: length_report(SOME, 16, buckets=[16, 8]), NOT_RISING),
        (lambda: length_report(SOME, 16, buckets=[8, 16.5]), NOT_RISING),  # type: ignore[list-item]
        (lambda: length_report(SOME, 16, buckets=16), f"{NOT_RISING} 16."),  # type: ignore[arg-type]
        (lambda: length_report(SOME, 64, buckets=[8, 16]), "A text has 30 tokens; the last bucket edge is 16."),
        (lambda: tsnb.plan_buckets([5], geometry=nn.Linear(2, 2)), r"Geometry.of\(model\); got a Linear"),  # type: ignore[arg-type]
        (lambda: Geometry.of(nn.Linear(2, 2)), "of this Linear does not say layers. Give the sizes"),
        (lambda: Geometry.of(configured(n_layers=2, dim=8, d_ff=None)), "does not say intermediate"),
    ],
)
def test_what_is_refused(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(tsnb.InputError, match=sentence):
        call()
