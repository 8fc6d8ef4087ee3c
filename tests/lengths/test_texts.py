"""Texts from files as people have them: each is read exactly, or refused with file, line and a way out."""

# ruff: noqa: RUF001  the texts are of many languages

import csv
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tsnb
from tsnb.lengths.texts import TextsWarning, read_texts

BOM = b"\xef\xbb\xbf"
GOOD = '{"text": "one"}\n\n'
PRICE = "안녕, 3 € 😀"
CAFE = "Das Café schließt – „später“"
LONG = "long " * 40_000 + "text"  # over the 131,072 characters of the csv module
EXPORT = f'id;text\r\n1;{CAFE}\r\n2;"two\nlines; ""quoted"""\r\n'
EXPORTED = [CAFE, 'two\nlines; "quoted"']

FILES: list[tuple[str, str | bytes, list[str] | str]] = [  # what is read, or how the sentence begins
    # ends of lines, blanks
    ("a.TXT", "one\n\n  two \n \t\nthree", ["one", "two", "three"]),
    ("a.txt", "one\r\ntwo\rthree\r\n", ["one", "two", "three"]),
    ("a.txt", "one\u2028still one\x0band still\n", ["one\u2028still one\x0band still"]),
    ("a.csv", 'id,text\r\n1,"two\r\nlines"\r\n2,one', ["two\r\nlines", "one"]),
    ("a.csv", "id,text\r1,one\r2,two\r", ["one", "two"]),
    ("a.csv", "text,id\none,1\n,2\n \t,3\n\n,\ntwo\n", ["one", "two"]),
    ("a.txt", BOM, "a.txt holds no text. Expected at least one"),
    ("a.csv", "id,text\n1,\n", "a.csv holds no text."),
    ("a.json", "[]", "a.json holds no text."),
    # encodings and marks
    ("a.csv", EXPORT.encode("utf-8-sig"), EXPORTED),
    ("a.csv", EXPORT.encode("utf-16"), EXPORTED),
    ("a.csv", EXPORT.encode("utf-32"), EXPORTED),
    ("a.txt", BOM + b"one\n" + BOM + b"two\r\n\x1a", ["one", "two"]),
    ("a.csv", b"id,text\n" + BOM + b'1,"one"\n2,two\r\n\x1a\x1a', ["one", "two"]),
    ("a.txt", BOM + b"one\n\xff", 'a.txt, line 2: the byte 0xff is no utf-8. Save it as UTF-8 (in Excel, "CSV UTF-8"'),
    ("a.csv", "text\nna\u00efve €\n".encode() + b"\xe9", "a.csv, line 3: the byte 0xe9 is no utf-8."),
    ("a.txt", b"\r\none\r\n\0two", "a.txt, line 3: here is a zero byte. Take it out"),
    ("a.txt", "one".encode("utf-16-le"), 'a.txt, line 1: here is a zero byte. Take it out, data.replace(b"\\0", b"")'),
    # separators and headers
    ("a.csv", EXPORT, EXPORTED),
    ("a.csv", f"sep=;\r\n{EXPORT}", EXPORTED),
    ("a.csv", "sep=:\nid:text\n1:one, two\n", ["one, two"]),
    ("a.csv", "id\ttext\n1\tone, two; three\n", ["one, two; three"]),
    ("a.csv", "text|id\none, two|1\n", ["one, two"]),
    ("a.tsv", 'id\ttext\n1\tone, two\n2\t"a\ttab"\n', ["one, two", "a\ttab"]),
    ("a.tsv", "text\none, two\n", ["one, two"]),
    ("a.csv", "id;text;;\n1;one;;\n2;two\n", ["one", "two"]),
    ("a.csv", "Text,id\none,1\n", "a.csv, line 1: nothing here is called text. Did you mean Text?"),
    ("a.csv", "sep=;\nid;body\n1;one\n", "a.csv, line 2: nothing here is called text. Known: body, id."),
    ("a.csv", "id:text\n1:one\n", "a.csv, line 1: nothing here is called text. There is one column, id:text. If"),
    ("a.csv", "text,id, text\none,1,two\n", "a.csv, line 1: more than one column is called text. Rename all but one."),
    # quotation marks
    ("a.csv", f'id,text\n1,"{PRICE}"\n2,"say ""hi"""\n3,5" wide\n', [PRICE, 'say "hi"', '5" wide']),
    ("a.csv", 'id, text\n1, "one, two"\n2, three\n', ["one, two", "three"]),
    ("a.csv", '"a;b","text"\n1,", ""x"" "\n2, y\n', [', "x" ', " y"]),
    ("a.csv", "id,text\n1,one\n\n2\n", "a.csv, line 4: this row's number of fields is 1, the header's 2. Mend the"),
    ("a.csv", "text\nhello, world\n", "a.csv, line 2: this row's number of fields is 2, the header's 1."),
    ("a.csv", 'text\none\n"two\nthree\n', "a.csv, line 3: the row cannot be read as CSV (unexpected end"),
    ("a.csv", 'id,text\n1,"say \\"hi\\""\n', "a.csv, line 2: the row cannot be read as CSV ("),
    # lengths, nulls, numbers
    ("a.csv", f'id,note,text\n1,"{LONG}",one\n2,,"{LONG}"\n', ["one", LONG]),
    ("a.csv", "id,text\n1,007\n2,NaN\n3,NULL\n4,1e5\n", ["007", "NaN", "NULL", "1e5"]),
    ("a.csv", f'text\n"{LONG}\n', "a.csv, line 2: the row cannot be read as CSV (unexpected end"),
    ("a.jsonl", GOOD + '{"text": null}', "a.jsonl, line 3: text is null; expected a text. Put one there"),
    ("a.json", '[{"text": "one"},\n {"text": 2.5}]', "a.json, line 2: text is 2.5; expected a text."),
    # JSON
    ("a.jsonl", '{"text": "one"}\n\n{"id": null, "text": "two"}\n', ["one", "two"]),
    ("a.JsonL", json.dumps({"text": PRICE}), [PRICE]),
    ("a.json", '[{"text": "one", "of": {"text": 1}},\r\n {"text": "a\\u0000b"}]\n', ["one", "a\0b"]),
    ("a.json", json.dumps(["one", "", LONG], indent=1), ["one", LONG]),
    ("a.json", '{"text": "one"}\n{"text": "two"}', ["one", "two"]),
    ("a.jsonl", GOOD + '{"text": ', "a.jsonl, line 3: this cannot be read as JSON (Expecting value). Expected"),
    ("a.jsonl", GOOD + "[" * 100_000, "a.jsonl, line 3: this cannot be read as JSON (RecursionError)."),
    ("a.json", '[{"text": "one"},\n', "a.json, line 2: this cannot be read as JSON (Expecting value)."),
    ("a.jsonl", GOOD + '{"text": "a", "text": "b"}', "a.jsonl, line 3: this cannot be read as JSON (an object holds"),
    ("a.jsonl", "7", 'a.jsonl, line 1: expected a JSON object such as {"text": "a text"}; got 7.'),
    ("a.json", '[{"text": "one"},\n{"body": "two"}]', "a.json, line 2: nothing here is called text. Known: body."),
    ("a.jsonl", GOOD + '{"text": ["two"]}', 'a.jsonl, line 3: text is ["two"]; expected a text.'),
    ("a.json", '{"text": {"0": "one"}}', 'a.json, line 1: text is {"0": "one"}; expected a text.'),
    ("a.jsonl", GOOD + '{"text": "\\ud83d"}', "a.jsonl, line 3: text holds half of a surrogate pair"),
]
WESTERN = (
    "Größe: 5 € – „schön“, §3, Spaß|L’été, où la créée dît : « çà et là » œuvre|¿Dónde está el niño? ¡Qué pingüino!|"
    "Não há opções à mão; coração, 2º|Perché è così? più, però|Rødgrød på åen, æble|Ärlig öl på ön|"
    "It’s “naïve” — 20 °C, £5… ™"
)
OTHER = {
    "cp1250": "Żółta łódź|Příliš žluťoučký kůň|árvíztűrő|şi ţară|može",
    "cp1251": "Привет, мир",
    "cp1253": "Καλημέρα κόσμε",
    "cp1254": "Işık ve güneş",
    "cp1257": "Ąžuolas|Mājās šodien",
    "cp437": "Möbel für",
    "mac-roman": "déjà été|schön für",
    "shift-jis": "こんにちは、世界",
    "gbk": "你好,世界",
    "euc-kr": "안녕하세요",
    "iso8859-15": "3 € pour l'été",
}


def made(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path, *choices: str, **named: str) -> str:
    with pytest.raises(tsnb.InputError) as caught:
        read_texts(path, *choices, **named)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence.replace(f"{path.parent}", "", 1).lstrip("/\\")


@pytest.mark.parametrize(("name", "content", "expected"), FILES)
def test_each_file_is_read_exactly_without_a_word_or_refused(
    tmp_path: Path, name: str, content: str | bytes, expected: list[str] | str
) -> None:
    path = made(tmp_path, name, content)
    if isinstance(expected, str):
        assert refused(path).startswith(expected)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_texts(path) == expected
        if isinstance(content, str):
            assert read_texts(str(made(tmp_path, name, BOM + content.encode()))) == expected


@pytest.mark.parametrize("text", WESTERN.split("|"))
def test_windows_1252_is_read_and_the_reader_hears_of_it(tmp_path: Path, text: str) -> None:
    path = made(tmp_path, "a.csv", f'id;text\n1;"{text}"\n'.encode("cp1252"))
    with pytest.warns(
        TextsWarning, match=r"is no UTF-8. It was read as Windows-1252, where line 2 holds \"1;\""
    ) as caught:
        assert read_texts(path) == [text]
    assert caught[0].filename == __file__


@pytest.mark.parametrize("encoding", OTHER)
def test_another_encoding_is_not_guessed_and_is_read_when_it_is_named(tmp_path: Path, encoding: str) -> None:
    for text in OTHER[encoding].split("|"):
        path = made(tmp_path, "a.csv", f"id;text\n1;{text}\n".encode(encoding))
        assert 'or pass its own encoding, such as "cp1250"' in refused(path)
        assert read_texts(path, encoding=encoding) == [text]


def test_an_encoding_there_is_not_or_that_is_wrong(tmp_path: Path) -> None:
    path = made(tmp_path, "a.txt", "été")
    with pytest.raises(tsnb.InputError, match="no encoding called ansi2"):
        read_texts(path, encoding="ansi2")
    assert refused(path, encoding="ascii").startswith("a.txt, line 1: the byte 0xc3 is no ascii.")


def test_a_txt_with_tabs_tells_how_it_was_read(tmp_path: Path) -> None:
    """Excel calls it "Unicode Text"."""
    path = made(tmp_path, "a.txt", 'id\treview\r\n1\t"one\ntwo"\r\n2\tthree\r\n'.encode("utf-16"))
    with pytest.warns(TextsWarning, match="was read as a table; its first line holds tabs"):
        assert read_texts(path, "review") == ["one\ntwo", "three"]
    with pytest.warns(TextsWarning, match="read as one text a line; .* To read a column of a table, pass its name"):
        assert len(read_texts(path)) == 4


def test_another_column_may_be_named(tmp_path: Path) -> None:
    assert read_texts(made(tmp_path, "a.csv", "id,body\n1,one\n"), "body") == ["one"]
    assert 'such as {"body": "a text"}; got 7' in refused(made(tmp_path, "a.jsonl", "7"), "body")


def test_what_is_no_file_of_texts(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert refused(tmp_path / "no.txt").startswith("no.txt cannot be read: No such file")
    assert refused(tmp_path / "folder.csv").startswith("folder.csv cannot be read: ")
    assert 'in Excel, "Save As" and "CSV UTF-8"' in refused(tmp_path / "a.xlsx")


def test_the_limit_of_csv_is_as_before_whoever_reads_at_once(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = made(tmp_path, "a.csv", f'text\n"{LONG}"\n')
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read_texts, [path] * 12)) == [[LONG]] * 12
    refused(made(tmp_path, "b.csv", f'text\n"{LONG}'))
    assert csv.field_size_limit() == limit
