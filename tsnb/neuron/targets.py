"""The two generations of Neuron hardware that trace, and AWS's facts about them: `facts.toml`, as data."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tsnb.base.errors import NeuronError, suggest

STAND_IN = "stand-in"  # a contract's target where `fixed_shape` made it
SUITED = ("question-answering", "sequence-classification", "token-classification")  # best for Inf1


@dataclass(frozen=True)
class Target:
    """One generation of Neuron hardware and the packages that trace for it.

    Attributes
    ----------
    name
        `inf1`, or `inf2` (Trn1 is the same).
    package, compiler
        Modules to import: the one with `.trace`, and the compiler it calls.
    install
        Names of the pip packages in AWS's own repository.
    python
        Minor versions of Python 3 that the last release supports.
    torch
        Version of torch that the last release needs.
    sdk
        The last Neuron SDK whose images hold the package.
    runs_on
        Kinds of instances.
    inputs
        What `.trace` takes example inputs as: `"list"` or `"tuple"`.
    core_memory, chip_memory
        Device memory of a NeuronCore and of a chip, in bytes.
    weight_size
        Bytes of a compiled weight by default; 0 where it stays as it is in the model.
    bucket_rule
        AWS's rule: this number divided by the number of weights, rounded; 0 where there is none.
    tolerance
        Largest difference to the model that is accepted, as a part of the largest output.
    status
        How long tracing for it is supported, where to compile, and where to run.
    """

    name: str
    package: str
    compiler: str
    install: tuple[str, ...]
    python: tuple[int, ...]
    torch: str
    sdk: str
    runs_on: str
    inputs: str
    core_memory: int
    chip_memory: int
    weight_size: int
    bucket_rule: int
    tolerance: float
    status: str

    @property
    def pythons(self) -> str:
        """Supported versions of Python as text.

        >>> find_target("inf1").pythons
        '3.9, 3.10'
        """
        return ", ".join(f"3.{minor}" for minor in self.python)

    def buckets(self, weights: int) -> int | None:
        """Return about how many compiled lengths fit on a NeuronCore, by AWS's rule for Inf1.

        The rule is `round(1e9 / number of weights)`; there is none for Inf2.

        >>> find_target("inf1").buckets(109_482_240)
        9
        """
        return round(self.bucket_rule / weights) if self.bucket_rule and weights else None


@cache
def data(name: str) -> dict[str, Any]:
    """Return what a file of this folder holds: `facts`, `inf1_operators` or `programs`.

    >>> data("inf1_operators")["removed"]["aten::embedding"]
    '1.0.1001.0: does not meet performance criteria'
    """
    return tomllib.loads((files(__package__) / f"{name}.toml").read_text(encoding="utf-8"))


def facts() -> dict[str, Any]:
    """Return AWS's facts as `facts.toml` holds them, with their date and their sources.

    >>> facts()["fit"][0]["named"]
    ['bert', 'distilbert', 'roberta']
    """
    return data("facts")


def source(name: str) -> str:
    """Return the address of a source by its name in `facts.toml`."""
    return str(facts()["sources"][name])


def _read(name: str, table: dict[str, Any]) -> Target:
    values = {key.replace("-", "_"): value for key, value in table.items()}
    return Target(name, **values | {key: tuple(values[key]) for key in ("install", "python")})


TARGETS = tuple(_read(name, table) for name, table in facts()["target"].items())


def find_target(name: str) -> Target:
    """Return a target by its name.

    Raises
    ------
    NeuronError
        No such target; the near one is suggested.

    Examples
    --------
    >>> find_target("inf2").package
    'torch_neuronx'
    """
    known = {item.name: item for item in TARGETS}
    if str(name) not in known:
        others = "Trn1 takes what inf2 takes; Trn2 and Trn3 compile with torch.compile and do not trace."
        raise NeuronError(f"There is no Neuron target called {name} that traces. {suggest(str(name), known)} {others}")
    return known[name]
