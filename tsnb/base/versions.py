"""What depends on a release of torch or transformers, all in one place. Taught in notebook 01.

Which were tried; others are used all the same. And what transformers 5 no longer does: the `torchscript` flag.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

from packaging.version import Version

if TYPE_CHECKING:
    from torch import nn

TRIED = {"torch": ("2.9", "2.14"), "transformers": ("4.57", "5.24")}  # first and last; `make lane` tries another
LAST_WITH_FLAG = 4  # of transformers


class FlagWarning(UserWarning):
    """The `torchscript` flag was set where transformers no longer has it."""


def untried() -> list[str]:
    """Return a sentence for each of torch and transformers that is older or newer than all that were tried.

    Examples
    --------
    >>> untried()
    []
    """
    sentences = []
    for name, (first, last) in TRIED.items():
        with suppress(metadata.PackageNotFoundError):
            version = metadata.version(name)
            if not Version(first).release <= Version(version).release[:2] <= Version(last).release:
                sentences.append(f"{name} {version} was not tried, only {first} to {last}; what you see may differ.")
    return sentences


def has_flag() -> bool:
    """Tell whether the installed transformers has the `torchscript` flag; does not import it."""
    return Version(metadata.version("transformers")).major <= LAST_WITH_FLAG


def describe_line() -> str:
    """Say which line of transformers is installed, and what that means for the flag.

    >>> describe_line().startswith("transformers ")
    True
    """
    flag = "no torchscript flag; tsnb.load(..., torchscript=True) does by hand what it did on 4"
    return f"transformers {metadata.version('transformers')} has {'the torchscript flag' if has_flag() else flag}"


@cache
def say_by_hand() -> None:
    """Warn the caller's caller, once, that what the flag did is done by hand."""
    message = f"{describe_line()}: tied weights are copied, and outputs are tuples."
    warnings.warn(message, FlagWarning, stacklevel=3)


def warn_of_ignored_flag(model: nn.Module, stacklevel: int) -> None:
    """Warn of a model whose configuration has the flag where transformers ignores it without a word."""
    if not has_flag() and getattr(getattr(model, "config", None), "torchscript", False):
        message = (
            f"torchscript=True in the configuration of this {type(model).__name__} did nothing: transformers "
            f"{metadata.version('transformers')} has no such flag. tsnb.untie(model) takes tied weights apart, and "
            "tsnb.trace makes a tuple of any output."
        )
        warnings.warn(message, FlagWarning, stacklevel=stacklevel + 1)


def return_tuples(model: nn.Module) -> None:
    """Let a model return tuples where a call does not ask for a dict.

    By a hook, because `config.return_dict = False` reaches the models inside, whose dicts many heads rely on,
    and because on 4 some newer models return dicts with the flag too.
    """
    model.register_forward_hook(_as_tuple, with_kwargs=True)


def returns_tuples(model: nn.Module) -> bool:
    """Tell whether a model's dicts become tuples where a call does not ask for a dict."""
    hooks = model._forward_hooks.values()  # noqa: SLF001, there is no public way to see them
    return _as_tuple in hooks or getattr(getattr(model, "config", None), "return_dict", True) is False


def _as_tuple(_module: nn.Module, _args: Any, kwargs: dict[str, Any], output: Any) -> Any:
    return output.to_tuple() if hasattr(output, "to_tuple") and not kwargs.get("return_dict") else output
