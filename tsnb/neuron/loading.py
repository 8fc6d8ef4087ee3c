"""Have Neuron's operators registered before a compiled graph is loaded. Taught in notebook 05."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tsnb.base.errors import NeuronError
from tsnb.neuron.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsnb.artifacts.archive import Archive

MARKS = (b"ops.neuron.", b"torch.classes.neuron.")  # in the code of a compiled graph


@contextmanager
def neuron_operators(archive: Archive, target: str = "") -> Iterator[None]:
    """Import the package whose operators a file holds, before it is loaded within the block.

    Any other file is left alone. Without the package torch says only "Unknown builtin op:
    neuron::forward_1".

    Parameters
    ----------
    archive
        The file's members.
    target
        What the contract says it was compiled for; where it says nothing, every package is tried.

    Raises
    ------
    NeuronError
        The file holds a graph compiled for Neuron, and its package cannot be imported, or torch
        cannot load it all the same.

    Taught in notebook 05.
    """
    if not holds_neuron(archive):
        yield
        return
    packages = _import_for(archive, target)
    try:
        yield
    except Exception as error:  # whatever a runtime raises
        names = ", ".join(packages)
        raise NeuronError(
            f"{archive.path} holds a graph compiled for Neuron, and torch could not load it, "
            f"with {names} imported: {error} It runs on an instance with the device only."
        ) from error


def holds_neuron(archive: Archive) -> bool:
    """Tell whether the code in a TorchScript file calls Neuron's operators."""
    parts = (name for name in archive.below("code/") if name.endswith(".py"))
    return any(mark in code for code in map(archive.read, parts) for mark in MARKS)


def _import_for(archive: Archive, name: str) -> list[str]:
    """Import the package of a target, or whichever is there, and say which."""
    known = [target.package for target in TARGETS if target.name == name]
    imported, errors = [], []
    for package in known or [target.package for target in TARGETS]:
        try:
            importlib.import_module(package)
            imported.append(package)
        except (Exception, SystemExit) as error:  # noqa: BLE001, whatever a broken install raises
            errors.append(f"{package}: {type(error).__name__}: {error}")
    if not imported:
        target, why = name or "target not recorded", "; ".join(errors)
        raise NeuronError(
            f"{archive.path} holds a graph compiled for Neuron ({target}), and the package "
            f"that knows its operators cannot be imported ({why}). Without it torch only "
            'says "Unknown builtin op: neuron::forward_1". Load it where the package is '
            "installed."
        )
    return imported
