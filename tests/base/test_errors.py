from __future__ import annotations

import pickle

import pytest

from tsnb.base import errors


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ModelError, ValueError),
        (errors.InputError, ValueError),
        (errors.TraceError, RuntimeError),
        (errors.ArtifactError, RuntimeError),
        (errors.NeuronError, RuntimeError),
    ],
)
def test_each_error_is_also_a_builtin_one(kind: type[errors.TsnbError], builtin: type[Exception]) -> None:
    assert issubclass(kind, errors.TsnbError)
    assert issubclass(kind, builtin)


def test_an_error_keeps_its_key_and_gaps() -> None:
    error = errors.InputError("inputs.too-long", tokens=9, length=8)
    assert (error.key, error.gaps) == ("inputs.too-long", {"tokens": 9, "length": 8})
    assert "makes 9 tokens" in str(error)
    assert "max_length is 8" in str(error)


def test_an_error_comes_whole_out_of_another_process() -> None:
    error = errors.InputError("inputs.too-long", tokens=9, length=8)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.gaps) == (type(error), str(error), error.gaps)


def test_an_error_without_a_sentence_is_a_mistake_of_the_code() -> None:
    with pytest.raises(KeyError):
        errors.InputError("inputs.no-such-sentence")


@pytest.mark.parametrize(
    ("given", "known", "sentence"),
    [
        ("input_idz", ["attention_mask", "input_ids"], "Did you mean input_ids?"),
        ("zzz", ["b", "a"], "Known: a, b."),
        ("zzz", iter(["b", "a"]), "Known: a, b."),
    ],
)
def test_suggest(given: str, known: list[str], sentence: str) -> None:
    assert errors.suggest(given, known) == sentence
