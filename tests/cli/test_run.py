"""Small notebooks, really run in kernels of their own."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tsnb.base.errors import TsnbError
from tsnb.cli import run as execute
from tsnb.cli.run import NotebookError, PeakMemory, Result

if TYPE_CHECKING:
    from pathlib import Path

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
GOOD = ("answer = 6 * 7", "# a title", "print('the answer is', answer)")
BAD = ("print('before')", "", "1 / 0", "print('after' + 'wards')")


def write(path: Path, *sources: str, **metadata: Any) -> Path:
    """Write a notebook; a source that starts with # and a space is a Markdown cell."""
    cells = [
        new_markdown_cell(source) if source.startswith("# ") else new_code_cell(source) for source in sources
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


def one(path: Path, *sources: str, **options: Any) -> Result:
    [result] = execute.run([write(path, *sources)], **options)
    return result


def page(folder: Path, name: str) -> str:
    return (folder / f"{name}.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Result], Path, dict[str, str]]:
    """Run a bad notebook and a good one; give results, output folder and sources before."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "pixel.png").write_bytes(base64.b64decode(PIXEL))
    paths = [
        write(folder / "01_bad.ipynb", *BAD),
        write(
            folder / "02_good.ipynb",
            *GOOD,
            "# ![a pixel](pixel.png)",
            "import time; time.sleep(0.4)",
        ),
    ]
    before = {str(path): path.read_text() for path in paths}
    results = execute.run(paths, folder / "made" / "output")
    return results, folder / "made" / "output", before


@pytest.fixture(autouse=True)
def no_kernel_is_left() -> Any:
    yield
    commands = [child.as_dict(["cmdline"]) for child in psutil.Process().children()]
    assert "ipykernel" not in str(commands)


def test_results_come_in_order_and_one_failure_stops_nothing(outcome: Any) -> None:
    bad, good = outcome[0]
    assert (bad.name, good.name) == ("01_bad", "02_good")
    assert good.error is None
    assert bad.error == "ZeroDivisionError: division by zero (cell 2)"  # as in `In [2]`


def test_time_and_slowest_cell(outcome: Any) -> None:
    good = outcome[0][1]
    assert good.slowest_cell == 3  # code cells are counted, Markdown is not
    assert 0.4 <= good.slowest_cell_seconds < good.seconds < 60
    assert good.peak_mib > 20


def test_every_notebook_becomes_html(outcome: Any) -> None:
    _, output, _ = outcome
    assert {path.name for path in output.iterdir()} == {
        "01_bad.html",
        "02_good.html",
        "summary.md",
    }
    assert "the answer is 42" in page(output, "02_good")
    assert "a title" in page(output, "02_good")


def test_html_of_a_failure_shows_what_ran_and_the_error(outcome: Any) -> None:
    text = page(outcome[1], "01_bad")
    assert "before" in text
    assert "ZeroDivisionError" in text
    assert "afterwards" not in text


def test_html_embeds_pictures_and_loads_nothing_from_elsewhere(outcome: Any) -> None:
    text = page(outcome[1], "02_good")
    assert f"data:image/png;base64,{PIXEL}" in text.replace("\n", "")
    assert re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(?:https?:)?//[^"]*"', text) == []


def test_summary_is_the_table(outcome: Any) -> None:
    results, output, _ = outcome
    text = (output / execute.SUMMARY).read_text()
    assert text == execute.table(results)
    assert "FAILED" in text
    assert "| 02_good  | ok " in text


def test_sources_are_untouched(outcome: Any) -> None:
    results, output, before = outcome
    folder = output.parent.parent
    assert {str(path): path.read_text() for path in folder.glob("*.ipynb")} == before
    assert {path.name for path in folder.iterdir()} == {
        "01_bad.ipynb",
        "02_good.ipynb",
        "made",
        "pixel.png",
    }
    assert len(results) == 2


def test_the_kernel_is_this_interpreter_whatever_comes_first_in_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoy = tmp_path / "share" / "kernels" / "python3" / "kernel.json"
    decoy.parent.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "x", "language": "python"}
    decoy.write_text(json.dumps(spec))
    shim = tmp_path / "bin" / "python3"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\nexit 1\n")
    shim.chmod(0o755)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.setenv("PATH", str(shim.parent), prepend=":")
    kernelspec = {"name": "python3", "display_name": "x", "language": "python"}
    sources = ("import sys; from pathlib import Path", "Path('who').write_text(sys.executable)")
    path = write(tmp_path / "who.ipynb", *sources, kernelspec=kernelspec)
    [result] = execute.run([path])
    assert result.error is None
    assert (tmp_path / "who").read_text() == sys.executable


def test_a_kernelspec_that_nobody_has_does_not_matter(tmp_path: Path) -> None:
    kernelspec = {"name": "conda-env-of-somebody", "display_name": "x", "language": "python"}
    [result] = execute.run([write(tmp_path / "a.ipynb", "1 + 1", kernelspec=kernelspec)])
    assert result.error is None


def test_each_runs_in_its_own_folder_and_in_a_fresh_kernel(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "first.ipynb", "left = 1", "open('here', 'w').close()")
    second = write(tmp_path / "b" / "second.ipynb", "left")
    results = execute.run([first, second])
    assert (tmp_path / "a" / "here").is_file()
    assert [result.error for result in results] == [
        None,
        "NameError: name 'left' is not defined (cell 1)",
    ]


def test_peak_memory_is_seen_though_it_was_given_back(tmp_path: Path) -> None:
    hold = "import time\nheld = bytearray(150 * 2**20)\ntime.sleep(0.3)\ndel held"
    idle = one(tmp_path / "idle.ipynb", "1 + 1")
    held = one(tmp_path / "held.ipynb", hold, "1 + 1")
    assert 135 < held.peak_mib - idle.peak_mib < 200


def test_peak_memory_counts_children(tmp_path: Path) -> None:
    hold = "import time; held = bytearray(150 * 2**20); time.sleep(0.3)"
    source = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {hold!r}], check=True)"
    idle = one(tmp_path / "idle.ipynb", "1 + 1")
    assert one(tmp_path / "child.ipynb", source).peak_mib - idle.peak_mib > 135


def test_peak_memory_of_a_process_that_is_gone_is_nothing() -> None:
    process = psutil.Popen([sys.executable, "-c", ""])
    process.wait()
    with PeakMemory(process) as memory:
        time.sleep(2 * execute.EVERY)
    assert memory.mib == 0
    assert not memory._thread.is_alive()


def test_a_cell_that_takes_too_long(tmp_path: Path) -> None:
    begun = time.perf_counter()
    result = one(tmp_path / "slow.ipynb", "1", "import time; time.sleep(60)", timeout=1, output=tmp_path)
    assert time.perf_counter() - begun < 20
    assert result.error == "CellTimeoutError: The cell ran for more than 1 s. (cell 2)"
    assert result.slowest_cell == 2
    assert 1 <= result.slowest_cell_seconds < 10
    assert "The cell ran for more than 1 s." in page(tmp_path, "slow")


def test_what_a_cell_started_ends_with_it(tmp_path: Path) -> None:
    source = "import subprocess; subprocess.run(['sleep', '61.5'])"
    result = one(tmp_path / "slow.ipynb", source, timeout=1)
    assert "CellTimeoutError" in str(result.error)
    left = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "61.5"] not in left


def test_a_kernel_ends_in_its_own_time_where_nothing_is_wrong(tmp_path: Path) -> None:
    source = "import atexit; atexit.register(lambda: open('ended', 'w').close())"
    for name, last, error in (("good", "1", False), ("bad", "1 / 0", True)):
        result = one(tmp_path / name / f"{name}.ipynb", source, last)
        assert (result.error is not None) is error
        assert (tmp_path / name / "ended").is_file()


def test_works_where_a_loop_is_running_as_in_a_notebook(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", "1 + 1", "1 / 0")

    async def cell() -> list[Result]:
        return execute.run([path])

    [result] = asyncio.run(cell())
    assert result.error == "ZeroDivisionError: division by zero (cell 2)"


def test_a_kernel_that_dies(tmp_path: Path) -> None:
    source = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    result = one(tmp_path / "dead.ipynb", "1", source, "print('after')", output=tmp_path)
    assert result.error is not None
    assert result.error.startswith("DeadKernelError: ")
    assert result.error.endswith("(cell 2)")
    assert "DeadKernelError" in page(tmp_path, "dead")


def test_a_kernel_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    result = one(tmp_path / "a.ipynb", "1", output=tmp_path)
    assert result.error is not None
    assert result.error.startswith("RuntimeError: Kernel died")
    assert (result.slowest_cell, result.peak_mib) == (None, 0)
    assert "FAILED" in (tmp_path / execute.SUMMARY).read_text()


def test_an_expected_error_is_no_failure(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", "1 / 0", "2")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].metadata.tags = ["raises-exception"]
    nbformat.write(notebook, path)
    assert execute.run([path])[0].error is None


def test_nothing_of_an_earlier_run_passes_for_a_result(tmp_path: Path) -> None:
    path = write(tmp_path / "old.ipynb", "1 / 0", "2")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [new_output("stream", text="stale words")]
    notebook.cells[1].metadata.execution = {
        "iopub.status.busy": "2020-01-01T00:00:00Z",
        "shell.execute_reply": "2020-01-02T00:00:00Z",
    }
    notebook.metadata.widgets = {}
    nbformat.write(notebook, path)
    [result] = execute.run([path], tmp_path)
    assert result.slowest_cell == 1
    assert result.slowest_cell_seconds < 60
    assert "stale words" not in page(tmp_path, "old")


def test_widgets_show_as_text(tmp_path: Path) -> None:
    source = "import ipywidgets\nipywidgets.IntSlider(value=7, description='length')"
    assert one(tmp_path / "w.ipynb", source, output=tmp_path).error is None
    assert "IntSlider(value=7" in page(tmp_path, "w")


def test_progress_bars_are_left_out_and_other_widgets_are_not(tmp_path: Path) -> None:
    sources = (
        "from tqdm.notebook import tqdm\nfor _ in tqdm(range(8), desc='kept'): pass",
        "for _ in tqdm(range(7), leave=False): pass",
        "for _ in tqdm(iter(range(9)), unit='text'): pass",
        "from tsnb.widgets import MaxLengthChooser\nMaxLengthChooser([3, 4])",
    )
    path = tmp_path / "w.ipynb"
    assert one(path, *sources, output=tmp_path).error is None
    held = page(tmp_path, "w")
    outputs = held[held.index("<body") :]
    for gone in ("8/8", "0/7", "7/7", "9text", "| "):
        assert gone not in outputs
    assert "texts that fit" in outputs


def test_a_notebook_without_cells(tmp_path: Path) -> None:
    result = one(tmp_path / "empty.ipynb", output=tmp_path)
    assert (result.error, result.slowest_cell, result.slowest_cell_seconds) == (None, None, 0)


def test_the_bar_names_the_notebook_and_counts_every_cell(
    outcome: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del outcome
    execute.run([write(tmp_path / "bad.ipynb", *BAD), write(tmp_path / "good.ipynb", *GOOD)])
    bar = capsys.readouterr().err
    assert "bad:" in bar
    assert "good: 100%" in bar
    assert "7/7" in bar


def test_a_folder_stands_for_its_notebooks(tmp_path: Path) -> None:
    for name in ("b", "a", "a-checkpoint", ".ipynb_checkpoints/c"):
        write(tmp_path / f"{name}.ipynb", "1")
    (tmp_path / "notes.txt").touch()
    assert [result.name for result in execute.run([tmp_path])] == ["a", "b"]


def test_a_notebook_named_twice_runs_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", "1")
    assert len(execute.run([path, tmp_path / "." / "a.ipynb", tmp_path])) == 1


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "There is no file"),
        ("not JSON", "is not a notebook"),
        ("[]", "is not a notebook"),
        ("{}", "is not a notebook"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "is not a notebook"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}', "not a notebook"),
        (b"\xff\xfe\x00", "is not a notebook"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str | bytes | None, word: str
) -> None:
    good, bad = write(tmp_path / "good.ipynb", "open('ran', 'w').close()"), tmp_path / "bad.ipynb"
    if content is not None:
        bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(NotebookError, match=word) as caught:
        execute.run([good, bad], tmp_path / "output")
    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "output").exists()
    assert capfd.readouterr() == ("", "")


def test_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=f"no notebooks to run.*{tmp_path.name}"):
        execute.run([tmp_path])
    with pytest.raises(NotebookError, match="no notebooks to run"):
        execute.run([])


def test_an_output_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    path = write(tmp_path / "a.ipynb", "open('ran', 'w').close()")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TsnbError, match=r"cannot be written: .*Name another folder"):
            execute.run([path], output)
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "ran").exists()


def test_two_of_a_name_would_overwrite_each_other(tmp_path: Path) -> None:
    paths = [write(tmp_path / folder / "same.ipynb", "1") for folder in "ab"]
    with pytest.raises(NotebookError, match="are called same"):
        execute.run(paths, tmp_path / "output")
    assert [result.name for result in execute.run(paths)] == ["same", "same"]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.html"
    execute.write_whole(target, "old")
    with pytest.raises(UnicodeEncodeError):
        execute.write_whole(target, "new \ud800")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_table_keeps_errors_to_one_cell() -> None:
    error = "ValueError: a | b\nsecond line " + "and more " * 30
    text = execute.table([Result("n", 1.0, 2.0, 0.5, 3, error)])
    head, _, row = text.splitlines()
    assert len(head) == len(row)
    assert "a \\| b second line" in row
    assert "..." in row
    assert "0.5 s, In [3]" in row
