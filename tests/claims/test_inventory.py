"""Every claim in a notebook has a test, and every test of a claim has a notebook."""

import ast
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]


def _told() -> set[str]:
    """Return the claims of the notebooks' text."""
    cells = [
        cell
        for path in (ROOT / "notebooks").glob("*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    ]
    return {name for cell in cells for name in re.findall(r"<!-- claim: (.+?) -->", cell.source)}


def _tested() -> list[str]:
    """Return the claims that a test is marked with."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in Path(__file__).parent.glob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        str(call.args[0].value)
        for call in calls
        if ast.unparse(call.func) == "pytest.mark.claim" and isinstance(call.args[0], ast.Constant)
    ]


def test_every_claim_is_tested_and_every_test_is_told() -> None:
    told, tested = _told(), set(_tested())
    assert told, "no claim was found: has the form of the comment changed?"
    assert told - tested == set(), "claims without a test"
    assert tested - told == set(), "tests whose claim no notebook makes"


def test_no_claim_is_tested_twice() -> None:
    assert len(_tested()) == len(set(_tested()))
