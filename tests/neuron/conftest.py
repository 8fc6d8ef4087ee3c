"""Stand-ins for AWS's packages on the path of this process, until a test ends."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.kinds import MonkeyPatch
from tests.neuron.stand_ins import WORKING, install
from tsnb.neuron import detection

KEPT: list[Any] = []  # torch forgets an operator with the module that made it


@pytest.fixture
def machine(monkeypatch: MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Install packages, as `stand_ins.install` does; by default the second generation's."""

    def installed(package: str = "torch_neuronx", source: str = "", **options: bool) -> None:
        install(tmp_path, package, source, **options)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(detection, "DEVICES", tmp_path / "dev")
    monkeypatch.setattr(torch, "neuron", None, raising=False)
    yield installed
    KEPT.extend(sys.modules.pop(name, None) for name in WORKING)
