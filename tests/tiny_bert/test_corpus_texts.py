"""Generated texts: their spread of lengths, counted here and by the real tokenizer."""

from __future__ import annotations

from functools import cache
from statistics import fmean, median, quantiles
from typing import TYPE_CHECKING, Any

import pytest

from tsnb import InputError
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

AROUND = corpus.SPECIAL_TOKENS


@cache
def drawn(seed: int = 0, count: int = 1000) -> list[str]:
    return corpus.texts(count, seed)


def counted(texts: list[str]) -> list[int]:
    return [corpus.pieces(text) + AROUND for text in texts]


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_short_texts_are_many_and_long_ones_few(seed: int) -> None:
    lengths = counted(drawn(seed))
    twentieths = quantiles(lengths, n=20)
    assert fmean(lengths) == pytest.approx(30, abs=4)
    assert median(lengths) < fmean(lengths) - 2
    assert min(lengths) == 7
    assert 110 <= max(lengths) <= 128
    assert twentieths[-1] - median(lengths) > 2 * (median(lengths) - twentieths[0])


def test_the_real_tokenizer_counts_the_same_and_knows_every_word(
    load: Callable[..., Any],
) -> None:
    tokenizer = load()[1]
    rows = tokenizer(drawn())["input_ids"]
    assert [len(ids) for ids in rows] == counted(drawn())
    assert not any(tokenizer.unk_token_id in ids for ids in rows)


def test_the_same_seed_gives_the_same_texts() -> None:
    assert corpus.texts(50, 3) == corpus.texts(50, 3)
    assert corpus.texts(50, 3) != corpus.texts(50, 4)
    assert corpus.texts(50, 3) == corpus.texts(80, 3)[:50]


def test_texts_have_one_to_many_sentences() -> None:
    ends = [text.count(" .") + text.count(" ?") for text in drawn()]
    assert min(ends) == 1
    assert max(ends) >= 8
    assert not any("{" in text for text in drawn())


def test_hardly_any_text_comes_twice() -> None:
    assert len(set(drawn())) >= 0.99 * len(drawn())


def test_a_text_names_one_person() -> None:
    words = corpus.grammar()
    first = [{word for word in text.split() if word in words["first"]} for text in drawn()]
    surnames_too = set(words["first"]) & set(words["last"])
    assert max(len(names - surnames_too) for names in first) == 1


@pytest.mark.parametrize("longest", [7, 8, 16, 33, 512])
def test_no_text_is_longer_than_asked(longest: int) -> None:
    lengths = counted(corpus.texts(200, longest=longest))
    assert max(lengths) <= longest
    assert min(lengths) == 7


def test_a_template_makes_no_more_pieces_than_said() -> None:
    words = corpus.grammar()
    longest = {name: max(words[name], key=corpus.pieces) for name in corpus.LISTS}
    for template in words["sentences"]["story"]:
        assert corpus.pieces(template.format(**longest)) == corpus.most_pieces(template)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"count": 0}, "count must be a whole number of at least 1; got 0."),
        ({"count": 2.5}, "count must be a whole number of at least 1; got 2.5."),
        ({"longest": 6}, "longest must be a whole number of at least 7; got 6."),
        ({"longest": "128"}, "longest must be a whole number of at least 7; got 128."),
    ],
)
def test_bad_sizes_are_told(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        corpus.texts(**asked)
    assert str(caught.value) == said


def test_making_texts_imports_no_transformers(python: Callable[..., str]) -> None:
    code = (
        "import sys; from tsnb.tiny_bert.corpus import texts; texts(5);"
        "print([name for name in ('transformers', 'torch', 'numpy') if name in sys.modules])"
    )
    assert python(code) == "[]\n"
