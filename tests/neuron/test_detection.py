"""What is said of each state of the two packages, against stand-ins in a process of its own."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tests.neuron.stand_ins import BEGIN, COMPILERS, THIRD, TRACING, environment, install
from tsnb.base.words import WIDTH
from tsnb.neuron import detection
from tsnb.neuron.detection import Detection, Detections
from tsnb.neuron.targets import TARGETS, target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Found = dict[str, Any]

DETECT = (
    BEGIN
    + """
import json
found = detection.detect()
states = {
    item.target.package: [item.state, item.detail, item.can_trace, str(item)] for item in found
}
loaded = [name for name in ("torch", *states, "neuroncc", "neuronxcc") if name in sys.modules]
print(json.dumps({"states": states, "both": found.both, "text": str(found), "loaded": loaded}))
"""
)
STATES = {item.target.package: item for item in tsnb.neuron.detect()}


@pytest.fixture
def look(python: Callable[..., str], tmp_path: Path) -> Callable[[], Found]:
    """Detect in a fresh Python that finds what was put into the folder."""

    def found() -> Found:
        printed: Found = json.loads(python(DETECT, tmp_path, **environment(tmp_path)))
        return printed

    return found


@pytest.mark.parametrize("package", STATES)
class TestOnePackage:
    def test_nothing_is_installed_here(self, package: str) -> None:
        found = STATES[package]
        assert found.state == "absent"
        assert not found.can_trace
        assert f"{package} is not installed here" in str(found)

    def test_a_package_without_trace(self, package: str, look: Callable[[], Found], tmp_path: Path) -> None:
        install(tmp_path, package, THIRD, device=True)
        state, _, can_trace, text = look()["states"][package]
        assert (state, can_trace) == ("no-trace", False)
        assert "torch.compile" in text

    def test_a_name_trace_that_cannot_be_called(
        self, package: str, look: Callable[[], Found], tmp_path: Path
    ) -> None:
        install(tmp_path, package, "trace = None")
        assert look()["states"][package][0] == "no-trace"

    def test_a_folder_of_that_name_is_no_package(
        self, package: str, look: Callable[[], Found], tmp_path: Path
    ) -> None:
        (tmp_path / package).mkdir()
        assert look()["states"][package][0] == "no-trace"

    def test_no_compiler(self, package: str, look: Callable[[], Found], tmp_path: Path) -> None:
        install(tmp_path, package, TRACING, compiler=False, device=True)
        state, _, can_trace, text = look()["states"][package]
        assert (state, can_trace) == ("no-compiler", False)
        assert COMPILERS[package] in text

    def test_no_device(self, package: str, look: Callable[[], Found], tmp_path: Path) -> None:
        install(tmp_path, package, TRACING)
        state, _, can_trace, text = look()["states"][package]
        assert (state, can_trace) == ("no-device", True)
        assert "/dev/neuron*" in text

    def test_ready_and_nothing_of_it_is_imported_here(
        self, package: str, look: Callable[[], Found], tmp_path: Path
    ) -> None:
        install(tmp_path, package, TRACING, device=True)
        found = look()
        assert found["states"][package][0] == "ready"
        assert not found["both"]
        assert found["loaded"] == []

    @pytest.mark.parametrize(
        ("source", "detail"),
        [
            ("raise ImportError('libnrt.so')", "ImportError: libnrt.so"),
            ("raise RuntimeError('no driver')", "RuntimeError: no driver"),
            ("raise SystemExit('gave up')", "gave up"),
            ("import sys; sys.exit(0)", "the import ended Python with code 0"),
            ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("def trace(:", "SyntaxError: invalid syntax"),
            (
                "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
                "the import crashed Python (SIGSEGV)",
            ),
        ],
    )
    def test_an_import_that_fails(
        self, package: str, source: str, detail: str, look: Callable[[], Found], tmp_path: Path
    ) -> None:
        install(tmp_path, package, source, device=True)
        state, found, can_trace, text = look()["states"][package]
        assert (state, found, can_trace) == ("broken", detail, False)
        assert detail in " ".join(text.split())  # it is wrapped

    def test_a_package_that_talks_while_it_is_imported(
        self, package: str, look: Callable[[], Found], tmp_path: Path
    ) -> None:
        noise = "import atexit\nprint('hello', end='')\natexit.register(print, 'bye')\n"
        install(tmp_path, package, noise + TRACING)
        assert look()["states"][package][0] == "no-device"


def test_an_import_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "torch_neuron", "import threading; threading.Event().wait()")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(detection, "SECONDS", 0.5)
    found = detection.detect_one(target("inf1"))
    assert (found.state, found.detail) == ("broken", "the import took more than 0.5 s")


def test_a_module_that_is_imported_already_is_looked_at_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "torch_neuronx", "import this_would_fail")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "torch_neuronx", torch.nn)
    assert detection.detect_one(target("inf2")).state == "no-trace"


def test_both_packages_are_said_to_be_one_too_many(look: Callable[[], Found], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuron", TRACING)
    install(tmp_path, "torch_neuronx", THIRD)
    found = look()
    assert found["both"]
    assert found["text"].endswith("decides which is used.")
    assert [state for state, *_ in found["states"].values()] == ["no-device", "no-trace"]


def test_one_broken_package_does_not_hide_the_other(look: Callable[[], Found], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuron", "raise ImportError('libnrt.so')")
    install(tmp_path, "torch_neuronx", TRACING)
    assert [state for state, *_ in look()["states"].values()] == ["broken", "no-device"]


def test_without_packages_nothing_is_started_and_nothing_is_said_of_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("subprocess.run", None)
    found = tsnb.neuron.detect()
    assert not found.both
    assert [item.target.name for item in found] == ["inf1", "inf2"]
    assert repr(found) == str(found) == "\n".join(map(str, found))


@pytest.mark.parametrize("name", ["inf1", "inf2"])
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("absent", "from AWS's own pip repository"),
        ("broken", "install {install} again"),
        ("no-trace", "install {install} of SDK {sdk}"),
        ("no-compiler", "files converted elsewhere"),
        ("no-device", "copy the file"),
        ("ready", "tsnb.neuron.selftest"),
    ],
)
def test_each_state_says_what_works_what_to_do_and_until_when(name: str, state: Any, words: str) -> None:
    need = target(name)
    lines = str(Detection(need, state, "3.11.7", "2.13.0", "why")).splitlines()
    assert max(map(len, lines)) <= WIDTH  # a cell of output would break inside a word
    text = " ".join(" ".join(lines).split())
    assert words.format(install=" ".join(need.install), sdk=need.sdk) in text
    for part in ("Works: ", "Next: ", "Compile on ", "As of October 2026 (SDK 2.33.0)"):
        assert part in text


@pytest.mark.parametrize(
    ("name", "python", "torch_version", "fits"),
    [
        ("inf1", "3.10.4", "1.13.1", (True, True)),
        ("inf1", "3.11.4", "1.13.1+cpu", (False, True)),
        ("inf1", "3.1.0", "1.13.0", (False, False)),
        ("inf2", "3.13.0", "2.9.1+cu128", (True, True)),
        ("inf2", "3.10.0", "2.13.0", (False, False)),
        ("inf2", "3.12.1", "", (True, False)),
    ],
)
def test_versions_are_compared(name: str, python: str, torch_version: str, fits: tuple[bool, bool]) -> None:
    found = Detection(target(name), "absent", python, torch_version)
    assert (found.python_fits, found.torch_fits) == fits
    assert found.versions.count("does not fit") == 2 - sum(fits)


def test_the_versions_here_are_those_of_this_process() -> None:
    for found in tsnb.neuron.detect():
        assert torch.__version__ in str(found)
        assert found.python in str(found)


def test_an_attribute_of_torch_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "neuron", torch.nn, raising=False)
    assert [found.state for found in tsnb.neuron.detect()] == ["absent", "absent"]


def test_both_needs_two_that_are_there() -> None:
    one = Detection(TARGETS[0], "ready", "3.10.0", "1.13.1")
    assert not Detections([one]).both
    assert Detections([one, replace(one, target=TARGETS[1], state="broken")]).both
