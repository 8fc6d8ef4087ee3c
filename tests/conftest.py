"""Models that are loaded once, and fresh Python processes."""

from __future__ import annotations

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

import tsnb
from tsnb.models.load import NewWeightsWarning
from tsnb.practice.record import VARIABLE

ROOT = Path(__file__).parents[1]
Load = Callable[..., tuple[Any, Any]]

torch.set_num_threads(1)  # tiny models: two threads would only wait for each other
os.environ.pop("TSNB_LANGUAGE", None)
# a shell's background job ignores Ctrl-C, and so would the processes that tests start and interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def load() -> Load:
    """Load a model once and quietly; a test that changes its model loads one of its own."""

    @cache
    def loaded(
        name: str = "tiny-bert", head: Any = "masked-lm", *, torchscript: bool = False
    ) -> tuple[Any, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NewWeightsWarning)
            return tsnb.load(name, head, torchscript=torchscript)

    return loaded


@pytest.fixture(scope="session")
def traced(load: Load) -> Callable[..., tsnb.Traced]:
    """Trace the embedded model with a head, once for each shape."""

    @cache
    def trace(head: str = "masked-lm", length: int = 24, size: int = 1) -> tsnb.Traced:
        model, tokenizer = load(head=head)
        return tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, None, length, size))

    return trace


@pytest.fixture(scope="session")
def python() -> Callable[..., str]:
    """Run code in a fresh Python with environment variables of its own; return what it prints."""

    def run(code: str, *arguments: object, **variables: object) -> str:
        inherited = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("HF_", "TSNB_")) or name == VARIABLE
        }
        given = {name: str(value) for name, value in variables.items()}
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=inherited | {"OMP_NUM_THREADS": "1"} | given,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def transformers5() -> Path:
    """Where `make test` puts transformers 5, for the PYTHONPATH of a fresh Python."""
    folder = ROOT / ".venv/transformers5"
    assert (folder / "transformers").is_dir(), "make test installs it"
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the C++ loader is built; the name has a space, as folders of people have."""
    return tmp_path_factory.mktemp("my loader")


@pytest.fixture(scope="session")
def loader(folder: Path) -> Path:
    """Build the C++ loader, once for all tests."""
    return tsnb.cpp.build(folder)


@pytest.fixture(scope="session")
def copy_of_the_tree() -> Callable[[Path], Path]:
    """Copy what git would commit to a new folder: no environment, no output, no `.git`."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    def copy(target: Path) -> Path:
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():  # not one that was deleted, but not yet in git
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target / name)
        return target

    return copy


@pytest.fixture(scope="session")
def wheelhouse(copy_of_the_tree: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a wheelhouse with `make wheelhouse`, in a copy of the tree that gets its own `.venv`."""
    tree = copy_of_the_tree(tmp_path_factory.mktemp("stick") / "tsnb")
    subprocess.run(["make", "wheelhouse"], cwd=tree, check=True, timeout=900)
    return tree / "wheelhouse"
