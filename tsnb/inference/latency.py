"""How long a model takes on this machine, measured and never guessed. Taught in notebook 02."""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakSet

import psutil

from tsnb.base.errors import InputError
from tsnb.base.machine import MIB, memory_limit, respect_quota
from tsnb.tracing.contract import Contract
from tsnb.tracing.inputs import parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

    Checkpoint = Callable[[], None]

Key = TypeVar("Key")
Found = TypeVar("Found")

REPEATS = 5
WARM_UP = 3  # TorchScript profiles its first run at a shape and compiles in its second
LAST_WAIT = 10.0  # seconds that the end of Python waits for a run to finish
QUIET = 0.3  # seconds without a newer request, until one is worth measuring
FLOAT_BYTES = 4
TOKEN_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Latency:
    """How long one run takes; prints in milliseconds.

    Attributes
    ----------
    median
        The middle of the timed runs, in seconds.
    spread
        Their interquartile range, in seconds.
    repeats
        How many runs were timed.
    """

    median: float
    spread: float
    repeats: int

    def __str__(self) -> str:
        middle, spread = milliseconds(self.median), milliseconds(self.spread, digits=2)
        return f"{middle} ms a batch, median of {self.repeats}, spread {spread} ms"


class SupersededError(Exception):
    """A newer request came, so that nobody waits for this one any more."""


class Newest(Generic[Key, Found]):
    """Find things in the background, one at a time, and only what was asked for last.

    A request waits until none has followed it for a while; a newer one, or `close`, ends the search
    at its next checkpoint. The thread is a daemon, and ends when there is nothing to do.

    Parameters
    ----------
    find
        Called in the background with what was asked for and a checkpoint: a function to call
        between steps, which raises where the search is no longer wanted.
    tell
        Called in the background with what was asked for, and what was found or the error raised;
        never after `close`.
    quiet
        How long a request waits for a newer one, in seconds.

    Examples
    --------
    >>> halves = Newest(lambda number, checkpoint: number / 2, print, quiet=0)
    >>> halves.ask(6)
    >>> halves.join()
    6 3.0
    >>> halves.close()

    Taught in notebook 02.
    """

    def __init__(
        self,
        find: Callable[[Key, Checkpoint], Found],
        tell: Callable[[Key, Found | Exception], None],
        quiet: float = QUIET,
    ) -> None:
        self._find, self._tell, self._quiet = find, tell, quiet
        self._changed = threading.Condition()
        self._wanted: Key | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        _LIVING.add(self)

    def ask(self, key: Key) -> None:
        """Ask for something in place of whatever was asked for before; returns at once."""
        with self._changed:
            if self._closed:
                return
            self._wanted = key
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="tsnb", daemon=True)
                self._thread.start()

    def forget(self) -> None:
        """Drop a request that has not been begun; there is nothing newer to take its place."""
        with self._changed:
            self._wanted = None
            self._changed.notify_all()

    def close(self) -> None:
        """End it: nothing is told any more, whatever is being found."""
        with self._changed:
            self._closed = True
            self.forget()

    def join(self, timeout: float | None = None) -> None:
        """Wait until there is nothing to do."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _work(self) -> None:
        while (key := self._next()) is not None:
            try:
                found: Found | Exception = self._find(key, self._checkpoint)
            except SupersededError:
                continue
            except Exception as error:  # noqa: BLE001, a model may raise anything; it is told
                found = error
            with self._changed:
                if not self._closed:
                    self._tell(key, found)

    def _next(self) -> Key | None:
        """Wait until a request is the last one for a while; return none where nothing is wanted."""
        with self._changed:
            while self._wanted is not None and self._changed.wait(self._quiet):
                pass  # a newer request: wait again
            key, self._wanted = self._wanted, None
            if key is None:
                self._thread = None
            return key

    def _checkpoint(self) -> None:
        if self._closed or self._wanted is not None:
            raise SupersededError


_LIVING: WeakSet[Newest[Any, Any]] = WeakSet()


@atexit.register
def close_all() -> None:
    """End every search: a thread inside torch when Python ends would take the process down."""
    for newest in list(_LIVING):
        newest.close()
        newest.join(LAST_WAIT)


def measure_latency(run: Callable[[], object], repeats: int = REPEATS, warm_up: int = WARM_UP) -> Latency:
    """Time a run several times, after runs that are not timed.

    Parameters
    ----------
    run
        What is timed; called `warm_up + repeats` times.
    repeats
        Timed runs, at least two.
    warm_up
        Runs that are not timed, in which memory is allocated and TorchScript compiles.

    Returns
    -------
    Latency
        Median and interquartile range in seconds.

    Raises
    ------
    InputError
        Fewer than two repeats, which have no spread.

    Examples
    --------
    >>> measure_latency(lambda: sum(range(1000)), repeats=4).repeats
    4

    Taught in notebook 02.
    """
    if repeats < 2:  # noqa: PLR2004, the fewest that have quartiles
        raise InputError(f"repeats must be at least 2, so that there is a spread; got {repeats}.")
    for _ in range(warm_up):
        run()
    seconds = [timed(run) for _ in range(repeats)]
    first, _, third = quantiles(seconds, n=4, method="inclusive")
    return Latency(median(seconds), third - first, repeats)


def shape_latency(
    shape: Shape,
    checkpoint: Checkpoint = lambda: None,
    *,
    model: nn.Module | None = None,
    traced: Traced | None = None,
    repeats: int = REPEATS,
) -> Latency:
    """Measure a trace, or else a model, on random token ids of one shape.

    Parameters
    ----------
    shape
        `(batch, length)`.
    checkpoint
        Called before each run; may raise to end the measurement.
    model, traced
        What to run; the trace where both are given.
    repeats
        Timed runs.

    Raises
    ------
    InputError
        Neither a model nor a trace, or a shape that may need more memory than there is.

    Examples
    --------
    >>> import tsnb
    >>> model, _ = tsnb.load("tiny-bert")
    >>> shape_latency((1, 8), model=model).median > 0
    True

    Taught in notebook 02.
    """
    import torch

    respect_quota()
    run = _run(shape, model, traced)

    def checked() -> None:
        checkpoint()
        run()

    with torch.inference_mode():
        return measure_latency(checked, repeats)


def timed(run: Callable[[], object]) -> float:
    """Run once and return the seconds it took.

    >>> timed(lambda: None) < 1
    True
    """
    start = perf_counter()
    run()
    return perf_counter() - start


def milliseconds(seconds: float, digits: int = 3) -> str:
    """Return seconds as milliseconds in a few significant digits, never in powers of ten.

    >>> milliseconds(0.0123456), milliseconds(1.5), milliseconds(0.00008, digits=2)
    ('12.3', '1,500', '0.08')
    """
    value = 1000 * seconds
    return f"{value:,.0f}" if value >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def _run(shape: Shape, model: Any, traced: Traced | None) -> Callable[[], object]:
    """Make inputs of a shape and return a function that runs the trace or the model on them."""
    from tsnb.tracing.samples import sample_inputs

    module: Any = traced.module if traced else model
    if module is None:
        raise InputError("There is nothing to measure. Give a model or a trace.")
    _check_memory(module, *shape)
    contract = traced.contract if traced else _contract(model)
    inputs = sample_inputs(contract, model or module, shape, padded=False)
    if traced:
        return lambda: module(*inputs.values())
    return lambda: module(**inputs)


def _contract(model: nn.Module) -> Contract:
    """Return as much of a contract as inputs are drawn by, for a model that was not traced."""
    names = tuple(name for name in TOKEN_INPUTS if name in parameters(model))
    pad = getattr(getattr(model, "config", None), "pad_token_id", None)
    return Contract(names, pad_token_id=pad)


def _check_memory(module: nn.Module, batch: int, length: int) -> None:
    """Refuse a shape whose widest layer's output, twice, takes over half of the memory there is.

    A language model's head makes `batch × length × vocabulary` numbers, which can end a kernel.
    """
    sizes = [len(parameter) for parameter in module.parameters() if parameter.ndim == 1]
    needed = 2 * FLOAT_BYTES * batch * length * max(sizes, default=1) / MIB
    available = min(memory_limit(), psutil.virtual_memory().available / MIB)
    if needed > available / 2:
        gaps = {"needed": f"{needed:,.0f}", "available": f"{available:,.0f}"}
        raise InputError("widgets.memory", **gaps)
