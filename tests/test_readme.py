"""Every command of the README runs, in a copy of the tree with an environment of its own.

Left out is what needs conda. `TORCH_INDEX` is left out of the commands, because torch lies on the
machine that runs the tests; what would take minutes is run on less.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tsnb

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
INDEX = "https://download.pytorch.org/whl/cpu"
BLOCK = re.compile(r"^```bash\n(.+?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in BLOCK.findall(README)
    for line in block.splitlines()
    if line.strip()
]
EXPORT = (
    ".venv/bin/tsnb export path/to/model --head token-classification --max-length 128"
    " --verify 32 4x128 -o model.pt"
)
SMALLER = {  # the same command on less
    "make run": "make run RUN=notebooks/03_save_and_load.ipynb",
    "make bench": "make bench BENCH='tiny-bert --texts 20 --rounds 1 --max-tokens 256'",
}
WAIT = 600  # `make lab` installs first

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def tree(
    copy_of_the_tree: Callable[[Path], Path],
    wheelhouse: Path,
    load: Callable[..., tuple[Any, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Copy the tree, its wheelhouse and a model to a folder with a space in its name."""
    tree = copy_of_the_tree(tmp_path_factory.mktemp("a room") / "tsnb")
    (tree / "wheelhouse").symlink_to(wheelhouse)
    for part in load(head="token-classification"):
        part.save_pretrained(tree / "path/to/model")
    return tree


def clean(tree: Path) -> dict[str, str]:
    """Return an environment in which no other Python's packages are found."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {
        "JUPYTER_CONFIG_DIR": str(tree / "config"),
        "JUPYTER_DATA_DIR": str(tree / "data"),
    }


def run(command: str, tree: Path) -> str:
    done = subprocess.run(
        command,
        shell=True,
        cwd=tree,
        env=clean(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def opens_the_lab(command: str, tree: Path) -> str:
    """Start a server with a command, look at notebook 00 as a browser would, and stop it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    options = f"--no-browser --allow-root --port={port} --IdentityProvider.token=key"
    if command.startswith("make"):
        command += f" LAB={shlex.quote(options)}"
    else:
        command += f" {options}"
    server = subprocess.Popen(command, shell=True, cwd=tree, env=clean(tree), start_new_session=True)
    try:
        return _answer(f"http://127.0.0.1:{port}/lab/tree/00_start_here.ipynb?token=key", server)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answer(address: str, server: subprocess.Popen[bytes]) -> str:
    """Return the page at an address as soon as somebody listens there."""
    end = time.monotonic() + WAIT
    while True:
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=10) as page:
                return str(page.read(), "utf-8")
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.2)


def without_index(command: str) -> str:
    return command.replace(f" TORCH_INDEX={INDEX}", "")


def test_the_readme_names_these_commands() -> None:
    """Those below run them; a command that is new here is new there."""
    assert [without_index(command) for command in COMMANDS] == [
        "make lab",
        "make run",
        "python3 -m venv .venv",
        ".venv/bin/python -m pip install --editable .",
        ".venv/bin/jupyter lab notebooks/00_start_here.ipynb",
        "make wheelhouse",
        "make lab WHEELHOUSE=wheelhouse",
        ".venv/bin/python -m pip install --no-index --find-links wheelhouse --editable .",
        EXPORT,
        "make bench",
    ]


def test_the_wheelhouse_holds_wheels_only(wheelhouse: Path) -> None:
    """`make wheelhouse`, by the fixture."""
    assert {path.suffix for path in wheelhouse.iterdir()} == {".whl"}
    assert list(wheelhouse.glob("torch-*"))


def test_make_lab_from_the_wheelhouse_opens_notebook_00(tree: Path) -> None:
    page = opens_the_lab("make lab WHEELHOUSE=wheelhouse", tree)
    assert "jupyter-config-data" in page
    assert (tree / ".venv/course.done").is_file()


def test_make_run_writes_pages(tree: Path) -> None:
    told = run(SMALLER["make run"] + " WHEELHOUSE=wheelhouse", tree)
    assert "| 03_save_and_load | ok" in told
    assert (tree / "output/03_save_and_load.html").is_file()


@pytest.mark.parametrize("end", ["", " --json"])
def test_the_doctor_finds_that_environment_in_order(tree: Path, end: str) -> None:
    told = run(f".venv/bin/tsnb doctor{end}", tree)
    assert "torch" in told


def test_export_writes_a_file(tree: Path) -> None:
    run(EXPORT, tree)
    assert tsnb.load_traced(tree / "model.pt").contract.verified


def test_make_bench_installs_its_peers_and_writes_a_table(tree: Path) -> None:
    told = run(SMALLER["make bench"], tree)
    assert "onnx" in told.lower()
    assert (tree / "output/benchmark.csv").is_file()


def test_without_make(copy_of_the_tree: Callable[[Path], Path], tree: Path, tmp_path: Path) -> None:
    """The second way, line by line; then the wheelhouse's line, which changes nothing any more."""
    other = copy_of_the_tree(tmp_path / "tsnb")
    (other / "wheelhouse").symlink_to(tree / "wheelhouse")
    venv, pip, lab = COMMANDS[2:5]
    run(venv, other)
    run(f"PIP_NO_INDEX=1 PIP_FIND_LINKS=wheelhouse {pip}", other)
    assert "jupyter-config-data" in opens_the_lab(lab, other)
    run(COMMANDS[7], other)
    shutil.rmtree(other / ".venv")


def test_every_file_that_the_readme_names_is_there() -> None:
    names = re.findall(r"\]\((?!https?:)([^)]+)\)", README)
    assert names
    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_the_badge_opens_notebook_00_in_jupyterlab() -> None:
    [path] = re.findall(r"mybinder\.org/v2/gh/[^)]+\?urlpath=lab/tree/([^)]+)", README)
    assert (ROOT / path).is_file()


def test_the_minutes_are_those_of_the_notebooks() -> None:
    rows = re.findall(r"^\| (\d\d) .+ \| (\d+) \|$", README, re.MULTILINE)
    [overview] = (ROOT / "notebooks").glob("00_*.ipynb")
    told = overview.read_text(encoding="utf-8")
    assert len(rows) == 6
    for number, minutes in rows[1:]:
        assert re.search(rf"\({number}_\w+\.ipynb\).*\| {minutes} \|", told), number


def test_the_repository_stays_small() -> None:
    """At most 20 MB of files, as they are committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    assert sum(path.stat().st_size for path in paths if path.is_file()) <= 20e6
