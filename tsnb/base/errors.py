"""Errors, one a kind of mistake; each sentence says what was passed, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TsnbError(Exception):
    """Base of every error that tsnb raises on purpose.

    Its sentence says what was passed, what was expected, and what to do.
    """


class ModelError(TsnbError, ValueError):
    """A model could not be loaded as requested."""


class InputError(TsnbError, ValueError):
    """Texts or tensors that the model cannot take."""


class TraceError(TsnbError, RuntimeError):
    """A model that could not be traced, or whose trace disagrees with it."""


class ArtifactError(TsnbError, RuntimeError):
    """A file that is not a readable TorchScript artefact, or could not be written."""


class CppError(TsnbError, RuntimeError):
    """A C++ loader that could not be built here, or that ended with an error."""


class NeuronError(TsnbError, RuntimeError):
    """A Neuron conversion that cannot be done on this machine."""


class ExerciseError(TsnbError, ValueError):
    """An exercise, a quiz or a summary of progress that there is not, or that cannot be written."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest known word, or all of them where none is near.

    >>> suggest("tiny-brt", ["tiny-bert", "bert-mini"])
    'Did you mean tiny-bert?'
    >>> suggest("resnet", ["tiny-bert", "bert-mini"])
    'Known: bert-mini, tiny-bert.'
    """
    known = sorted(known)
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
