"""What is said of each state of the two packages, against stand-ins in a process of its own."""

import json
import platform
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

import tsnb
from tests.kinds import MonkeyPatch, Python
from tests.neuron.stand_ins import BEGIN, THIRD, TRACING, environment, install
from tsnb.neuron.detection import STATES, Detection
from tsnb.neuron.targets import TARGETS

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
    "no-compiler": (TRACING, {"compiler": False, "device": True}, "no-compiler", ""),
    "no-device": (NOISE + TRACING, {}, "no-device", ""),
    "ready": (TRACING, {"device": True}, "ready", ""),
    "import": ("raise ImportError('libnrt.so')", {}, "broken", "ImportError: libnrt.so"),
    "crash": (CRASH, {}, "broken", "the import ended Python with code -11"),
}


@pytest.fixture(scope="module")
def results(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Detect in one fresh Python, with one folder of packages after the other on its path."""
    root = tmp_path_factory.mktemp("packages")
    for name, (source, options, *_) in PACKAGES.items():
        (root / name).mkdir()
        install(root / name, "torch_neuronx", source, **options)
    return json.loads(python(DETECT, root, **environment(root)))


@pytest.mark.parametrize("name", PACKAGES)
def test_the_state_of_a_package_which_is_not_imported_here(name: str, results: Any) -> None:
    state, detail, can_convert, text = results[0][f"{name} inf2"]
    assert (state, detail) == PACKAGES[name][2:]
    assert can_convert == (state in ("no-device", "ready"))
    assert detail in " ".join(text.split())
    assert results[1] == []


def test_here_both_are_absent(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "neuron", torch.nn, raising=False)  # an attribute of torch proves nothing
    detections = tsnb.neuron.detect()
    assert [(one.target.name, one.state) for one in detections] == [("inf1", "absent"), ("inf2", "absent")]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("state", STATES)
def test_each_state_says_what_works_what_to_do_and_until_when(target: Any, state: Any) -> None:
    one = Detection(target, state, "why")
    text = " ".join(str(one).split())
    for part in ("Works: ", "Next: ", "Compile on ", "As of October 2026 (SDK 2.33.0)", *one.lines):
        assert part in text


def test_versions_are_compared() -> None:
    text = " ".join(str(Detection(INF1, "absent")).split())
    assert f"here Python {platform.python_version()} does not fit" in text
    assert f"here torch {torch.__version__} does not fit" in text
    release = torch.__version__.rpartition(".")[0]
    here = replace(INF2, torch=release, python=(sys.version_info.minor,))
    assert "does not fit" not in str(Detection(here, "absent"))
