from __future__ import annotations

import ast
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

import tsnb

if TYPE_CHECKING:
    from collections.abc import Callable

HEAVY = ("torch", "transformers", "matplotlib", "numpy", "huggingface_hub", "IPython")
LOADED = f"import sys, tsnb; print([name for name in {HEAVY} if name in sys.modules])"
SECONDS = """
import time
start = time.perf_counter()
import tsnb
print(time.perf_counter() - start)
"""


def public() -> list[str]:
    stub = Path(tsnb.__file__).with_suffix(".pyi")
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return [alias.asname or alias.name for node in imports for alias in node.names]


def test_importing_tsnb_imports_nothing_heavy(python: Callable[..., str]) -> None:
    assert python(LOADED) == "[]\n"


def test_importing_tsnb_takes_a_moment(python: Callable[..., str]) -> None:
    assert median(float(python(SECONDS)) for _ in range(5)) <= 0.3


@pytest.mark.parametrize("name", public())
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(tsnb, name) is not None
    assert name in dir(tsnb)


def test_the_public_names_are_listed() -> None:
    assert sorted(vars(tsnb)["__all__"]) == sorted(public())


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        attrgetter("no_such_name")(tsnb)
