"""Which weights of a model share storage, and how to take them apart. Taught in notebook 01."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

from tsnb.base.palette import BLUE, ORANGE

if TYPE_CHECKING:
    from torch import nn

    Named = Mapping[str, nn.Parameter]

Module = TypeVar("Module", bound="nn.Module")


@dataclass(frozen=True)
class TiedPair:
    """Two parameters that are one tensor, or would be without the `torchscript` flag.

    Attributes
    ----------
    first, second
        The names of the parameters in the model.
    tied
        Whether both lie at the same storage address.
    bytes
        Size of one of the two: what taking them apart costs.
    """

    first: str
    second: str
    tied: bool
    bytes: int

    def __str__(self) -> str:
        if self.tied:
            return f"tied   {self.first} = {self.second} ({self.bytes:,} bytes, held once)"
        return f"apart  {self.first} | {self.second} ({self.bytes:,} bytes, held twice)"


@dataclass(frozen=True)
class TyingReport:
    """Every pair of weights that is tied or could be; prints as text, shows as boxes to scale.

    Attributes
    ----------
    pairs
        A `TiedPair` each.
    addresses
        Where the storage of each of their weights begins, by name.
    """

    pairs: tuple[TiedPair, ...]
    addresses: Mapping[str, int]

    @property
    def tied(self) -> tuple[TiedPair, ...]:
        """The pairs that share storage now."""
        return tuple(pair for pair in self.pairs if pair.tied)

    def __str__(self) -> str:
        return (
            "\n".join(map(str, self.pairs)) or "No weights are shared, and there is no output embedding that could be."
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return a box a tensor, as wide as its bytes, below every name it has."""
        tensors: dict[str, list[str]] = {}
        sizes = {name: pair.bytes for pair in self.pairs for name in (pair.first, pair.second)}
        for pair in self.pairs:
            tensors.setdefault(pair.first, [pair.first])
            tensors.setdefault(pair.first if pair.tied else pair.second, []).append(pair.second)
        if not tensors:
            return f"<p>{self}</p>"
        boxes = []
        for first, names in tensors.items():
            label = f"{sizes[first]:,} bytes at …{self.addresses[first] & 0xFFFFFF:06x}, names: {len(names)}"
            colour = BLUE if len(names) > 1 else ORANGE
            width = 60 * sizes[first] / max(sizes.values())
            box = f"width: {width:.2f}%; min-width: 1px; border: 1px solid; background: {colour}73"
            boxes.append(
                f"<div style='margin: 0.4em 0'>{'<br>= '.join(map(escape, names))}"
                "<div style='display: flex; align-items: center; gap: 0.6em'>"
                f"<span style='{box}; height: 1em; flex: none'></span>{label}</div></div>"
            )
        total = sum(sizes[first] for first in tensors)
        return f"{''.join(boxes)}<p>These weights take {total:,} bytes.</p>"


def tying(model: nn.Module) -> TyingReport:
    """Report which weights of a model share storage.

    Looks at storage addresses, not at the configuration. Besides the pairs that share storage, the
    report names the input and output embeddings where the model has both and they are apart.

    Parameters
    ----------
    model
        Any module; a Transformers model also tells which embeddings are meant to be tied.

    Returns
    -------
    TyingReport
        Pairs in the order of the model's parameters.

    Examples
    --------
    >>> import tsnb
    >>> model, _ = tsnb.load("tiny-bert", head="masked-lm")
    >>> print(tsnb.tying(model).pairs[0].tied)
    True

    Taught in notebook 01.
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    pairs = {(names[0], name): True for names in _by_storage(named) for name in names[1:]}
    ends = [getattr(embeddings(model, side), "weight", None) for side in ("input", "output")]
    names = [[name for name, weight in named.items() if weight is end] for end in ends]
    first, last = names[0][:1], names[1][-1:]
    if first and last and first != last:
        pairs.setdefault((first[0], last[0]), False)
    return TyingReport(
        tuple(TiedPair(*pair, tied, named[pair[0]].nbytes) for pair, tied in pairs.items()),
        {name: named[name].untyped_storage().data_ptr() for pair in pairs for name in pair},
    )


def untie(model: Module) -> Module:
    """Give every tied weight a copy of its own, as the `torchscript` flag does, on a live model.

    Works in place. Biases stay as they are, because the flag leaves them too. Do not train the
    model afterwards: the copies would drift apart.

    Parameters
    ----------
    model
        Any module.

    Returns
    -------
    nn.Module
        The same model.

    Examples
    --------
    >>> import tsnb
    >>> model, _ = tsnb.load("tiny-bert", head="masked-lm")
    >>> [pair.tied for pair in tsnb.tying(tsnb.untie(model)).pairs if "weight" in pair.first]
    [False]

    Taught in notebook 01.
    """
    from torch import nn

    for names in _by_storage(dict(model.named_parameters(remove_duplicate=False))):
        for name in names[1:]:
            if name.endswith("weight"):
                owner, _, attribute = name.rpartition(".")
                module = model.get_submodule(owner)
                weight = module.get_parameter(attribute)
                setattr(module, attribute, nn.Parameter(weight.detach().clone(), weight.requires_grad))
    return model


def embeddings(model: nn.Module, side: str) -> Any:
    """Return the embeddings that a model names, if it does; one with two encoders may not.

    Parameters
    ----------
    side
        `"input"` or `"output"`.
    """
    try:
        return getattr(model, f"get_{side}_embeddings", lambda: None)()
    except NotImplementedError:
        return None


def _by_storage(named: Named) -> list[list[str]]:
    """Return the groups of names that share a storage, each with two names or more."""
    groups: dict[int, list[str]] = {}
    for name, parameter in named.items():
        groups.setdefault(parameter.untyped_storage().data_ptr(), []).append(name)
    return [names for address, names in groups.items() if address and len(names) > 1]
