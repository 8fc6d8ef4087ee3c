"""The first cell of each notebook: nothing elsewhere; on Colab, which is faked, tsnb beside what is there."""

import re
import socket
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nbformat
import pytest

from tests.kinds import MonkeyPatch

ROOT = Path(__file__).parents[2]
FIRST = {
    path.stem: next(cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    for path in (ROOT / "notebooks").glob("*.ipynb")
}
CELL = FIRST["00_start_here"].source
PIP = "import pathlib, sys\npathlib.Path({path!r}).write_text('\\n'.join(sys.argv[1:]))\nsys.exit({code})"
BESIDE = [f"{name}=={version(name)}" for name in ("torch", "transformers")]


@pytest.fixture
def colab(monkeypatch: MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Run the cell on a fake of Colab; return what pip was told, and whether other widgets were allowed."""

    def run(*, network: bool, code: int = 0) -> list[str]:
        def connect(*_: object, **__: object) -> Any:
            if network:
                return SimpleNamespace(close=lambda: None)
            raise socket.gaierror(-3, "Temporary failure in name resolution")

        told = tmp_path / "told"
        (tmp_path / "pip").mkdir()
        (tmp_path / "pip/__init__.py").touch()
        (tmp_path / "pip/__main__.py").write_text(PIP.format(path=str(told), code=code))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(socket, "create_connection", connect)
        module = ModuleType("google.colab")
        module.output = SimpleNamespace(  # type: ignore[attr-defined]
            enable_custom_widget_manager=lambda: told.open("a").write("\nwidgets")
        )
        monkeypatch.setitem(sys.modules, "google", ModuleType("google"))
        monkeypatch.setitem(sys.modules, "google.colab", module)
        exec(CELL, {})
        return told.read_text().splitlines()

    return run


def test_it_is_the_same_in_every_notebook_and_names_the_repository_of_the_badges() -> None:
    assert {cell.source for cell in FIRST.values()} == {CELL}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [owner] = re.findall(r"https://github\.com/(\w+)/tsnb/", CELL)
    assert f"colab.research.google.com/github/{owner}/tsnb/" in readme
    assert f"mybinder.org/v2/gh/{owner}/tsnb/" in readme


def test_elsewhere_it_does_nothing(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    names: dict[str, object] = {}
    exec(CELL, names)
    assert names.keys() - {"__builtins__"} == {"sys"}


def test_on_colab_tsnb_is_installed_beside_the_torch_and_transformers_there(colab: Callable[..., list[str]]) -> None:
    install, quiet, tsnb, *beside, widgets = colab(network=True)
    assert (install, quiet, beside, widgets) == ("install", "-q", BESIDE, "widgets")
    assert tsnb.startswith("tsnb @ https://github.com/")


@pytest.mark.parametrize(
    ("network", "sentence"),
    [(False, "There is no network to install tsnb from"), (True, "pip could not install tsnb")],
)
def test_what_fails_there_is_one_sentence(colab: Callable[..., list[str]], sentence: str, *, network: bool) -> None:
    with pytest.raises(SystemExit, match=sentence):
        colab(network=network, code=1)
