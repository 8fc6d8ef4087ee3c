"""Small notebooks, really run in kernels of their own; most tests look at one run of several."""

import asyncio
import base64
import json
import re
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.kinds import Capture, MonkeyPatch
from tsnb.base.errors import ArtifactError
from tsnb.cli import run as notebooks
from tsnb.cli.run import NotebookError, Result

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
WORDS = """
class Words(ipywidgets.VBox):
    def _repr_mimebundle_(self, **_):
        return {**super()._repr_mimebundle_(), "text/html": "<p>texts that <b>fit</b></p>"}
Words()
"""
SOURCES = {
    "00_bad": ("print('before')", "", "1 / 0", "print('after' + 'wards')"),
    "01_good": (
        "left = 1\nimport atexit, sys\nfrom pathlib import Path",
        "# ![a pixel](pixel.png)",
        "# a title",
        "print('the answer is', 6 * 7)",
        "atexit.register(lambda: Path('ended').touch())\nPath('who').write_text(sys.executable)",
        "import time; time.sleep(0.4)",
    ),
    "02_widgets": (
        "import ipywidgets\nipywidgets.IntSlider(value=7, description='length')",
        "from tqdm.notebook import tqdm\nfor _ in tqdm(range(8), desc='kept'): pass",
        "for _ in tqdm(range(7), leave=False): pass",
        "for _ in tqdm(iter(range(9)), unit='text'): pass",
        WORDS,
    ),
    "03_memory": ("block = bytearray(100 * 2**20); block[::4096] = bytes(range(256)) * 100", "del block"),
    "04_empty": (),
}


class Outcome(NamedTuple):
    """What one run of several notebooks gave."""

    folder: Path
    results: dict[str, Result]
    pages: dict[str, str]
    bar: str


def write(path: Path, *sources: str, **metadata: Any) -> Path:
    """Write a notebook; a source that starts with # and a space is a Markdown cell."""
    cells = [new_markdown_cell(source) if source.startswith("# ") else new_code_cell(source) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


def kernels() -> list[str]:
    commands = [str(child.as_dict(["cmdline"])) for child in psutil.Process().children()]
    return [command for command in commands if "ipykernel" in command]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Run notebooks where another environment's kernel comes first, and some ask for one that nobody has."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "pixel.png").write_bytes(base64.b64decode(PIXEL))
    decoy = folder / "share/kernels/python3/kernel.json"
    decoy.parent.mkdir(parents=True)
    decoy.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    spec = {"name": "conda-env-of-somebody", "display_name": "x", "language": "python"}
    paths = [write(folder / f"{name}.ipynb", *sources, kernelspec=spec) for name, sources in SOURCES.items()]
    old = nbformat.read(write(folder / "05_old.ipynb", "1 / 0", "left", "2"), as_version=4)
    for cell in old.cells[:2]:
        cell.metadata.tags = ["raises-exception"]
    old.cells[1].outputs = [new_output("stream", text="stale words")]
    nbformat.write(old, folder / "05_old.ipynb")
    before = {path.name: path.read_text() for path in folder.glob("*.ipynb")}
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(StringIO()) as bar:
        patch.setenv("JUPYTER_PATH", str(folder / "share"))
        results = notebooks.run([*paths, folder], folder / "made/pages")
    assert {path.name: path.read_text() for path in folder.glob("*.ipynb")} == before
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "made/pages").iterdir()}
    return Outcome(folder, {result.name: result for result in results}, pages, bar.getvalue())


@pytest.fixture(autouse=True)
def no_kernel_is_left() -> Any:
    yield
    assert kernels() == []


def test_results_come_in_order_and_one_failure_stops_nothing(outcome: Outcome) -> None:
    assert list(outcome.results) == [*SOURCES, "05_old"]  # a notebook that is named twice runs once
    bad, *others = outcome.results.values()
    assert bad.error == "ZeroDivisionError: division by zero (cell 2)"  # as in `In [2]`
    assert [result.error for result in others] == [None] * 5
    assert "01_good: " in outcome.bar
    cells = sum(map(len, SOURCES.values())) + 3
    assert f"{cells}/{cells}" in outcome.bar


def test_the_kernel_is_this_interpreter_and_ends_in_its_own_time(outcome: Outcome) -> None:
    assert (outcome.folder / "who").read_text() == sys.executable
    assert (outcome.folder / "ended").is_file()


def test_time_slowest_cell_and_peak_memory(outcome: Outcome) -> None:
    good, empty = outcome.results["01_good"], outcome.results["04_empty"]
    assert good.slowest_cell == 4  # code cells are counted, Markdown is not
    assert 0.4 <= good.slowest_cell_seconds < good.seconds < 60
    assert (empty.slowest_cell, empty.slowest_cell_seconds) == (None, 0)
    block = outcome.results["03_memory"].peak_mib - good.peak_mib  # what was given back counts
    assert 80 < block < 120
    assert good.peak_mib < 300  # of the kernel alone, not of this process


def test_every_notebook_becomes_a_page_and_all_a_summary(outcome: Outcome) -> None:
    assert set(outcome.pages) == {*outcome.results, "summary"}
    assert outcome.pages["summary"] == notebooks.table(outcome.results.values())
    assert "the answer is 42" in outcome.pages["01_good"]
    bad = outcome.pages["00_bad"]
    assert [word in bad for word in ("before", "ZeroDivisionError", "afterwards")] == [True, True, False]
    assert "stale words" not in outcome.pages["05_old"]
    assert "NameError" in outcome.pages["05_old"]  # an expected error is no failure


def test_a_page_embeds_pictures_and_loads_nothing_from_elsewhere(outcome: Outcome) -> None:
    page = outcome.pages["01_good"]
    assert f"data:image/png;base64,{PIXEL}" in page.replace("\n", "")
    assert re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(?:https?:)?//[^"]*"', page) == []


def test_a_page_shows_widgets_as_words_and_no_progress_bars(outcome: Outcome) -> None:
    page = outcome.pages["02_widgets"]
    outputs = page[page.index("<body") :]
    assert [word for word in ("8/8", "0/7", "7/7", "9text", "| ") if word in outputs] == []
    assert "IntSlider(value=7" in outputs
    assert "<p>texts that <b>fit</b></p>" in outputs


def test_a_cell_that_takes_too_long_ends_with_what_it_started(tmp_path: Path) -> None:
    source = "import subprocess; subprocess.run(['sleep', '61.5'])"
    path = write(tmp_path / "slow.ipynb", "1", source)
    [result] = notebooks.run([path], tmp_path, timeout=1)
    assert result.error == "CellTimeoutError: The cell ran longer than the timeout, 1 s. (cell 2)"
    assert result.slowest_cell == 2
    assert 1 <= result.slowest_cell_seconds < 10
    assert "The cell ran longer" in (tmp_path / "slow.html").read_text(encoding="utf-8")
    assert ["sleep", "61.5"] not in [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]


def test_a_kernel_that_dies_where_a_loop_is_running_as_in_a_notebook(tmp_path: Path) -> None:
    source = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    path = write(tmp_path / "dead.ipynb", "1", source, "print('after')")

    async def cell() -> list[Result]:
        return notebooks.run([path], tmp_path)

    [result] = asyncio.run(cell())
    assert result.error == "DeadKernelError: The kernel died, often because memory ran out. (cell 2)"
    assert "DeadKernelError" in (tmp_path / "dead.html").read_text(encoding="utf-8")


def test_a_kernel_that_does_not_start(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    [result] = notebooks.run([write(tmp_path / "a.ipynb", "1")], tmp_path)
    assert str(result.error).startswith("RuntimeError: Kernel died")
    assert (result.slowest_cell, result.peak_mib) == (None, 0)
    assert "FAILED" in (tmp_path / notebooks.SUMMARY).read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no file"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}', "is not a notebook"),
        (b"\xff\xfe\x00", "is not a notebook"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_runs(
    tmp_path: Path, capfd: Capture, content: bytes | None, message: str
) -> None:
    good, bad = write(tmp_path / "good.ipynb", "open('ran', 'w').close()"), tmp_path / "bad.ipynb"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(NotebookError, match=message) as caught:
        notebooks.run([good, bad], tmp_path / "output")
    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "output").exists()
    assert capfd.readouterr() == ("", "")


def test_nothing_to_run_nowhere_to_write_and_two_pages_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path / "below/a-checkpoint.ipynb", "1")
    with pytest.raises(NotebookError, match=r"no notebooks to run.*below"):
        notebooks.run([tmp_path / "below"])
    paths = [write(tmp_path / folder / "same.ipynb", "open('ran', 'w').close()") for folder in "ab"]
    with pytest.raises(NotebookError, match="have one name"):
        notebooks.run(paths, tmp_path / "output")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtifactError, match=r"cannot be written: .*Name another folder"):
        notebooks.run(paths[:1], tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "a/ran").exists()


def test_table_keeps_errors_to_one_cell() -> None:
    error = "ValueError: a | b\nsecond line " + "and more " * 30
    head, _, row = notebooks.table([Result("n", error=error)]).splitlines()
    assert len(head) == len(row)
    assert "a \\| b second line" in row
