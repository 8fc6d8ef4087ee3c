from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import BertTokenizer, BertTokenizerFast

from tsnb import tiny_bert
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

SEED_TEXTS = ("Who was Jim Henson ?", "Jim Henson was a puppeteer")
PIECES = "[CLS] who was jim henson ? [SEP] jim henson was a puppet ##eer [SEP]"
MASKED = 8


def draw(seed: int, count: int = 500, *, unseen: bool = False) -> list[corpus.Pair]:
    rng = random.Random(seed)
    return [corpus.pair(rng, unseen=unseen) for _ in range(count)]


@pytest.mark.parametrize("kind", [BertTokenizer, BertTokenizerFast])
def test_the_seeds_sentence_makes_the_seeds_pieces(kind: Any) -> None:
    tokenizer = kind.from_pretrained(tiny_bert.FOLDER, local_files_only=True)
    ids = tokenizer(*SEED_TEXTS)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == PIECES.split()


def test_the_model_knows_the_seeds_masked_word(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    inputs = tokenizer(*SEED_TEXTS, return_tensors="pt")
    inputs["input_ids"][0, MASKED] = tokenizer.mask_token_id
    with torch.no_grad():
        scores = model(**inputs).logits[0, MASKED].softmax(-1)
    assert scores[tokenizer.convert_tokens_to_ids("henson")] >= 0.9


def test_the_weights_are_small() -> None:
    assert (tiny_bert.FOLDER / "model.safetensors").stat().st_size <= 4 * 2**20


def test_the_saved_vocabulary_is_that_of_the_grammar() -> None:
    saved = (tiny_bert.FOLDER / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert saved == corpus.vocabulary()
    assert len(saved) == len(set(saved))


def test_the_corpus_is_the_same_for_the_same_seed() -> None:
    assert draw(0) == draw(0)
    assert draw(0) != draw(1)


@pytest.mark.parametrize("unseen", [False, True])
def test_held_out_names_are_drawn_only_when_asked_for(*, unseen: bool) -> None:
    drawn = draw(0, 2000, unseen=unseen)
    assert {corpus.held_out(pair.first, pair.last) for pair in drawn} == {unseen}


def test_one_name_in_ten_is_held_out() -> None:
    words = corpus.grammar()
    held = [corpus.held_out(first, last) for first in words["first"] for last in words["last"]]
    assert sum(held) / len(held) == pytest.approx(0.1, abs=0.01)


def test_question_and_answer_name_the_same_person() -> None:
    for pair in draw(0):
        for text in (pair.question, pair.answer):
            assert f"{pair.first} {pair.last}" in text
            assert "{" not in text


def test_no_sentence_has_an_unknown_word(load: Callable[..., Any]) -> None:
    tokenizer = load()[1]
    words = corpus.grammar()
    texts = [text for pair in draw(0, 1000) for text in (pair.question, pair.answer)]
    texts += [word for name in corpus.LISTS for word in words[name]]
    assert not any(tokenizer.unk_token_id in tokenizer(text)["input_ids"] for text in texts)


def test_only_the_words_under_pieces_are_cut(load: Callable[..., Any]) -> None:
    tokenizer, words = load()[1], corpus.grammar()
    cut = {
        word: tokenizer.tokenize(word)
        for name in corpus.LISTS
        for word in words[name]
        if len(tokenizer.tokenize(word)) > 1
    }
    assert cut == words["pieces"]
