"""What `tsnb.doctor` finds on this machine, and on machines that are faked to be worse."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest
import torch

import tsnb
from tsnb.base.machine import MIB
from tsnb.base.words import say
from tsnb.cli import doctor as checkup
from tsnb.cli.doctor import CHECKS, Check, Report

if TYPE_CHECKING:
    from pathlib import Path

FAKE = Report(
    (
        Check("Python", "ok", "3.11.7"),
        Check("tools", "warning", "no <cmake>", "Install it."),
        Check("메모리", "problem", "1 MiB", "Give it more memory. " * 6),
    )
)


@pytest.fixture(scope="module")
def report() -> Report:
    return tsnb.doctor()


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions that are reported as installed in place of the real ones."""
    faked: dict[str, str] = {}
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: faked.get(name) or real(name))
    return faked


def by_name(report: Report) -> dict[str, Check]:
    return {check.name: check for check in report.checks}


def test_this_machine_is_ready(report: Report) -> None:
    assert report.ok
    assert len(report.checks) == len(CHECKS) == 15
    found = by_name(report)
    assert found["Python"].found == platform.python_version()
    assert found["torch"].found == torch.__version__
    assert all(check.found for check in report.checks)


def test_the_embedded_model_was_loaded(report: Report) -> None:
    model, _ = tsnb.load("tiny-bert")
    assert f"{model.num_parameters():,}" in by_name(report)["embedded model"].found


def test_works_after_the_module_was_imported_first() -> None:
    code = "import tsnb.cli.doctor, tsnb; assert callable(tsnb.doctor); print(tsnb.doctor.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "doctor"


def test_shows_progress_on_stderr_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkup, "CHECKS", {"torch": lambda: ("ok", "2", "")})
    checkup.doctor()
    out, err = capsys.readouterr()
    assert out == ""
    assert "torch" in err


def test_a_check_that_raises_is_a_problem_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ill() -> checkup.Finding:
        message = "libtorch.so: cannot open"
        raise OSError(message)

    monkeypatch.setattr(checkup, "CHECKS", {"torch": ill, "python": lambda: ("ok", "3", "")})
    first, second = checkup.doctor().checks
    assert (first.status, first.found) == ("problem", "OSError: libtorch.so: cannot open")
    assert first.advice == say("checkup.raised")
    assert second.status == "ok"


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("3.10.14", "problem"),
        ("3.11.0", "ok"),
        ("3.13.9", "ok"),
        ("3.14.0", "problem"),
        ("3.14.0rc1", "problem"),
    ],
)
def test_python(monkeypatch: pytest.MonkeyPatch, version: str, status: str) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: version)
    assert checkup._python()[:2] == (status, version)


@pytest.mark.parametrize(
    ("version", "status"),
    [("2.13.0", "ok"), ("2.13.0+cu130", "ok"), ("2.12.1", "warning"), ("2.13.1", "warning")],
)
def test_torch(versions: dict[str, str], version: str, status: str) -> None:
    versions["torch"] = version
    found = checkup._package("torch")
    assert found[:2] == (status, version)
    assert ("torch==2.13.0" in found[2]) is (status == "warning")


@pytest.mark.parametrize(
    ("version", "status", "word"),
    [
        ("4.57.6", "ok", ""),
        ("4.40.0", "warning", "transformers==4.57.6"),
        ("5.0.0rc1", "problem", "flag"),
        ("5.23.0", "problem", "flag"),
    ],
)
def test_transformers(versions: dict[str, str], version: str, status: str, word: str) -> None:
    versions["transformers"] = version
    found = checkup._transformers()
    assert found[:2] == (status, version)
    assert word in found[2]


@pytest.mark.parametrize("name", ["torch", "transformers", "jupyterlab", "ipywidgets"])
def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    status, _, advice = CHECKS[name]()
    assert status == "problem"
    assert f"pip install {name}==" in advice


@pytest.mark.parametrize(
    ("faked", "status"),
    [({}, "ok"), ({"tqdm": "4.0"}, "warning"), ({"tqdm": "4.0", "xxhash": "3.0"}, "warning")],
)
def test_other_packages(versions: dict[str, str], faked: dict[str, str], status: str) -> None:
    versions.update(faked)
    found = checkup._others()
    assert found[0] == status
    assert all(f"{name} {version}" in found[1] for name, version in faked.items())
    assert all(f"{name}==" in found[2] for name in faked)


def test_every_package_is_in_one_line_or_another() -> None:
    others = int(checkup._others()[1].partition(",")[0])
    assert others + sum(name in CHECKS for name in checkup._pins()) == len(checkup._pins())


def test_another_package_that_is_missing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "psutil":
            raise metadata.PackageNotFoundError(name)
        return "0" if name == "tqdm" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    status, found, advice = checkup._others()
    assert status == "problem"
    assert "psutil not installed" in found
    assert "psutil==7.2.2 tqdm==4.70.1" in advice


def test_pins_leave_extras_out() -> None:
    pins = checkup._pins()
    assert str(pins["torch"].specifier) == "==2.13.0"
    assert "pytest" not in pins


@pytest.mark.parametrize(
    ("limit", "available", "status"),
    [(8000, 4000, "ok"), (8000, 300, "warning"), (512, 4000, "problem"), (700, 9000, "ok")],
)
def test_memory(monkeypatch: pytest.MonkeyPatch, limit: int, available: int, status: str) -> None:
    held = SimpleNamespace(available=available * MIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: held)
    monkeypatch.setattr(checkup, "memory_limit", lambda: float(limit))
    found = checkup._memory()
    assert found[0] == status
    assert f"{min(limit, available):,} MiB available of {limit:,} MiB" == found[1]
    assert bool(found[2]) is (status != "ok")


@pytest.mark.parametrize(("threads", "status"), [(1, "ok"), (2, "ok"), (16, "warning")])
def test_threads(monkeypatch: pytest.MonkeyPatch, threads: int, status: str) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(checkup, "usable_cores", lambda: 2)
    found = checkup._threads()
    assert found[0] == status
    assert ("torch.set_num_threads(2)" in found[2]) is (status == "warning")


@pytest.mark.parametrize(
    ("installed", "status"),
    [
        (("g++", "cmake", "make"), "ok"),
        (("clang++", "cmake", "ninja"), "ok"),
        (("g++", "make"), "warning"),
        (("g++", "cmake"), "warning"),
        (("cmake", "make"), "warning"),
        ((), "warning"),
    ],
)
def test_build_tools(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: tuple[str, ...], status: str
) -> None:
    for name in installed:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    found = checkup._build_tools()
    assert found[0] == status
    assert all(str(tmp_path / name) in found[1] for name in installed)
    assert ("no cmake" in found[1]) is ("cmake" not in installed)
    assert ("notebook 03" in found[2]) is (status == "warning")


def test_the_compiler_that_cmake_is_told_of_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("g++", "my-compiler", "cmake", "make"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "my-compiler -O2")
    assert shutil.which("my-compiler") in checkup._build_tools()[1].split(", ")


def test_neuron_is_never_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "find_spec", lambda _: None)
    status, _, advice = checkup._neuron()
    assert status == "ok"
    assert "notebook 05 works without" in advice
    monkeypatch.setattr(checkup, "find_spec", lambda name: name == "torch_neuronx" or None)
    assert checkup._neuron() == ("ok", "torch_neuronx", "")


def test_ok_means_that_there_is_no_problem() -> None:
    assert not FAKE.ok
    assert Report(FAKE.checks[:2]).ok
    assert Report(()).ok


def test_text_is_aligned_and_wrapped() -> None:
    lines = str(FAKE).splitlines()
    assert lines[:4] == [
        "✓ Python  3.11.7",
        "! tools   no <cmake>",
        "          Install it.",
        "✗ 메모리  1 MiB",  # two columns a letter
    ]
    assert len(lines) == 4 + 3 + 2  # the long advice takes three; a gap and the verdict follow
    assert max(map(len, lines[:-1])) <= checkup.TEXT_WIDTH + 10
    assert lines[-1] == say("checkup.not-ready")
    assert repr(FAKE) == str(FAKE)


class Tags(HTMLParser):
    """Collect the tags, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_is_a_plain_table() -> None:
    page = Tags(FAKE._repr_html_())
    assert page.tags.count("table") == 1
    assert page.tags.count("tr") == 3
    assert {"✓", "!", "✗", "no <cmake>"} <= set(page.texts)
    assert ("aria-label", "problem") in page.attributes


def test_html_brings_no_colours_of_its_own() -> None:
    styles = {value or "" for name, value in Tags(FAKE._repr_html_()).attributes if name == "style"}
    assert styles
    assert not [style for style in styles if "color" in style or "background" in style]


def test_a_long_path_is_broken_rather_than_the_page() -> None:
    *_, what_was_found = re.findall(r"<td style='([^']*)'>", FAKE._repr_html_())
    assert "overflow-wrap: anywhere" in what_was_found
