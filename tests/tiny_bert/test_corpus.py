"""The grammar's pairs and texts: held-out names, known words, lengths like those of real traffic."""

import random
from functools import cache

import pytest

from tests.kinds import Load
from tsnb import InputError, tiny_bert
from tsnb.tiny_bert import corpus

SEED_TEXTS = ("Who was Jim Henson ?", "Jim Henson was a puppeteer")
PIECES = "[CLS] who was jim henson ? [SEP] jim henson was a puppet ##eer [SEP]"


@cache
def texts() -> list[str]:
    return corpus.texts(1000)


def lengths(texts: list[str]) -> list[int]:
    return [corpus.pieces(text) + corpus.SPECIAL_TOKENS for text in texts]


def test_the_seeds_sentence_makes_the_seeds_pieces(load: Load) -> None:
    tokenizer = load()[1]
    assert tokenizer.convert_ids_to_tokens(tokenizer(*SEED_TEXTS)["input_ids"]) == PIECES.split()


def test_the_saved_vocabulary_is_that_of_the_grammar() -> None:
    saved = (tiny_bert.FOLDER / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert saved == corpus.vocabulary()
    assert len(saved) == len(set(saved))


@pytest.mark.parametrize("unseen", [False, True])
def test_pairs_name_one_person_held_out_only_when_asked_for(*, unseen: bool) -> None:
    first, again = (
        [corpus.pair(rng, unseen=unseen) for _ in range(2000)] for rng in (random.Random(0), random.Random(0))
    )
    assert first == again
    assert {corpus.held_out(pair.first, pair.last) for pair in first} == {unseen}
    for pair in first:
        for text in (pair.question, pair.answer):
            assert f"{pair.first} {pair.last}" in text
            assert "{" not in text


def test_every_word_is_known_and_only_the_words_under_pieces_are_cut(load: Load) -> None:
    tokenizer, words = load()[1], corpus.grammar()
    pieces = {word: tokenizer.tokenize(word) for name in corpus.LISTS for word in words[name]}
    assert {word: parts for word, parts in pieces.items() if len(parts) > 1} == words["pieces"]
    rows = tokenizer(texts())["input_ids"]
    assert [len(ids) for ids in rows] == lengths(texts())
    assert not any(tokenizer.unk_token_id in ids for ids in rows)


def test_texts_are_varied_and_the_same_for_the_same_seed() -> None:
    assert corpus.texts(50, 3) == corpus.texts(80, 3)[:50] != corpus.texts(50, 4)
    assert len(set(texts())) >= 0.99 * len(texts())


@pytest.mark.parametrize("longest", [7, 33])
def test_no_text_is_longer_than_the_longest(longest: int) -> None:
    counts = lengths(corpus.texts(200, longest=longest))
    assert max(counts) <= longest
    assert min(counts) == 7


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(InputError, match=r"longest must be a whole number of at least 7; got 6\."):
        corpus.texts(longest=6)
