"""Binder rehearsed: another user, no git, one CPU, the environment's packages, nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

Run = Callable[..., str]

pytestmark = pytest.mark.timeout(1800)  # an environment, then six notebooks on one CPU

READER = 12345  # a user that this machine does not know, as an image's user is unknown to the host
KERNEL_MIB = 700
BASE = Path(sys.base_prefix)
LIBRARY = "lib/python{}.{}".format(*sys.version_info)
BUILDS_CPP = "03_save_and_load"  # its C++ compiler takes about 1 GB by itself
GIT = '#!/bin/sh\necho "git $*" >> {log}\nexit 127\n'


@pytest.fixture(scope="module")
def home(copy_of_the_tree: Callable[[Path], Path]) -> Iterator[Path]:
    """Give a reader's home with the tree in it, where every user may look in."""
    with tempfile.TemporaryDirectory(prefix="binder-") as folder:
        Path(folder).chmod(0o755)
        home = copy_of_the_tree(Path(folder) / "jovyan")
        (home / "tmp").mkdir()
        (home / "bin").mkdir()
        (home / "bin/git").write_text(GIT.format(log=home / "git.log"), encoding="utf-8")
        (home / "bin/git").chmod(0o755)
        if os.geteuid() == 0:
            for path in (home, *home.rglob("*")):
                os.chown(path, READER, READER)
        yield home


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    """Run a command as the reader, on one CPU; return what it printed."""
    as_reader = {"user": READER, "group": READER, "extra_groups": []} if os.geteuid() == 0 else {}
    one_cpu = ["taskset", "--cpu-list", "0"] if shutil.which("taskset") else []
    environment = {
        "HOME": str(home),
        "USER": "jovyan",
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": str(home.parent / "python/lib"),  # where this Python had to be copied
        "PATH": os.pathsep.join([str(home / "bin"), str(home / "venv/bin"), "/usr/bin", "/bin"]),
    }

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            [*one_cpu, *command],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **as_reader,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stdout
        return str(done.stdout)

    return run


@pytest.fixture(scope="module")
def installed(run: Run, home: Path, wheelhouse: Path) -> Path:
    """Install the pip part of Binder's environment into a new venv, then run `postBuild`.

    From the wheelhouse, made by a user who may write where pip keeps its cache; the index of
    torch's CPU builds, which the environment names, is not asked.
    """
    listed = yaml.safe_load((home / "binder/environment.yml").read_text(encoding="utf-8"))
    [packages] = [item["pip"] for item in listed["dependencies"] if isinstance(item, dict)]
    pins = [line for line in packages if not line.startswith("--")]
    copied = shutil.copytree(wheelhouse, home.parent / "wheelhouse")
    run(_python(home.parent), "-m", "venv", "venv")
    (home / "venv/pip.conf").write_text(
        f"[global]\nno-index = true\nfind-links = {copied}\n", encoding="utf-8"
    )
    run("venv/bin/pip", "install", "--no-cache-dir", *pins)
    run("binder/postBuild")
    return home


def _python(folder: Path) -> Path:
    """Return this Python where others may use it, else a copy: pyenv's lies in a shut home."""
    program = Path("bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    if all(path.stat().st_mode & 0o005 == 0o005 for path in (BASE, *BASE.parents)):
        return BASE / program
    python, needless = (
        folder / "python",
        shutil.ignore_patterns("test", "site-packages", "config-*"),
    )
    shutil.copytree(BASE / LIBRARY, python / LIBRARY, ignore=needless)
    for path in (BASE / program, *BASE.glob("lib/libpython*.so*")):
        (python / path.relative_to(BASE)).parent.mkdir(exist_ok=True)
        shutil.copy2(path, python / path.relative_to(BASE))
    return python / program


@pytest.fixture(scope="module")
def summary(run: Run, installed: Path) -> str:
    """Run every notebook under `start`, as Binder's server and its kernels run."""
    run("binder/start", "tsnb", "run", "notebooks", "--output", "output", "--timeout", "600")
    return (installed / "output/summary.md").read_text(encoding="utf-8")


def test_start_sets_one_thread_and_no_hub_for_what_it_starts(run: Run, installed: Path) -> None:
    assert installed.is_dir()
    lines = run("binder/start", "env").splitlines()
    assert {"OMP_NUM_THREADS=1", "HF_HUB_OFFLINE=1", "HF_HUB_DISABLE_TELEMETRY=1"} <= {*lines}


def test_the_announcements_are_off(run: Run, installed: Path) -> None:
    assert installed.is_dir()
    listed = run("jupyter", "labextension", "list")
    disabled = listed.partition("Disabled extensions:")[2]
    assert "@jupyterlab/apputils-extension:announcements" in disabled


def test_every_notebook_runs_within_its_memory(summary: str, installed: Path) -> None:
    rows = [line.strip("| ").split("|") for line in summary.splitlines()[2:]]
    peaks = {row[0].strip(): float(row[3]) for row in rows}
    assert set(peaks) == {path.stem for path in (installed / "notebooks").glob("*.ipynb")}
    peaks.pop(BUILDS_CPP)
    assert {name: mib for name, mib in peaks.items() if mib > KERNEL_MIB} == {}


def test_git_was_not_needed(summary: str, installed: Path) -> None:
    assert summary
    assert not (installed / "git.log").exists()


def test_nothing_was_written_outside_the_readers_home(summary: str, installed: Path) -> None:
    assert summary
    places = [place for place in ("/tmp", "/var/tmp", "/dev/shm", "/root") if Path(place).is_dir()]
    search = ["find", *places, "-path", str(installed), "-prune", "-o", "-user", str(READER)]
    found = subprocess.run(
        [*search, "-print"], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    assert found == []
