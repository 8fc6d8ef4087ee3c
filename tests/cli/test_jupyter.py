"""What draws widgets, which Python a kernel gets, and where a file can be made."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tsnb.cli import doctor as checkup
from tsnb.cli import jupyter


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder whose kernels come before every other."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return tmp_path / "kernels"


def name_kernel(kernels: Path, program: str) -> None:
    folder = kernels / jupyter.KERNEL
    folder.mkdir(parents=True)
    spec = {"argv": [program, "-m", "ipykernel_launcher"], "display_name": "Python 3"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def extension(folder: Path, name: str, version: str) -> str:
    (folder / name).mkdir(parents=True)
    text = json.dumps({"name": name, "version": version})
    (folder / name / "package.json").write_text(text, encoding="utf-8")
    return str(folder)


def test_this_environment_draws_widgets() -> None:
    assert all(jupyter.front_ends().values())


def test_the_first_folder_counts(tmp_path: Path) -> None:
    first, second = (
        extension(tmp_path / name, "anywidget", version)
        for name, version in (("a", "0.11.0"), ("b", "0.9.0"))
    )
    assert jupyter.front_ends([first, second])["anywidget"] == "0.11.0"
    assert jupyter.front_ends([second])["@jupyter-widgets/jupyterlab-manager"] is None


def test_the_kernel_is_this_python() -> None:
    assert jupyter.kernel() is not None
    assert checkup._kernel() == ("ok", jupyter.kernel(), "")


def test_a_kernel_of_another_environment_is_told(kernels: Path) -> None:
    name_kernel(kernels, "/opt/other/bin/python3")
    status, found, advice = checkup._kernel()
    assert (status, found) == ("warning", "/opt/other/bin/python3")
    assert f"{sys.executable} -m jupyterlab" in advice


def test_a_kernel_that_names_no_folder_is_this_environments(kernels: Path) -> None:
    name_kernel(kernels, "python")
    assert jupyter.kernel() == sys.executable


def test_another_name_of_this_python_is_this_environment() -> None:
    assert jupyter.is_this_environment(str(Path(sys.executable).with_name("python3")))


def test_no_kernel_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jupyter, "KERNEL", "no-such-kernel")
    assert checkup._kernel()[:2] == ("warning", "no no-such-kernel")


def test_widgets_without_a_front_end_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jupyter, "front_ends", lambda: {"anywidget": None, "manager": "5"})
    status, found, advice = checkup._widgets()
    assert (status, found) == ("problem", "no anywidget")
    assert "jupyterlab_widgets anywidget" in advice


def test_a_damaged_extension_does_not_stop_the_doctor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = [extension(tmp_path, "anywidget", "1")]
    (tmp_path / "anywidget/package.json").write_text("{", encoding="utf-8")
    monkeypatch.setattr(jupyter, "jupyter_path", lambda _: places)
    monkeypatch.setattr(checkup, "CHECKS", {"widgets": checkup._widgets})
    [check] = checkup.doctor(progress=False).checks
    assert (check.key, check.status) == ("widgets", "problem")


def test_a_folder_that_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert checkup._folder() == ("ok", str(tmp_path), "")
    assert os.listdir(tmp_path) == []  # noqa: PTH208, names are enough


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jupyter, "can_write", lambda _: False)  # root may write everywhere
    status, found, advice = checkup._folder()
    assert status == "warning"
    assert str(Path.cwd()) in found
    assert "one of your\nown" in advice or "one of your own" in advice
