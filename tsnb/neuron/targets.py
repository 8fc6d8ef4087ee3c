"""The two generations of Neuron hardware that trace: their packages, versions and device files."""

from __future__ import annotations

from dataclasses import dataclass

from tsnb.errors import NeuronError, suggest


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
    """

    name: str
    package: str
    compiler: str
    install: str
    python: tuple[int, ...]
    torch: str
    sdk: str

    @property
    def pythons(self) -> str:
        """Supported versions of Python as text.

        >>> target("inf1").pythons
        '3.9, 3.10'
        """
        return ", ".join(f"3.{minor}" for minor in self.python)


TARGETS = (
    Target(
        name="inf1",
        package="torch_neuron",
        compiler="neuroncc",
        install="torch-neuron neuron-cc[tensorflow]",
        python=(9, 10),
        torch="1.13.1",
        sdk="2.26",
    ),
    Target(
        name="inf2",
        package="torch_neuronx",
        compiler="neuronxcc",
        install="torch-neuronx neuronx-cc",
        python=(11, 12, 13),
        torch="2.9",
        sdk="2.31",
    ),
)


def target(name: str) -> Target:
    """Return a target by its name.

    Raises
    ------
    NeuronError
        No such target; the near one is suggested.

    Examples
    --------
    >>> target("inf2").package
    'torch_neuronx'
    """
    known = {item.name: item for item in TARGETS}
    if name not in known:
        raise NeuronError("neuron.unknown-target", given=name, near=suggest(name, known))
    return known[name]
