"""What a committed notebook looks like."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def text(notebook: Any) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_valid_and_without_outputs_as_jupyter_writes_it(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    assert [cell for cell in ids if re.fullmatch(r"[0-9a-f]{8}", cell)] == [], "ids are words"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count, cell.metadata) == ([], None, {})
            assert len(cell.source.splitlines()) <= 22, f"{cell.id} does not fit on a screen"


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_its_aims_and_ends_with_a_recap_and_its_neighbours(name: str) -> None:
    first, *_, last = (cell.source for cell in read(name).cells)
    for heading in ("What you'll do.", "What you'll learn.", "What you'll need."):
        assert f"**{heading}**" in first
    [minutes] = re.findall(r"\*\*(\d+) minutes\.\*\*", first)
    place = NAMES.index(name)
    if place > 0:
        assert re.search(rf"\({name}\.ipynb\).*\| {minutes} \|", text(read(NAMES[0])))
    assert last.startswith("## Recap")
    neighbours = {*NAMES[max(place - 1, 0) : place], *NAMES[place + 1 : place + 2]}
    assert {f"{neighbour}.ipynb" for neighbour in neighbours} <= set(LINK.findall(last))


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_to_a_file_or_the_web(name: str) -> None:
    for link in LINK.findall(re.sub(r"```[\s\S]+?```", "", text(read(name)))):  # code has brackets of its own
        assert link.startswith("https://") or (FOLDER / link).is_file(), link
