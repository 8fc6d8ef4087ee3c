"""Have Neuron's operators registered before a compiled graph is loaded. Taught in notebook 05."""

from __future__ import annotations

import importlib
import json
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tsnb.artifacts import MEMBER
from tsnb.errors import NeuronError
from tsnb.neuron.targets import TARGETS
from tsnb.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKS = (b"ops.neuron.", b"torch.classes.neuron.")  # in the code of a compiled graph


@contextmanager
def neuron_operators(path: Path) -> Iterator[None]:
    """Import the package whose operators a file holds, before it is loaded within the block.

    Any other file is left alone. Without the package torch says only "Unknown builtin op:
    neuron::forward_1".

    Raises
    ------
    NeuronError
        The file holds a graph compiled for Neuron, and its package cannot be imported, or torch
        cannot load it all the same.

    Taught in notebook 05.
    """
    if not holds_neuron(path):
        yield
        return
    packages = _import_for(path)
    try:
        yield
    except Exception as error:  # whatever a runtime raises
        names = ", ".join(packages)
        raise NeuronError("neuron.no-runtime", path=path, packages=names, why=error) from error


def holds_neuron(path: Path) -> bool:
    """Tell whether the code in a TorchScript file calls Neuron's operators."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = (name for name in archive.namelist() if name.endswith(".py"))
            return any(mark in archive.read(part) for part in parts for mark in MARKS)
    except (OSError, zipfile.BadZipFile):
        return False


def _import_for(path: Path) -> list[str]:
    """Import the package of the target that a file names, or whichever is there, and say which."""
    name = _recorded_target(path)
    known = [target.package for target in TARGETS if target.name == name]
    imported, errors = [], []
    for package in known or [target.package for target in TARGETS]:
        try:
            importlib.import_module(package)
            imported.append(package)
        except (Exception, SystemExit) as error:  # noqa: BLE001, whatever a broken install raises
            errors.append(f"{package}: {type(error).__name__}: {error}")
    if not imported:
        target = name or say("neuron.any-target")
        raise NeuronError("neuron.no-package", path=path, target=target, why="; ".join(errors))
    return imported


def _recorded_target(path: Path) -> str:
    """Return the target in the contract that travels in a file; empty where there is none."""
    with zipfile.ZipFile(path) as archive:
        held = [name for name in archive.namelist() if name.endswith(f"/extra/{MEMBER}")]
        try:
            return str(json.loads(archive.read(held[0]))["target"]) if held else ""
        except (ValueError, KeyError, TypeError):
            return ""
