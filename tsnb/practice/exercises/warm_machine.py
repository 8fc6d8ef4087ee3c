"""A machine whose time passes only in the calls of its candidates, so that a race can be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Run = Callable[[Sequence[str]], torch.Tensor]

READING = 1e-6  # seconds that a look at the clock takes, so that no loop waits for ever
WARMER = 0.015  # of a candidate's time, that each call of the machine adds to those after it
DISTURBED, DISTURBANCE = 5, 1.0  # every fifth call takes so many seconds more
ROUNDS = 5
REFERENCE, ROUNDED = "eager", "rounded"
SECONDS = {REFERENCE: 0.30, "trace": 0.24, "planned": 0.12, ROUNDED: 0.06}
FIRST = {REFERENCE: (0.2,), "trace": (1.5, 2.5), "planned": (1.5, 2.5), ROUNDED: (0.2,)}
ERRORS = {REFERENCE: 0.0, "trace": 3e-6, "planned": 5e-6, ROUNDED: -0.02}  # of the results


def naive(
    candidates: Mapping[str, Run], texts: Sequence[str], clock: Callable[[], float]
) -> dict[str, float]:
    """Race as the starter of the exercise does, which fools itself in four ways.

    >>> machine = Machine()
    >>> seconds = naive(machine.candidates(), ["a text"], machine.clock)
    >>> seconds["trace"] > seconds["eager"]
    True
    """
    seconds = {}
    for name, run in candidates.items():
        start = clock()
        for _ in range(ROUNDS):
            run(texts)
        seconds[name] = (clock() - start) / ROUNDS
    return seconds


class Machine:
    """Four candidates and their clock; every call is noted.

    Attributes
    ----------
    now
        Seconds since the machine was started.
    calls
        Who ran, and for how many seconds, in order.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, float]] = []

    def clock(self) -> float:
        """Return the seconds since the machine was started.

        >>> machine = Machine()
        >>> before = machine.clock()
        >>> scores = machine.candidates()["eager"](["a text"])
        >>> round(machine.clock() - before, 3)
        0.5
        """
        self.now += READING
        return self.now

    def candidates(self) -> dict[str, Run]:
        """Return what runs each candidate, the reference first."""
        return {name: self._candidate(name) for name in SECONDS}

    def taken(self, name: str) -> list[float]:
        """Return the seconds of a candidate's calls, in order."""
        return [seconds for held, seconds in self.calls if held == name]

    def _candidate(self, name: str) -> Run:
        def run(texts: Sequence[str]) -> torch.Tensor:
            seconds = self._seconds(name)
            self.now += seconds
            self.calls.append((name, seconds))
            return torch.linspace(0.1, 0.9, max(len(texts), 1)) + ERRORS[name]

        return run

    def _seconds(self, name: str) -> float:
        """Return what the next call takes: its own time, the first calls' and the machine's."""
        before, mine = len(self.calls), len(self.taken(name))
        first = FIRST[name][mine] if mine < len(FIRST[name]) else 0.0
        disturbed = DISTURBANCE if before % DISTURBED == DISTURBED - 1 else 0.0
        return SECONDS[name] * (1 + WARMER * before) + first + disturbed
