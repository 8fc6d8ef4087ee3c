"""What the tying view shows: a model's weights as they are, and those of an untied copy."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from traitlets import Bool, HasTraits

from tsnb.models.tying import TiedPair, TyingReport, tying, untie
from tsnb.tracing.traced import checked_module

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Seen:
    """A report with the storage addresses that it was made from, by the names of the weights."""

    report: TyingReport
    addresses: dict[str, int]


class TyingState(HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """Whether the model or an untied copy of it is shown; prints as the report on it.

    Parameters
    ----------
    model
        Any module; it is never changed.

    Attributes
    ----------
    untied
        A trait: whether the untied copy is shown.

    Raises
    ------
    InputError
        What was given is no module.

    Examples
    --------
    >>> import tsnb
    >>> state = TyingState(tsnb.load("tiny-bert")[0])
    >>> state.report.pairs[0].tied
    True
    >>> state.untied = True
    >>> state.report.pairs[0].tied
    False
    """

    untied = Bool(False)

    def __init__(self, model: nn.Module, *, untied: bool = False) -> None:
        super().__init__(untied=untied)
        self.model = checked_module(model)

    @property
    def report(self) -> TyingReport:
        """The pairs of what is shown; an untied copy has those of the model, now apart."""
        return (self._after if self.untied else self._before).report

    @property
    def addresses(self) -> dict[str, int]:
        """The storage address of each weight in the report."""
        return (self._after if self.untied else self._before).addresses

    @property
    def bytes(self) -> int:
        """What the weights in the report take, each storage counted once."""
        addresses = self.addresses
        pairs = self.report.pairs
        held = {addresses[name]: pair.bytes for pair in pairs for name in (pair.first, pair.second)}
        return sum(held.values())

    @property
    def can_untie(self) -> bool:
        """Whether there is something for `tsnb.untie` to take apart; it leaves biases tied."""
        return any(pair.second.endswith("weight") for pair in self._before.report.tied)

    def __str__(self) -> str:
        return str(self.report)

    @cached_property
    def _before(self) -> Seen:
        return _see(self.model, tying(self.model).pairs)

    @cached_property
    def _after(self) -> Seen:
        """What became of the model's pairs in a copy; the copy itself is let go again."""
        return _see(untie(deepcopy(self.model)), self._before.report.pairs)


def _see(model: nn.Module, pairs: tuple[TiedPair, ...]) -> Seen:
    """Look at the addresses of named weights, and at which pairs share one."""
    named = dict(model.named_parameters(remove_duplicate=False))
    names = dict.fromkeys(name for pair in pairs for name in (pair.first, pair.second))
    at = {name: named[name].untyped_storage().data_ptr() for name in names}
    seen = (replace(pair, tied=at[pair.first] == at[pair.second]) for pair in pairs)
    return Seen(TyingReport(tuple(seen)), at)
