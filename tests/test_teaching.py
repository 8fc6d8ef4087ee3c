"""The page for the person who teaches: minutes add up, and what it names is there."""

import re
import shlex
from pathlib import Path

import nbformat
import pytest

from tests.kinds import MonkeyPatch
from tsnb.cli.main import main
from tsnb.practice.exercises import exercise

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[(\d\d)\]\((notebooks/\S+?\.ipynb)\)")
TITLE = re.compile(r"\*(Exercise: .+?)\*")
OUTLINES = ("90 minutes", "Half a day: 210 minutes", "Alone: 265 minutes")


def sections() -> dict[str, str]:
    """Return what stands below each heading."""
    _, *parts = re.split(r"^## (.+)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(heading: str) -> list[list[str]]:
    """Return the cells of a section's table, without its head."""
    lines = [line for line in sections()[heading].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def source(number: str) -> str:
    [path] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


ALL_HEADINGS = {
    number: set(re.findall(r"^##+ (.+)$", source(number), flags=re.MULTILINE))
    for number in ("00", "01", "02", "03", "04", "05", "06")
}


@pytest.mark.parametrize("heading", OUTLINES)
def test_minutes_add_up_and_a_step_names_headings_of_its_notebook(heading: str) -> None:
    [promised] = re.findall(r"\d+(?= minutes)", heading)
    minutes = [int(first) for first, *_ in rows(heading)]
    assert sum(minutes) == int(promised)
    for _, where, _ in rows(heading):
        if where == "break":
            continue
        link = LINK.match(where)
        assert link, where
        assert (ROOT / link[2]).is_file()
        named = re.findall(r"\*(.+?)\*", where)
        assert set(named) <= ALL_HEADINGS[link[1]], named


def test_a_step_takes_at_least_what_its_exercise_promises() -> None:
    promised = re.findall(
        r"^### (Exercise: .+)\n[\s\S]+?\*(\d+) minutes\.\*$", "\n".join(map(source, ALL_HEADINGS)), flags=re.MULTILINE
    )
    minutes = {title: int(number) for title, number in promised}
    steps = [(where, int(first)) for name in OUTLINES for first, where, _ in rows(name)]
    taken = [(title, first) for where, first in steps for title in TITLE.findall(where)]
    assert len(taken) >= 10
    assert [step for step in taken if step[1] < minutes[step[0]]] == []


def test_alone_is_the_notebooks_own_minutes() -> None:
    for minutes, where, _ in rows(OUTLINES[-1]):
        [(number, _)] = LINK.findall(where)
        assert f"**{minutes} minutes.**" in source(number)


def test_places_where_people_get_stuck_are_those_of_the_checks_and_the_errors() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tsnb").rglob("*.py"))
    sentences = " ".join(re.sub(r'"\s*\n\s*f?"', "", sources).split())
    for where, what, _ in rows("Where people get stuck"):
        [(kind, name)] = re.findall(r"<!-- (mistake|says): (.+) -->", what)
        if kind == "says":
            assert name in sentences, name
        else:
            of, _, mistake = name.partition("/")
            assert mistake in exercise(of).text["mistakes"], name
            assert where == f"*Exercise: {exercise(of).title}*"


def test_what_may_be_skipped_are_headings_of_the_notebook_that_is_named() -> None:
    skipped = re.findall(r"((?:\*[^*]+\*(?:, )?)+) \((\d\d)\)", sections()["What to skip"])
    assert len(skipped) >= 5
    for names, number in skipped:
        assert set(re.findall(r"\*([^*]+)\*", names)) <= ALL_HEADINGS[number]


def test_its_commands_do_what_the_page_says(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(line)[1:] for line in re.findall(r"\.venv/bin/(tsnb .+)", PAGE)]
    assert [words[0] for words in commands] == ["doctor", "progress", "progress"]
    for words in commands[1:]:
        assert main(words) == 0
    assert "Ada" in (tmp_path / "me.md").read_text(encoding="utf-8")
    known = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"make (\w+)", PAGE)) <= set(known)
