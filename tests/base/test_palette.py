"""The palette: one table of colours, which the style sheet of the explorer's grid repeats."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tsnb
from tsnb.base import palette
from tsnb.figures.shapes import COLOURS

PACKAGE = Path(tsnb.__file__).parent
OF_THE_PALETTE = {value for name, value in vars(palette).items() if name.isupper()}


def test_no_module_has_a_table_of_its_own() -> None:
    elsewhere = (path for path in PACKAGE.rglob("*.py") if path.name != "palette.py")
    told = {path.name: OF_THE_PALETTE & set(_hexes(path)) for path in elsewhere}
    assert not {name: found for name, found in told.items() if found}


def _hexes(path: Path) -> list[str]:
    return re.findall(r"#[0-9a-f]{6}\b", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("kind", "colour"), COLOURS.items())
def test_the_grid_in_the_page_has_the_colours_of_the_figure(kind: str, colour: str) -> None:
    sheet = (PACKAGE / "widgets" / "grid.css").read_text(encoding="utf-8")
    line = re.search(rf'\[data-kind="{kind}"\] \{{ background: rgba\((\d+), (\d+), (\d+)', sheet)
    assert line
    assert "#{:02x}{:02x}{:02x}".format(*map(int, line.groups())) == colour
