"""Every sentence exists, is used, and has the gaps that the code fills."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tsnb import words

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(words.__file__).parents[1]
ENGLISH = words.sentences("en")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Said(NamedTuple):
    """A call that says a sentence: where, which one, the gaps it fills, whether it says others."""

    place: str
    key: str
    gaps: frozenset[str]
    others: bool


def trees() -> dict[str, ast.Module]:
    return {
        str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


TREES = trees()
SPEAKERS = {
    "say"
} | {  # and every error of ours: each has TsnbError, or one of its kinds, as a base
    node.name
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
    and any(getattr(base, "id", "") in {"TsnbError", "Exception"} for base in node.bases)
}


def keys_in(node: ast.AST) -> Iterator[str]:
    """Give the keys that string constants below a node name, whole or by an f-string's pattern."""
    for found in ast.walk(node):
        if isinstance(found, ast.Constant) and found.value in ENGLISH:
            yield str(found.value)
        if isinstance(found, ast.JoinedStr):
            parts = [
                re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"
                for part in found.values
            ]
            pattern = re.compile("".join(parts))
            if any("\\." in part for part in parts):
                yield from filter(pattern.fullmatch, ENGLISH)


def called(call: ast.Call) -> str:
    return getattr(call.func, "id", "") or getattr(call.func, "attr", "")


def speaking() -> Iterator[tuple[str, ast.Call, Function]]:
    for file, tree in TREES.items():
        functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
        for function in functions:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and called(node) in SPEAKERS and node.args:
                    yield f"{file}:{node.lineno}", node, function


def literal() -> list[tuple[str, str]]:
    return [
        (place, call.args[0].value)
        for place, call, _ in speaking()
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    ]


def said() -> Iterator[Said]:
    """Give every call; for a variable key, each key that its function names.

    An f-string's pattern stands for the keys that match it and that nobody says by name.
    """
    for place, call, function in speaking():
        first = call.args[0]
        keys = set(keys_in(function if isinstance(first, ast.Name) else first))
        if isinstance(first, ast.JoinedStr):
            keys -= {key for _, key in literal()}
        named = [keyword.arg for keyword in call.keywords]
        if None not in named:
            for key in keys:
                yield Said(place, key, frozenset(filter(None, named)), len(keys) > 1)


def gaps(sentence: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(sentence) if name)


def test_every_key_in_the_code_has_a_sentence() -> None:
    assert literal()
    assert [(place, key) for place, key in literal() if key not in ENGLISH] == []


def test_every_sentence_is_used() -> None:
    used = {key for tree in TREES.values() for key in keys_in(tree)}
    assert set(ENGLISH) - used == set()


def test_every_gap_is_filled() -> None:
    empty = [(call.place, call.key, sorted(gaps(ENGLISH[call.key]) - call.gaps)) for call in said()]
    assert [found for found in empty if found[-1]] == []


def test_a_call_that_says_one_sentence_gives_nothing_that_it_lacks() -> None:
    single = [call for call in said() if not call.others]
    assert [call for call in single if call.gaps - gaps(ENGLISH[call.key])] == []


def test_sentences_are_one_line() -> None:
    assert [key for key, text in ENGLISH.items() if "\n" in text or "  " in text] == []


@pytest.mark.parametrize("language", ["no-such-language", ""])
def test_an_unknown_language_is_english(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("TSNB_LANGUAGE", language)
    assert words.say("inputs.empty-text") == ENGLISH["inputs.empty-text"]


def test_a_partial_language_mixes_with_english(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = '[names]\nnear = "{near}을(를)\n뜻했나요?"\n'.replace('"', '"""')
    (tmp_path / "partial.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(words, "files", lambda _: tmp_path)
    monkeypatch.setenv("TSNB_LANGUAGE", "partial")
    assert words.say("names.near", near="tiny-bert") == "tiny-bert을(를) 뜻했나요?"
    assert words.say("names.known", known="a, b") == "Known: a, b."


def test_an_unknown_key_is_a_mistake_of_the_code() -> None:
    with pytest.raises(KeyError, match="no-such-key"):
        words.say("names.no-such-key")
