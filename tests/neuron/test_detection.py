"""What is said of each state of the two packages, against stand-ins."""

import platform
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

import tsnb
from tests.kinds import Machine, MonkeyPatch
from tests.neuron.stand_ins import THIRD, TRACING
from tsnb.neuron.detection import STATES, Detection, detect_one
from tsnb.neuron.targets import TARGETS

INF1, INF2 = TARGETS
NOISE = "import atexit\nprint('hello', end='')\natexit.register(print, 'bye')\n"
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
# The package's source, options of `install`, its state, what the import said.
PACKAGES: dict[str, tuple[str, dict[str, bool], str, str]] = {
    "third": (THIRD, {"device": True}, "no-trace", ""),
    "no-compiler": (TRACING, {"compiler": False, "device": True}, "no-compiler", ""),
    "no-device": (NOISE + TRACING, {}, "no-device", ""),
    "ready": (TRACING, {"device": True}, "ready", ""),
    "import": ("raise ImportError('libnrt.so')", {}, "broken", "ImportError: libnrt.so"),
    "crash": (CRASH, {}, "broken", "the import ended Python with code -11"),
}


@pytest.mark.parametrize(("source", "options", "state", "detail"), PACKAGES.values(), ids=PACKAGES)
def test_the_state_of_a_package_which_is_not_imported_here(
    machine: Machine, source: str, options: dict[str, bool], state: str, detail: str
) -> None:
    machine(source=source, **options)
    one = detect_one(INF2)
    assert (one.state, one.detail) == (state, detail)
    assert one.can_convert == (state in ("no-device", "ready"))
    assert detail in " ".join(str(one).split())
    assert "torch_neuronx" not in sys.modules


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
