"""What a committed notebook looks like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
ORDER = (
    "00_start_here",
    "01_flag_and_untying",
    "02_dummy_inputs_and_tracing",
    "03_save_and_load",
    "04_inference",
    "05_neuron_conversion",
)
LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")


@pytest.fixture(params=ORDER)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def notebook(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def _text(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_folder_holds_these_notebooks_and_no_others() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(ORDER)


def test_the_format_is_4_5_with_cell_ids_and_the_python3_kernel(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    assert not [cell for cell in ids if re.fullmatch(r"[0-9a-f]{8}", cell)], "ids are words"


def test_there_are_no_outputs_and_no_counts(notebook: Any) -> None:
    for cell in _code(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.metadata == {}


def test_the_file_is_written_as_jupyter_writes_it(name: str, notebook: Any) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == nbformat.writes(notebook) + "\n"


def test_it_opens_with_what_a_reader_does_learns_and_needs(notebook: Any) -> None:
    first = notebook.cells[0].source
    for heading in ("What you'll do.", "What you'll learn.", "What you'll need."):
        assert f"**{heading}**" in first
    assert re.search(r"\*\*\d+ minutes\.\*\*", first)


def test_it_ends_with_a_recap_and_links_to_its_neighbours(name: str, notebook: Any) -> None:
    last = notebook.cells[-1].source
    assert last.startswith("## Recap")
    place = ORDER.index(name)
    neighbours = {*ORDER[max(place - 1, 0) : place], *ORDER[place + 1 : place + 2]}
    assert {f"{neighbour}.ipynb" for neighbour in neighbours} <= set(LINK.findall(last))


def test_every_link_to_a_notebook_leads_somewhere(notebook: Any) -> None:
    links = [link for text in _text(notebook) for link in LINK.findall(text)]
    for link in links:
        assert link.startswith("https://") or (FOLDER / link).is_file(), link


def test_the_minutes_of_the_course_agree(name: str, notebook: Any) -> None:
    minutes = re.search(r"\*\*(\d+) minutes\.\*\*", notebook.cells[0].source)
    overview = "\n".join(_text(nbformat.read(FOLDER / f"{ORDER[0]}.ipynb", as_version=4)))
    row = re.search(rf"\({name}\.ipynb\).*\| (\d+) \|", overview)
    assert minutes is not None
    assert name == ORDER[0] or (row is not None and row[1] == minutes[1])


def test_a_cell_of_code_fits_on_a_screen(notebook: Any) -> None:
    for cell in _code(notebook):
        lines = cell.source.splitlines()
        assert len(lines) <= 22, cell.id
        assert max(map(len, lines)) <= 100, cell.id
