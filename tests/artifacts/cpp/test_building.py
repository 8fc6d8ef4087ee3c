"""One real build, and builds that end early: no tools, a broken compiler, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

import tsnb
from tests.kinds import Capture, MonkeyPatch
from tsnb.artifacts.cpp import building

INTERRUPTED = "from tsnb.artifacts.cpp import build; import sys; build(sys.argv[1])"


def refused(folder: Path) -> str:
    with pytest.raises(tsnb.CppError) as caught:
        tsnb.cpp.build(folder)
    return str(caught.value)


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)
    return path


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_program_is_all_that_is_left_and_a_second_build_is_instant_and_needs_no_tools(
    loader: Path, folder: Path, monkeypatch: MonkeyPatch
) -> None:
    assert files(folder) == [loader]
    assert loader.parent.name.startswith(f"torch-{torch.__version__}-")
    assert os.access(loader, os.X_OK)
    package = {path.name for path in building.SOURCES.iterdir() if path.suffix != ".py"} - {"__pycache__"}
    assert package == {"CMakeLists.txt", "load_traced.cpp"}  # the package is only read
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(folder))
    before = loader.stat().st_mtime_ns
    assert tsnb.cpp.build(str(folder)) == tsnb.cpp.build("~") == loader
    assert loader.stat().st_mtime_ns == before


def test_a_build_for_another_torch_is_not_taken(loader: Path, folder: Path, monkeypatch: MonkeyPatch) -> None:
    assert loader.is_file()
    monkeypatch.setattr(building, "missing", lambda: ["cmake"])
    for name, value in (("__version__", "2.99.0"), ("__file__", "/elsewhere/torch/__init__.py")):
        with monkeypatch.context() as other:
            other.setattr(torch, name, value)
            assert "cmake not found" in refused(folder)


def test_missing_tools_are_named_with_what_to_install(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "")
    message = refused(tmp_path / "new")
    assert "C++ compiler, cmake, make or ninja not found" in message
    assert all(word in message for word in ("apt install", "xcode-select", "Windows"))
    assert not (tmp_path / "new").exists()
    monkeypatch.setenv("CXX", f"{script(tmp_path / 'mine')} -O2")  # the compiler that the reader names
    assert tsnb.cpp.missing() == ["cmake", "make or ninja"]


def test_a_broken_compiler_ends_in_its_own_last_words_under_a_bar(
    monkeypatch: MonkeyPatch, tmp_path: Path, capfd: Capture
) -> None:
    broken = script(tmp_path / "broken", "echo mine is out of order >&2", "exit 1")
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setattr(building, "TICK", 0.01)
    message = refused(tmp_path / "new")
    for words in ("could not be built", "is not able to compile", str(broken), "mine is out of order"):
        assert words in message
    assert files(tmp_path / "new") == []
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("configuring") > 10  # the bar's clock goes on while CMake is silent


def test_a_path_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert "cannot be written to" in refused(tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


def test_ctrl_c_ends_the_compiler_and_leaves_nothing(tmp_path: Path) -> None:
    """The signal goes to Python alone, so that nobody but tsnb can have ended the compiler."""
    slow = script(tmp_path / "slow", f"echo $$ > '{tmp_path}/running'", "exec sleep 300")
    python = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, tmp_path / "new"],
        env={**os.environ, "CXX": str(slow)},
        stderr=subprocess.PIPE,
        text=True,
    )
    number = waited_for(tmp_path / "running")
    python.send_signal(signal.SIGINT)
    _, printed = python.communicate(timeout=60)
    assert "KeyboardInterrupt" in printed
    assert not psutil.pid_exists(number) or psutil.Process(number).status() == "zombie"
    assert files(tmp_path / "new") == []


def waited_for(path: Path) -> int:
    """Return the number in a file once it is there, within a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.exists() and path.read_text(encoding="utf-8").strip():
            return int(path.read_text(encoding="utf-8"))
        time.sleep(0.05)
    pytest.fail(f"nothing wrote {path}")
