"""Texts from files: the three forms, and every way in which a file can be wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import tsnb
from tsnb.lengths.texts import read_texts

if TYPE_CHECKING:
    from pathlib import Path

BOM = b"\xef\xbb\xbf"
GOOD = '{"text": "one"}\n\n'
PRICE = "안녕, 3 € 😀"


def made(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path, column: str = "text") -> str:
    with pytest.raises(tsnb.InputError) as caught:
        read_texts(path, column)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence.replace(f"{path.parent}", "", 1).lstrip("/\\")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("A.TXT", "one\n\n  two \n \t\nthree", ["one", "two", "three"]),
        ("a.txt", "one\r\ntwo\rthree\r\n", ["one", "two", "three"]),
        ("a.txt", "one\u2028still one\x0band still\n", ["one\u2028still one\x0band still"]),
        ("a.csv", f'id,text\n1,"{PRICE}"\n2,"say ""hi"""\n', [PRICE, 'say "hi"']),
        ("a.csv", 'id,text\r\n1,"two\r\nlines"\r\n2,one', ["two\r\nlines", "one"]),
        ("a.csv", "text,id\none,1\n,2\n \t,3\ntwo\n", ["one", "two"]),
        ("a.jsonl", '{"text": "one"}\n\n{"id": 2, "text": "two"}\n', ["one", "two"]),
        ("a.JsonL", json.dumps({"text": PRICE}), [PRICE]),
    ],
)
def test_each_form_is_read(tmp_path: Path, name: str, content: str, expected: list[str]) -> None:
    assert read_texts(made(tmp_path, name, content)) == expected
    assert read_texts(str(made(tmp_path, name, BOM + content.encode()))) == expected


def test_another_column_may_be_named(tmp_path: Path) -> None:
    assert read_texts(made(tmp_path, "a.csv", "id,body\n1,one\n"), "body") == ["one"]
    assert read_texts(made(tmp_path, "a.jsonl", '{"id": 1, "body": "one"}'), column="body") == ["one"]
    assert 'such as {"body": "a text"}; got 7' in refused(made(tmp_path, "a.jsonl", "7"), "body")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", BOM, "a.txt holds no text. Expected at least one"),
        ("a.csv", "id,text\n1,\n", "a.csv holds no text."),
        ("a.txt", BOM + b"one\n\xff", "a.txt is no UTF-8 text: line 2 holds bytes that are none."),
        ("a.txt", "one".encode("utf-16"), "a.txt is no UTF-8 text: line 1 "),
        ("a.csv", "Text,id\none,1\n", "a.csv, line 1: nothing here is called text. Did you mean Text?"),
        ("a.csv", "id,text\n1,one\n\n2\n", "a.csv, line 4: nothing here is called text. Known: id."),
        ("a.csv", "text\nhello, world\n", "a.csv, line 2: the row has more fields than the header."),
        ("a.csv", 'text\none\n"two\nthree\n', "a.csv, line 3: the row cannot be read as CSV (unexpected end"),
        ("a.jsonl", GOOD + '{"text": ', "a.jsonl, line 3: this is no JSON (Expecting value)."),
        ("a.jsonl", GOOD + "[" * 100_000, "a.jsonl, line 3: this is no JSON (RecursionError)."),
        ("a.jsonl", "[1]", 'a.jsonl, line 1: expected a JSON object such as {"text": "a text"}; got [1].'),
        ("a.jsonl", GOOD + '{"text": ["two"]}', 'a.jsonl, line 3: text is ["two"]; expected a text.'),
        ("a.jsonl", GOOD + '{"text": "\\ud83d"}', "a.jsonl, line 3: text holds half of a surrogate pair"),
        ("a.tsv", "text\none\n", "a.tsv ends in none of .txt, .csv, .jsonl. Give"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, name: str, content: str | bytes, sentence: str) -> None:
    assert refused(made(tmp_path, name, content)).startswith(sentence)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.txt").startswith("no.txt cannot be read: No such file")
    (tmp_path / "folder.csv").mkdir()
    assert refused(tmp_path / "folder.csv").startswith("folder.csv cannot be read: ")
