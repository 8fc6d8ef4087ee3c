"""What repo2docker, the program behind Binder, would build: it prints it without Docker."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("jupyter-repo2docker")


@pytest.fixture(scope="module")
def dockerfile() -> str:
    as_binder = ["--user-id", "1000", "--user-name", "jovyan"]
    command: list[str | Path] = [PROGRAM, "--no-build", "--debug", *as_binder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_binders_own_environment_is_installed_before_the_tree_is_copied(dockerfile: str) -> None:
    """Docker then keeps the dependencies' layer when only a notebook or the package changes."""
    order = ("src/binder/environment.yml", "env update", "src/ ${REPO_DIR}/", "binder/postBuild")
    places = [dockerfile.index(text) for text in order]
    assert places == sorted(places)
    assert dockerfile.count("env update") == 1
    assert '--file "binder/environment.yml"' in dockerfile
    assert "pip install" not in dockerfile


def test_the_tree_belongs_to_the_reader_whom_start_greets(dockerfile: str) -> None:
    assert "COPY --chown=1000:1000 src/ ${REPO_DIR}/" in dockerfile
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE)[-1] == "${NB_USER}"
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in dockerfile


def test_notebook_03_finds_cmake(dockerfile: str) -> None:
    """The image of `buildpack-deps` has a compiler and make; CMake comes from `apt.txt`."""
    assert "FROM docker.io/library/buildpack-deps:" in dockerfile
    installed = re.findall(r"apt-get install --yes --no-install-recommends (.+) &&", dockerfile)
    assert installed == ["cmake"]
