"""The figures that the package's code is held to, measured on its syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import tsnb

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(tsnb.__file__).parent
MEDIAN, NINE_IN_TEN, LONGEST = 9, 25, 45
Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def sources() -> dict[str, str]:
    return {
        str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def functions() -> Iterator[tuple[str, Function, list[str]]]:
    """Give every function with its place and its file's lines."""
    for file, text in sources().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function):
                yield f"{file}:{node.lineno} {node.name}", node, text.splitlines()


def body_lines(function: Function, lines: list[str]) -> int:
    """Count the lines of code of a function's body: no signature, docstring, comment or blank."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    held = lines[body[0].lineno - 1 : body[-1].end_lineno]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in held)


def lengths() -> dict[str, int]:
    return {place: body_lines(function, lines) for place, function, lines in functions()}


def untyped(function: Function) -> list[str]:
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    bare = [held.arg for held in arguments if held is not None and held.annotation is None]
    wanted = [name for name in bare if name not in {"self", "cls"}]
    return wanted if function.returns is not None else [*wanted, "return"]


def public(nodes: list[ast.stmt], parents: str = "") -> Iterator[tuple[str, Definition]]:
    """Give the public functions and classes of a module, and the public methods of those."""
    for node in nodes:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield parents + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{parents}{node.name}.")


def test_half_of_the_functions_are_short() -> None:
    assert median(lengths().values()) <= MEDIAN


def test_nine_functions_in_ten_are_not_long() -> None:
    assert quantiles(lengths().values(), n=10)[-1] <= NINE_IN_TEN


def test_no_function_is_too_long() -> None:
    assert {place: count for place, count in lengths().items() if count > LONGEST} == {}


def test_every_function_is_typed() -> None:
    found = {place: untyped(function) for place, function, _ in functions()}
    assert {place: names for place, names in found.items() if names} == {}


def test_everything_public_has_a_docstring() -> None:
    bare = [
        f"{file}: {name}"
        for file, text in sources().items()
        for name, node in public(ast.parse(text).body)
        if not ast.get_docstring(node)
    ]
    assert bare == []


def test_the_figures_are_measured_as_they_say() -> None:
    text = (
        'def f(a, *b: int) -> int:\n    """Say."""\n\n    # why\n    return (\n        a\n    )\n'
    )
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert (body_lines(function, text.splitlines()), untyped(function)) == (3, ["a"])
