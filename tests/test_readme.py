"""What the README promises: commands, files, minutes; and its commands in turn, as a rehearsal."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

import tsnb
from tests.kinds import Load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.+?)^```", README, re.MULTILINE | re.DOTALL)
INDEX = " TORCH_INDEX=https://download.pytorch.org/whl/cpu"  # left out: torch lies where the tests run
LINES = [line.partition("  #")[0].strip() for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line.replace(INDEX, "") for line in LINES if line]
SMALLER = {  # the same command on less
    "make run": "make run RUN=notebooks/03_save_and_load.ipynb",
    "make test": "make test PYTEST=tests/test_readme.py",
    "make bench": "make bench BENCH='tiny-bert --texts 20 --rounds 1'",
}
ANEW = {"python3 -m venv .venv", "make lab WHEELHOUSE=wheelhouse"}  # instead of what stands above them


def test_its_commands_are_known() -> None:
    """One that opens or runs the course and one that passes the tests stand side by side."""
    assert {"make lab", "make run", "make test"} <= set(COMMANDS)
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(COMMANDS)))
    assert named <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_file_that_it_names_is_there() -> None:
    [start] = re.findall(r"mybinder\.org/v2/gh/[^)]+\?urlpath=lab/tree/([^)]+)", README)
    in_colab = re.findall(r"colab\.research\.google\.com/github/OWNER/tsnb/blob/main/([^)]+)", README)
    assert in_colab == sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.ipynb"))
    names = [start, *re.findall(r"\]\((?!https?:)([^)]+)\)", README)]
    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_its_minutes_are_those_of_the_notebooks() -> None:
    rows = dict(re.findall(r"^\| (\d\d) .+ \| (\d+) \|$", README, re.MULTILINE))
    assert rows.keys() == {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")}
    for number, minutes in rows.items():
        [path] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        assert f"**{minutes} minutes.**" in path.read_text(encoding="utf-8"), number


@pytest.mark.rehearsal
@pytest.mark.timeout(3600)
def test_its_commands_work_one_after_the_other(clone: Callable[[Path], Path], load: Load, tmp_path: Path) -> None:
    """Each uses what those before it made; the folder has a space in its name."""
    tree = clone(tmp_path / "the course")
    for part in load(head="token-classification"):
        part.save_pretrained(tree / "path/to/model")
    for command in COMMANDS:
        if command in ANEW:
            shutil.rmtree(tree / ".venv")
        if " lab" in command or " course " in command:
            opens_the_lab(command, tree)
        else:
            run(SMALLER.get(command, command), tree)
        if command.startswith("make lab"):
            run(".venv/bin/tsnb doctor", tree)
    assert {path.suffix for path in (tree / "wheelhouse").iterdir()} == {".whl"}
    assert (tree / "output/03_save_and_load.html").is_file()
    assert (tree / "output/benchmark.csv").is_file()
    assert tsnb.load_traced(tree / "model.pt").contract.verified


def start(command: str, tree: Path) -> subprocess.Popen[bytes]:
    """Start a command as a reader would, with nothing of these tests; what it prints goes to a file."""
    ours = ("PYTHON", "PYTEST", "MAKE", "MFLAGS")
    own = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    own |= {"JUPYTER_CONFIG_DIR": str(tree / "config"), "JUPYTER_DATA_DIR": str(tree / "data")}
    with (tree / "printed.txt").open("w") as printed:
        return subprocess.Popen(
            command, shell=True, cwd=tree, env=own, stdout=printed, stderr=printed, start_new_session=True
        )


def run(command: str, tree: Path) -> None:
    assert start(command, tree).wait() == 0, f"{command}\n{(tree / 'printed.txt').read_text()}"


def opens_the_lab(command: str, tree: Path) -> None:
    """Start a server, look at notebook 00 as a browser would as soon as somebody answers, and stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--no-browser --allow-root --port={port} --IdentityProvider.token=key"
    ways = {"make": f" LAB={shlex.quote(options)}", "course": f" --lab={shlex.quote(options)}"}
    server = start(command + next((way for word, way in ways.items() if word in command), f" {options}"), tree)
    try:
        while True:
            assert server.poll() is None, (tree / "printed.txt").read_text()
            try:
                address = f"http://127.0.0.1:{port}/lab/tree/00_start_here.ipynb?token=key"
                with urllib.request.urlopen(address, timeout=10) as page:
                    assert b"jupyter-config-data" in page.read()
                    return
            except OSError:  # not yet
                time.sleep(0.2)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
