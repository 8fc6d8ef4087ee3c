"""What transformers 4 and 5 do differently, all in one place. Taught in notebook 01."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import ModelError
from tsnb.models.tying import embeddings, untie

if TYPE_CHECKING:
    from torch import nn

LAST_WITH_FLAG = 4


class FlagWarning(UserWarning):
    """The `torchscript` flag was set where transformers no longer has it."""


def has_flag() -> bool:
    """Tell whether the installed transformers has the `torchscript` flag; does not import it."""
    return int(version("transformers").partition(".")[0]) <= LAST_WITH_FLAG


def describe_line() -> str:
    """Say which line of transformers is installed, and what that means for the flag.

    >>> describe_line().startswith("transformers ")
    True
    """
    flag = "no torchscript flag; tsnb.load(..., torchscript=True) does by hand what it did on 4"
    return f"transformers {version('transformers')} has {'the torchscript flag' if has_flag() else flag}"


def complete_flag(model: nn.Module) -> None:
    """Do to a model what the `torchscript` flag does on 4 and has left to do, and check it.

    On 5 that is all of it: tied weights get copies, and outputs become tuples, which is said once. On 4
    some newer models return dicts with the flag too. A hook makes the tuple, because
    `config.return_dict = False` reaches the models inside, whose dicts many heads rely on.

    Raises
    ------
    ModelError
        The embeddings are still tied.
    """
    if not has_flag():
        untie(model)
        _say_by_hand()
    model.register_forward_hook(_as_tuple, with_kwargs=True)
    ends = [getattr(embeddings(model, side), "weight", None) for side in ("input", "output")]
    if ends[0] is not None and ends[1] is not None and ends[0].data_ptr() == ends[1].data_ptr():
        raise ModelError(
            f"torchscript=True did nothing: transformers {version('transformers')} still ties the embeddings. Leave "
            "it out: tsnb.untie(model) takes weights apart, and tsnb.trace takes dicts."
        )


def returns_tuples(model: nn.Module) -> bool:
    """Tell whether a model's dicts become tuples unless a call asks for a dict."""
    hooks = model._forward_hooks.values()  # noqa: SLF001, there is no public way to see them
    return _as_tuple in hooks or getattr(getattr(model, "config", None), "return_dict", True) is False


def warn_of_ignored_flag(model: nn.Module, stacklevel: int) -> None:
    """Warn of a model whose configuration has the flag where transformers ignores it without a word."""
    if not has_flag() and getattr(getattr(model, "config", None), "torchscript", False):
        message = (
            f"torchscript=True in the configuration of this {type(model).__name__} did nothing: transformers "
            f"{version('transformers')} has no such flag. tsnb.untie(model) takes tied weights apart, and "
            "tsnb.trace makes a tuple of any output."
        )
        warnings.warn(message, FlagWarning, stacklevel=stacklevel + 1)


def _as_tuple(_module: nn.Module, _args: Any, kwargs: dict[str, Any], output: Any) -> Any:
    return output.to_tuple() if hasattr(output, "to_tuple") and not kwargs.get("return_dict") else output


@cache
def _say_by_hand() -> None:
    message = f"{describe_line()}: tied weights are copied, and outputs are tuples."
    warnings.warn(message, FlagWarning, stacklevel=4)
