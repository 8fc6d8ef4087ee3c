"""One error a kind of mistake, each saying what was given, what was expected and what to do."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from tsnb.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable


class TsnbError(Exception):
    """Base of every error that tsnb raises on purpose.

    Parameters
    ----------
    key
        Which sentence to say: a key of `tsnb.words`.
    **gaps
        What fills the gaps of the sentence.

    Examples
    --------
    >>> raise InputError("inputs.empty-text")
    Traceback (most recent call last):
        ...
    tsnb.errors.InputError: The text is empty. Give at least one word to make inputs from.
    """

    def __init__(self, key: str, /, **gaps: object) -> None:
        super().__init__(say(key, **gaps))
        self.key = key
        self.gaps = gaps

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), self.key, **self.gaps), ()


class ModelError(TsnbError, ValueError):
    """A model could not be loaded as asked."""


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


def suggest(given: str, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest known word, or all of them where none is near.

    >>> suggest("tiny-brt", ["tiny-bert", "bert-mini"])
    'Did you mean tiny-bert?'
    >>> suggest("resnet", ["tiny-bert", "bert-mini"])
    'Known: bert-mini, tiny-bert.'
    """
    known = sorted(known)
    near = get_close_matches(given, known, n=1)
    return say("names.near", near=near[0]) if near else say("names.known", known=", ".join(known))
