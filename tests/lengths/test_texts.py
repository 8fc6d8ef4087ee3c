"""Texts from files: the three forms, and every way in which a file can be wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import tsnb
from tsnb.lengths.texts import WIDTH, read_texts

if TYPE_CHECKING:
    from pathlib import Path

BOM = b"\xef\xbb\xbf"
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
        ("a.txt", "one\n\n  two \n \t\nthree", ["one", "two", "three"]),
        ("a.txt", "one\r\ntwo\rthree\r\n", ["one", "two", "three"]),
        ("a.txt", "one\u2028still one\x0band still\n", ["one\u2028still one\x0band still"]),
        ("A.TXT", PRICE, [PRICE]),
        ("a.csv", "text\none\n\n\ntwo\n", ["one", "two"]),
        ("a.csv", f'id,text\n1,"{PRICE}"\n2,"say ""hi"""\n', [PRICE, 'say "hi"']),
        ("a.csv", 'id,text\r\n1,"two\r\nlines"\r\n2,one', ["two\r\nlines", "one"]),
        ("a.csv", "text,id\none,1\n,2\n \t,3\ntwo\n", ["one", "two"]),
        ("a.jsonl", '{"text": "one"}\n\n{"id": 2, "text": "two"}\n', ["one", "two"]),
        ("a.jsonl", '{"text": " "}\n{"text": "a\u2028b"}', ["a\u2028b"]),
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


def test_the_home_folder_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    made(tmp_path, "mine.txt", "one")
    assert read_texts("~/mine.txt") == ["one"]


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.txt").startswith("no.txt cannot be read: No such file")
    (tmp_path / "folder.csv").mkdir()
    assert refused(tmp_path / "folder.csv").startswith("folder.csv cannot be read: ")


def test_an_unknown_ending_is_told_before_the_file_is_read(tmp_path: Path) -> None:
    for name in ("a.tsv", "a", "a.txt.gz", "a.json"):
        assert refused(tmp_path / name).startswith(f"{name} ends in none of .txt, .csv, .jsonl. Give")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *[("a.txt", BOM), ("a.txt", " \n\n\t"), ("a.csv", "\n"), ("a.csv", "id,text\n1,\n")],
        *[("a.csv", "text\n"), ("a.jsonl", "\n"), ("a.jsonl", '{"text": ""}\n')],
    ],
)
def test_a_file_without_a_text(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert "holds no text. Expected at least one" in refused(made(tmp_path, name, content))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"one\ntw\xff", 2),
        (BOM + b"one\n\xff", 2),
        (b"one\r\ntwo\r\n\0three", 3),
        ("one".encode("utf-16"), 1),
        (b"PK\x03\x04\0\0", 1),
    ],
)
def test_bytes_that_are_no_text(tmp_path: Path, content: bytes, line: int) -> None:
    sentence = refused(made(tmp_path, "a.csv", content))
    assert sentence.startswith(f"a.csv is no UTF-8 text: line {line} holds bytes that are none.")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("Text,id\none,1\n", "line 1: nothing here is called text. Did you mean Text?"),
        ("id;text\n1;one\n", "line 1: nothing here is called text. Did you mean id;text?"),
        ("id,body\n1,one\n", "line 1: nothing here is called text. Known: body, id."),
        ("\n\nbody\n", "line 3: nothing here is called text. Known: body."),
        ("id,text\n1,one\n\n2\n", "line 4: nothing here is called text. Known: id."),
        ("text\nhello, world\n", "line 2: the row has more fields than the header."),
        ('text\none\n"two\nthree\n', "line 3: the row cannot be read as CSV (unexpected end of"),
        ('text\n"a\nb"\n"o"ne\n', "line 4: the row cannot be read as CSV (',' expected after"),
    ],
)
def test_a_bad_row_of_a_csv(tmp_path: Path, content: str, sentence: str) -> None:
    assert refused(made(tmp_path, "a.csv", content)).startswith(f"a.csv, {sentence}")


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ('{"text": ', "this is no JSON (Expecting value)."),
        ("one", "this is no JSON (Expecting value)."),
        ("[" * 100_000, "this is no JSON (RecursionError)."),
        ('{"text": ' + "1" * 5000 + "}", "this is no JSON (ValueError)."),
        ("[1]", 'expected a JSON object such as {"text": "a text"}; got [1].'),
        ("{}", 'expected a JSON object such as {"text": "a text"}; got {}.'),
        ('{"txt": "two"}', "nothing here is called text. Did you mean txt?"),
        ('{"id": 2, "body": "two"}', "nothing here is called text. Known: body, id."),
        ('{"text": null}', "text is null; expected a text."),
        ('{"text": ["two"]}', 'text is ["two"]; expected a text.'),
        ('{"text": "\\ud83d"}', "text holds half of a surrogate pair"),
    ],
)
def test_a_bad_line_of_a_jsonl(tmp_path: Path, bad: str, sentence: str) -> None:
    path = made(tmp_path, "a.jsonl", f'{{"text": "one"}}\n\n{bad}\n')
    assert refused(path).startswith(f"a.jsonl, line 3: {sentence}")


def test_a_long_value_is_cut_in_the_error(tmp_path: Path) -> None:
    path = made(tmp_path, "a.jsonl", json.dumps({"text": [1] * 10_000}))
    assert len(refused(path)) < 4 * WIDTH
