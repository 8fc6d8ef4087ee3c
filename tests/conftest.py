"""What is made once for many tests: models, traces, the C++ loader; and fresh Python processes."""

import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

import tsnb
from tests.kinds import Load, Python, Traces
from tsnb.models.load import NewWeightsWarning
from tsnb.practice.record import VARIABLE

ROOT = Path(__file__).parents[1]
BUILD = """
import resource, sys, tsnb.artifacts.cpp
tsnb.artifacts.cpp.build(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

torch.set_num_threads(1)  # tiny models: two threads would only wait for each other
# a shell's background job ignores Ctrl-C, and so would the processes that tests start and interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def load() -> Load:
    """Load a model once and quietly; a test that changes its model loads one of its own."""

    @cache
    def loaded(name: str = "tiny-bert", head: Any = "masked-lm", *, torchscript: bool = False) -> tuple[Any, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NewWeightsWarning)
            return tsnb.load(name, head, torchscript=torchscript)

    return loaded


@pytest.fixture(scope="session")
def traced(load: Load) -> Traces:
    """Trace the embedded model with a head, once for each shape."""

    @cache
    def trace(head: str = "masked-lm", length: int = 24, size: int = 1) -> tsnb.Traced:
        model, tokenizer = load(head=head)
        return tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, None, length, size))

    return trace


@pytest.fixture(scope="session")
def own(load: Load) -> tuple[tsnb.Traced, Any]:
    """Return a trace of the reader's own, and its model."""
    model, tokenizer = load()
    return tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16)), model


@pytest.fixture(scope="session")
def exports(load: Load) -> Callable[[str], tsnb.Traced]:
    """Record the embedded model by torch.export, once for each format."""

    @cache
    def export(to: Any) -> tsnb.Traced:
        model, tokenizer = load()
        return tsnb.export(model, tsnb.dummy_inputs(tokenizer, model, max_length=16), to=to)

    return export


@pytest.fixture(scope="session")
def python() -> Python:
    """Run code in a fresh Python with environment variables of its own; return what it prints."""

    def run(code: str, *arguments: object, **variables: object) -> str:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "TSNB_")) or name == VARIABLE
        }
        process = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=inherited | {name: str(value) for name, value in variables.items()},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the C++ loader is built; the name has a space, as folders of people have."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "my loader"


@pytest.fixture(scope="session")
def peak_of_the_build(folder: Path, python: Python) -> float:
    """Build the C++ loader, once for all workers; return the most memory that a tool of it took, in GB."""
    measured = folder.with_suffix(".peak")
    with FileLock(folder.with_suffix(".lock")):
        if not measured.exists():
            measured.write_text(python(BUILD, folder), encoding="ascii")
    return int(measured.read_text(encoding="ascii")) * (1 if sys.platform == "darwin" else 1024) / 1e9


@pytest.fixture(scope="session")
def loader(peak_of_the_build: float, folder: Path) -> Path:
    """Return the C++ loader."""
    assert peak_of_the_build
    return tsnb.cpp.build(folder)


@pytest.fixture(scope="session")
def clone() -> Callable[[Path], Path]:
    """Copy the tree to a new folder as git would: no environment, nothing that was made in it."""
    made = (".venv", ".lanes", ".git", "output", "artefacts", "wheelhouse", "__pycache__", "*_cache", "*.pt")

    def copy(target: Path) -> Path:
        return shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*made))

    return copy
