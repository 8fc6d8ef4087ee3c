"""The order of reading in CONTRIBUTING.md: an afternoon long, each module from those before it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import tsnb

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(tsnb.__file__).parent
PAGE = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Read the package")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| ((?:`\w+` ?)+)\|", SECTION, flags=re.MULTILINE)
ORDER = [name for row in ROWS for name in re.findall(r"`(\w+)`", row)]
AFTERNOON = 3500  # lines of code
DRAWN_OR_CALLED_LATE = {"plots", "tiny_bert", "neuron"}  # imported by the function that needs them
LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def path(name: str) -> Path:
    single = PACKAGE / f"{name}.py"
    return single if single.exists() else PACKAGE / name / "__init__.py"


def docstrings(tree: ast.AST) -> Iterator[range]:
    """Give the lines of each docstring."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            yield range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)


def code_lines(text: str) -> int:
    """Count the lines that hold code: no docstring, comment or blank line."""
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in {*LAYOUT, tokenize.COMMENT}:
            held.update(range(token.start[0], token.end[0] + 1))
    return len(held.difference(*docstrings(ast.parse(text))))


def imported(name: str, *, anywhere: bool) -> set[str]:
    """Return the modules and folders of the package that a module imports, for types apart."""
    tree = ast.parse(path(name).read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if anywhere else iter(tree.body)
    typing = {id(held) for node in ast.walk(tree) if _for_types(node) for held in ast.walk(node)}
    modules = {
        node.module or ""
        for node in nodes
        if isinstance(node, ast.ImportFrom) and id(node) not in typing
    }
    return {held.split(".")[1] for held in modules if held.startswith("tsnb.")} - {name}


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_code_is_counted_without_its_words() -> None:
    text = '"""Two\nlines."""\n\n# a comment\nvalue = (\n    1\n)\n'
    assert code_lines(text) == 3


def test_it_is_an_afternoon() -> None:
    told = int(re.findall(r"Some ([\d,]+) lines", SECTION)[0].replace(",", ""))
    found = sum(code_lines(path(name).read_text(encoding="utf-8")) for name in ORDER)
    assert found <= AFTERNOON
    assert abs(found - told) <= 100


def test_every_module_is_there_once() -> None:
    assert len(ORDER) == len(set(ORDER)) > 20
    assert [name for name in ORDER if not path(name).is_file()] == []


def test_each_imports_only_from_those_before_it() -> None:
    for place, name in enumerate(ORDER):
        before = set(ORDER[:place])
        assert imported(name, anywhere=False) <= before, name
        assert imported(name, anywhere=True) <= before | DRAWN_OR_CALLED_LATE, name


def test_nothing_in_the_package_imports_the_widgets_before_it_must() -> None:
    for file in PACKAGE.glob("*.py"):
        if file.stem != "__init__":
            assert "widgets" not in imported(file.stem, anywhere=False), file
