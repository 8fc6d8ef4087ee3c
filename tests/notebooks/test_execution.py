"""Every notebook, top to bottom, once, in a fresh kernel with no network."""

import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tsnb.cli.run import Result, run

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
BUILD_CPP = {"03_save_and_load", "06_after_torchscript"}
PICTURES = {"02_dummy_inputs_and_tracing": 2, "04_inference": 1}
KNOCK = "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def results(output: Path) -> dict[str, Result]:
    """Run all of them, and one that knocks at a socket, which kernels are refused and which is noted."""
    knocks = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(KNOCK)])
    nbformat.write(knocks, output / "knocks.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSNB_REFUSED", str(output / "refused.txt"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parent / "offline"), prepend=os.pathsep)
        done = run([*(FOLDER / f"{name}.ipynb" for name in NAMES), output / "knocks.ipynb"], output)
    return {result.name: result for result in done}


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_top_to_bottom_within_700_mib(
    results: dict[str, Result], name: str, record_property: Callable[[str, object], None]
) -> None:
    """The promise of 15 s a cell is printed; what is asserted is far off on any machine."""
    result = results[name]
    assert result.error is None
    assert 50 < result.peak_mib <= 700  # a compiler takes about 1 GB
    assert result.slowest_cell_seconds <= 100 or name in BUILD_CPP
    record_property("peak", f"{result.peak_mib:.0f} MiB")
    record_property("slowest cell", f"{result.slowest_cell_seconds:.1f} s")


@pytest.mark.parametrize("name", NAMES)
def test_its_page_shows_widgets_as_pictures_and_words(results: dict[str, Result], output: Path, name: str) -> None:
    """A reader without a kernel sees what the widget would show first."""
    assert name in results
    page = (output / f"{name}.html").read_text(encoding="utf-8")
    assert page.count("<svg ") >= PICTURES.get(name, 0)
    assert "widget-view+json" not in page
    assert "VBox(" not in page


def test_no_socket_was_opened_but_the_one_that_shows_the_guard_at_work(
    results: dict[str, Result], output: Path
) -> None:
    assert "no network in this test" in str(results["knocks"].error)
    assert (output / "refused.txt").read_text(encoding="utf-8") == "socket.getaddrinfo '192.0.2.1'\n"
