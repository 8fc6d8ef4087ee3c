"""Binder rehearsed: a home of its own, one CPU, the environment's packages and nothing else."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Run = Callable[..., str]

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(3600)]  # every notebook on one CPU
BUILDS_CPP = {"03_save_and_load", "06_after_torchscript"}  # a C++ compiler takes about 1 GB by itself


@pytest.fixture(scope="module")
def home(clone: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a reader's home with the tree in it."""
    return clone(tmp_path_factory.mktemp("binder") / "jovyan")


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    """Run a command as the reader, on one CPU; return what it printed."""
    one_cpu = ["taskset", "--cpu-list", "0"] if shutil.which("taskset") else []
    environment = {"HOME": str(home), "LANG": "C.UTF-8", "PATH": f"{home}/venv/bin:/usr/bin:/bin"}

    def run(*command: str) -> str:
        process = subprocess.run(
            [*one_cpu, *command],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout
        return process.stdout

    return run


@pytest.fixture(scope="module")
def summary(run: Run, home: Path) -> str:
    """Install Binder's pins and run `postBuild`, then every notebook under `start`; return the table.

    The packages come as files, made by this environment's pip from its own index and cache.
    """
    listed = yaml.safe_load((home / "binder/environment.yml").read_text(encoding="utf-8"))
    [packages] = [item["pip"] for item in listed["dependencies"] if isinstance(item, dict)]
    pins = [line for line in packages if not line.startswith("--")]
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--constraint", str(home / "constraints.txt")]
    subprocess.run([*pip, "--wheel-dir", str(home / "wheels"), *pins, "hatchling"], check=True)
    run(sys.executable, "-m", "venv", "venv")
    (home / "venv/pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {home / 'wheels'}\n")
    run("venv/bin/pip", "install", "--no-cache-dir", *pins)
    run("binder/postBuild")
    run("binder/start", "tsnb", "run", "notebooks", "--output", "output", "--timeout", "600")
    return (home / "output/summary.md").read_text(encoding="utf-8")


def test_every_notebook_runs_within_its_memory(summary: str, home: Path) -> None:
    rows = [line.strip("| ").split("|") for line in summary.splitlines()[2:]]
    peaks = {row[0].strip(): float(row[3]) for row in rows}
    assert set(peaks) == {path.stem for path in (home / "notebooks").glob("*.ipynb")}
    assert [name for name, mib in peaks.items() if mib > 700 and name not in BUILDS_CPP] == []


def test_one_thread_no_hub_no_announcements(summary: str, run: Run) -> None:
    assert summary
    lines = run("binder/start", "env").splitlines()
    assert {"OMP_NUM_THREADS=1", "HF_HUB_OFFLINE=1", "HF_HUB_DISABLE_TELEMETRY=1"} <= {*lines}
    _, _, disabled = run("jupyter", "labextension", "list").partition("Disabled extensions:")
    assert "@jupyterlab/apputils-extension:announcements" in disabled
