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

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(3600)]  # every notebook on one CPU

READER = 12345  # a user that this machine does not know, as an image's user is unknown to the host
BUILDS_CPP = "03_save_and_load"  # its C++ compiler takes about 1 GB by itself
GIT = '#!/bin/sh\necho "git $*" >> "$HOME/git.log"\nexit 127\n'


@pytest.fixture(scope="module")
def home(clone: Callable[[Path], Path]) -> Iterator[Path]:
    """Give a reader's home with the tree in it, where every user may look in."""
    with tempfile.TemporaryDirectory(prefix="binder-") as folder:
        Path(folder).chmod(0o755)
        home = clone(Path(folder) / "jovyan")
        for name in ("tmp", "bin"):
            (home / name).mkdir()
        (home / "bin/git").write_text(GIT, encoding="utf-8")
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
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": str(home.parent / "python/lib"),  # where this Python had to be copied
        "PATH": f"{home}/bin:{home}/venv/bin:/usr/bin:/bin",
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
def summary(run: Run, home: Path) -> str:
    """Install Binder's pins and run `postBuild`, then every notebook under `start`; return the table.

    The packages come as files from this user, who may write where pip keeps its cache.
    """
    listed = yaml.safe_load((home / "binder/environment.yml").read_text(encoding="utf-8"))
    [packages] = [item["pip"] for item in listed["dependencies"] if isinstance(item, dict)]
    pins = [line for line in packages if not line.startswith("--")]
    wheels = str(home.parent / "wheels")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels]
    subprocess.run([*pip, *pins, "hatchling"], check=True)
    run(_python(home.parent), "-m", "venv", "venv")
    (home / "venv/pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n")
    run("venv/bin/pip", "install", "--no-cache-dir", *pins)
    run("binder/postBuild")
    run("binder/start", "tsnb", "run", "notebooks", "--output", "output", "--timeout", "600")
    return (home / "output/summary.md").read_text(encoding="utf-8")


def _python(folder: Path) -> Path:
    """Return this Python where others may use it, else a copy: pyenv's lies in a closed home."""
    base, version = Path(sys.base_prefix), "python{}.{}".format(*sys.version_info)
    if all(path.stat().st_mode & 0o005 == 0o005 for path in (base, *base.parents)):
        return base / "bin" / version
    ignored = shutil.ignore_patterns("test", "site-packages", "config-*")
    shutil.copytree(base / "lib" / version, folder / "python/lib" / version, ignore=ignored)
    (folder / "python/bin").mkdir()
    for path in (base / "bin" / version, *base.glob("lib/libpython*.so*")):
        shutil.copy2(path, folder / "python" / path.relative_to(base))
    return folder / "python/bin" / version


def test_every_notebook_runs_within_its_memory(summary: str, home: Path) -> None:
    rows = [line.strip("| ").split("|") for line in summary.splitlines()[2:]]
    peaks = {row[0].strip(): float(row[3]) for row in rows}
    assert set(peaks) == {path.stem for path in (home / "notebooks").glob("*.ipynb")}
    assert [name for name, mib in peaks.items() if mib > 700 and name != BUILDS_CPP] == []


def test_one_thread_no_hub_no_announcements_no_git(summary: str, run: Run, home: Path) -> None:
    assert summary
    lines = run("binder/start", "env").splitlines()
    assert {"OMP_NUM_THREADS=1", "HF_HUB_OFFLINE=1", "HF_HUB_DISABLE_TELEMETRY=1"} <= {*lines}
    _, _, disabled = run("jupyter", "labextension", "list").partition("Disabled extensions:")
    assert "@jupyterlab/apputils-extension:announcements" in disabled
    assert not (home / "git.log").exists()


def test_nothing_was_written_outside_the_readers_home(summary: str, home: Path) -> None:
    assert summary
    places = [place for place in ("/tmp", "/var/tmp", "/dev/shm", "/root") if Path(place).is_dir()]
    search = ["find", *places, "-path", str(home), "-prune", "-o", "-user", str(READER), "-print"]
    assert subprocess.run(search, capture_output=True, text=True, check=False).stdout == ""
