"""A torch or transformers that was not tried is used, and said in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CODE = """
import sys, warnings
from importlib import metadata
real = metadata.version
metadata.version = lambda name: dict([argument.split("=") for argument in sys.argv[1:]]).get(name) or real(name)
with warnings.catch_warnings(record=True) as shown:
    import tsnb
    tsnb.load, tsnb.trace, tsnb.load_traced
print(*(warning.message for warning in shown if "tried" in str(warning.message)), sep="\\n")
"""


def test_it_is_said_once_when_it_is_first_used_and_nothing_refuses_to_start(python: Callable[..., str]) -> None:
    assert python(CODE, "torch=2.14.1+cu130", "transformers=4.57.0").split() == []
    [line, other] = python(CODE, "torch=2.15.0", "transformers=4.56.2").splitlines()
    assert line == "torch 2.15.0 was not tried, only 2.9 to 2.14; what you see may differ."
    assert other.startswith("transformers 4.56.2 was not tried, only 4.57 to 5.24;")
