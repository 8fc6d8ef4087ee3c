"""Work in short steps on the kernel's own event loop, where others would start a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from inspect import GEN_RUNNING, getgeneratorstate
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipywidgets import Widget

    Work = Generator[object, None, object]

PAUSE = 0.005  # seconds between two steps, in which the kernel handles messages
PATIENCE = 0.25  # seconds that a message waits until it is handled, so that a slider's moves don't pile up


class Steps:
    """Runs a generator, a step at a time, on the event loop that runs where this is made.

    In Jupyter that is the kernel's. It goes on between cells and stands still while one runs, so that a
    step never meets the reader's code half-way; keep a step under 50 ms, because messages wait for it.
    Where no loop runs, `start` takes all steps at once.

    Parameters
    ----------
    failed
        Called with the exception that a step raised, which ends the work.

    Examples
    --------
    >>> steps = Steps(failed=print)
    >>> steps.start(print(number) for number in (1, 2))
    1
    2
    >>> steps.start(1 / number for number in (1, 0))
    division by zero
    >>> steps.running
    False

    Taught in notebook 02.
    """

    def __init__(self, failed: Callable[[Exception], object]) -> None:
        self._failed = failed
        self._work: Work | None = None
        self._closed = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    @property
    def running(self) -> bool:
        """True while there are steps to take."""
        return self._work is not None

    def start(self, work: Work, after: float = 0.0) -> None:
        """Begin with a generator in place of the one that runs.

        Parameters
        ----------
        work
            What to run; its values are not looked at.
        after
            Seconds to wait before the first step, in which a newer `start` takes its place.
        """
        self.cancel()
        if self._closed:
            return
        self._work = work
        if self._loop is not None and self._loop.is_running():
            # a reader's own button may call this in another thread, see handle_on_loop
            self._loop.call_soon_threadsafe(self._loop.call_later, after, self._go_on, work)
        else:
            self.finish()

    def cancel(self) -> None:
        """End the work where it stands."""
        work, self._work = self._work, None
        if work is not None and getgeneratorstate(work) != GEN_RUNNING:
            work.close()

    def close(self) -> None:
        """End the work, and begin none any more."""
        self._closed = True
        self.cancel()

    def finish(self, seconds: float = inf) -> None:
        """Take the steps that are left now, or as many as can be begun in some seconds."""
        end = monotonic() + seconds
        while (work := self._work) is not None and getgeneratorstate(work) != GEN_RUNNING and monotonic() < end:
            self._step(work)  # unless a step itself shows the widget

    def _go_on(self, work: Work) -> None:
        """Take a step on the loop, and let the next one follow; not if something else began or ended it."""
        if self._work is work and self._loop is not None:
            self._step(work)
            self._loop.call_later(PAUSE, self._go_on, work)

    def _step(self, work: Work) -> None:
        try:
            next(work)
        except Exception as error:  # noqa: BLE001, a model may raise anything; it is passed on
            if self._work is work:
                self._work = None
                if not isinstance(error, StopIteration):
                    self._failed(error)
        else:
            if self._work is not work:  # the step itself called `cancel` or `start`
                work.close()


def handle_on_loop(widget: Widget) -> None:
    """Let what a front end sends to a widget be handled on the loop that runs now, between cells.

    JupyterLab sends it to a subshell, a thread beside that of the cells, in which a view would be drawn
    while the reader's own code draws.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    cells = threading.current_thread()

    def receive(message: dict[str, Any]) -> None:
        handled = threading.Event()

        def handle() -> None:
            widget._handle_msg(message)  # noqa: SLF001, what ipywidgets gives its comm itself
            handled.set()

        if threading.current_thread() is cells:
            handle()
        else:
            loop.call_soon_threadsafe(handle)
            handled.wait(PATIENCE)

    widget.comm.on_msg(receive)
