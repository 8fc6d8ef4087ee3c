"""Have Neuron's operators registered before a compiled graph is loaded. Taught in notebook 05."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tsnb.base.errors import NeuronError

if TYPE_CHECKING:
    from tsnb.artifacts.archive import Archive

PACKAGES = {"inf1": "torch_neuron", "inf2": "torch_neuronx"}  # by what a graph was compiled for
MARKS = (b"ops.neuron.", b"torch.classes.neuron.")  # in the code of a compiled graph


@contextmanager
def neuron_operators(archive: Archive, target: str = "") -> Iterator[None]:
    """Import the package whose operators a file needs, before it is loaded within the block.

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
    code = (archive.read_bytes(name) for name in archive.below("code/") if name.endswith(".py"))
    if not any(mark in text for text in code for mark in MARKS):
        yield
        return
    imported, errors = [], []
    for package in [PACKAGES[target]] if target in PACKAGES else PACKAGES.values():
        try:
            importlib.import_module(package)
            imported.append(package)
        except (Exception, SystemExit) as error:  # noqa: BLE001, whatever a broken install raises
            errors.append(f"{package}: {type(error).__name__}: {error}")
    if not imported:
        raise NeuronError(
            f"{archive.path} holds a graph compiled for Neuron ({target or 'target not recorded'}), and the "
            f"package that knows its operators cannot be imported ({'; '.join(errors)}). Without it torch "
            'only says "Unknown builtin op: neuron::forward_1". Load it where the package is installed.'
        )
    try:
        yield
    except Exception as error:  # whatever a runtime raises
        raise NeuronError(
            f"{archive.path} holds a graph compiled for Neuron, and torch could not load it, with "
            f"{', '.join(imported)} imported: {error} It runs on an instance with the device only."
        ) from error
