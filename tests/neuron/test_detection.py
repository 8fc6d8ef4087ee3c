"""What is said of each state of the two packages, against stand-ins in a process of its own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tests.neuron.stand_ins import BEGIN, THIRD, TRACING, environment, install
from tsnb.base.tables import WIDTH
from tsnb.neuron import detection
from tsnb.neuron.detection import WORDS, Detection, detect_one, installed
from tsnb.neuron.targets import TARGETS, target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INF1, INF2 = TARGETS
DETECT = (
    BEGIN
    + """
import json
results = {}
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    detection.DEVICES = folder / "dev"
    sys.path.insert(0, str(folder))
    for one in detection.detect():
        results[f"{folder.name} {one.target.name}"] = one.state, one.detail, one.can_convert, str(one)
    sys.path.pop(0)
imported = [name for name in ("torch", "torch_neuronx", "neuronxcc") if name in sys.modules]
print(json.dumps([results, imported]))
"""
)
NOISE = "import atexit\nprint('hello', end='')\natexit.register(print, 'bye')\n"
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
# By the name of a folder: the package's source, options of `install`, its state, what the import said.
PACKAGES: dict[str, tuple[str, dict[str, bool], str, str]] = {
    "third": (THIRD, {"device": True}, "no-trace", ""),
    "not-callable": ("trace = None", {}, "no-trace", ""),
    "no-compiler": (TRACING, {"compiler": False, "device": True}, "no-compiler", ""),
    "no-device": (NOISE + TRACING, {}, "no-device", ""),
    "ready": (TRACING, {"device": True}, "ready", ""),
    "import": ("raise ImportError('libnrt.so')", {}, "broken", "ImportError: libnrt.so"),
    "exit": ("raise SystemExit('gave up')", {}, "broken", "gave up"),
    "exit-0": ("import sys; sys.exit(0)", {}, "broken", "the import ended Python with code 0"),
    "syntax": ("def trace(:", {}, "broken", "SyntaxError: invalid syntax"),
    "crash": (CRASH, {}, "broken", "the import crashed Python (SIGSEGV)"),
}


@pytest.fixture(scope="module")
def results(python: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Detect in one fresh Python, with one folder of packages after the other on its path."""
    root = tmp_path_factory.mktemp("packages")
    for name, (source, options, *_) in PACKAGES.items():
        (root / name).mkdir()
        install(root / name, "torch_neuronx", source, **options)
    (root / "folder" / "torch_neuronx").mkdir(parents=True)
    return json.loads(python(DETECT, root, **environment(root)))


@pytest.mark.parametrize("name", PACKAGES)
def test_the_state_of_a_package(name: str, results: Any) -> None:
    state, detail, can_convert, text = results[0][f"{name} inf2"]
    assert (state, detail) == PACKAGES[name][2:]
    assert can_convert == (state in ("no-device", "ready"))
    assert detail in " ".join(text.split())
    assert results[0][f"{name} inf1"][0] == "absent"


def test_a_folder_of_that_name_is_no_package_and_nothing_is_imported_here(results: Any) -> None:
    assert results[0]["folder inf2"][0] == "no-trace"
    assert results[1] == []


def test_an_import_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "torch_neuron", "import threading; threading.Event().wait()")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(detection, "SECONDS", 0.5)
    hanging = detect_one(INF1)
    assert (hanging.state, hanging.detail) == ("broken", "the import took more than 0.5 s")


def test_a_module_that_is_imported_already_is_looked_at_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "torch_neuronx", "import this_would_fail")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "torch_neuronx", torch.nn)
    assert detect_one(INF2).state == "no-trace"


def test_without_packages_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", None)
    monkeypatch.setattr(torch, "neuron", torch.nn, raising=False)  # an attribute of torch proves nothing
    detections = tsnb.neuron.detect()
    assert [(one.target.name, one.state) for one in detections] == [("inf1", "absent"), ("inf2", "absent")]
    assert repr(detections) == str(detections) == "\n".join(map(str, detections))
    assert f"here torch {torch.__version__} " in " ".join(str(detections).split())
    assert installed("torch", "no-such-thing[extra]") == {"torch": torch.__version__}


@pytest.mark.parametrize("name", ["inf1", "inf2"])
@pytest.mark.parametrize("state", WORDS)
def test_each_state_says_what_works_what_to_do_and_until_when(name: str, state: Any) -> None:
    one = Detection(target(name), state, "3.11.7", "2.13.0", "why")
    lines = str(one).splitlines()
    assert max(map(len, lines)) <= WIDTH  # a cell of output would break inside a word
    text = " ".join(" ".join(lines).split())
    for part in ("Works: ", "Next: ", "Compile on ", "As of October 2026 (SDK 2.33.0)", *one.lines):
        assert part in text
    assert "{" not in text
    assert ("tsnb.neuron.code(names, 'inf1')" in text) == (name == "inf1")
    assert one.can_convert == (name == "inf2" and state in ("no-device", "ready"))


@pytest.mark.parametrize(
    ("name", "python", "torch_version", "misfits"),
    [
        ("inf1", "3.10.4", "1.13.1", 0),
        ("inf1", "3.11.4", "1.13.1+cpu", 1),
        ("inf1", "3.1.0", "1.13.0", 2),
        ("inf2", "3.13.0", "2.9.1+cu128", 0),
        ("inf2", "3.12.1", "", 1),
    ],
)
def test_versions_are_compared(name: str, python: str, torch_version: str, misfits: int) -> None:
    text = str(Detection(target(name), "absent", python, torch_version))
    assert " ".join(text.split()).count("does not fit") == misfits
