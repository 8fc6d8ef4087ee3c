"""Whether what was given is a trace or a model, said before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsnb.errors import InputError
from tsnb.tracing import Traced

if TYPE_CHECKING:
    from torch import nn


def checked_traced(given: object) -> Traced:
    """Return a trace with its contract, or raise an InputError that names what was given.

    >>> checked_traced(5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tsnb.errors.InputError: Expected what tsnb.trace or tsnb.load_traced returns; got int. ...
    """
    if not isinstance(given, Traced):
        raise InputError("widgets.not-a-trace", given=type(given).__name__)
    return given


def checked_module(given: object) -> nn.Module:
    """Return a module, or raise an InputError that names what was given.

    >>> checked_module(5)
    Traceback (most recent call last):
        ...
    tsnb.errors.InputError: Expected a torch.nn.Module, as tsnb.load(name) returns first; got int.
    """
    from torch import nn

    if not isinstance(given, nn.Module):
        raise InputError("widgets.not-a-model", given=type(given).__name__)
    return given
