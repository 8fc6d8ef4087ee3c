"""Run somebody's code with a limit on its time, in the thread that it belongs to."""

from __future__ import annotations

import _thread
import signal
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

T = TypeVar("T")
AGAIN = 0.2  # seconds from one interruption to the next, where the code caught the first


class TimeUp(BaseException):
    """The code ran for longer than it may."""


def limited(call: Callable[[], T], seconds: float) -> T:
    """Call a function, and stop it where it takes longer than some seconds.

    It runs in this thread, so that tensors, figures and widgets are where they should be. A timer
    sends it what Ctrl-C would; the reader's own Ctrl-C keeps its meaning. Code that is inside one
    long operation of torch is stopped after it. There is no limit in another thread than the main
    one.

    Parameters
    ----------
    call
        What to run.
    seconds
        How long it may take.

    Raises
    ------
    TimeUp
        It took longer.

    Examples
    --------
    >>> limited(lambda: 2 + 3, seconds=1)
    5
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    watch = _Watch(seconds)
    try:
        watch.start()
        return call()
    finally:
        watch.stop()


class _Watch:
    """A timer thread, and the handler of the signal that it sends."""

    def __init__(self, seconds: float) -> None:
        self.sent = self.over = False
        self.stopping, self.main = threading.Event(), threading.get_ident()
        self.thread = threading.Thread(target=self._interrupt, args=(seconds,), daemon=True)

    def start(self) -> None:
        self.before = signal.signal(signal.SIGINT, self._handle)
        self.thread.start()

    def stop(self) -> None:
        """Send nothing more; only then may the signal mean what it meant before."""
        self.over = True  # before any call, in which a signal could land
        try:
            self.stopping.set()
            self.thread.join()
        finally:
            signal.signal(signal.SIGINT, self.before)

    def _interrupt(self, seconds: float) -> None:
        while not self.stopping.wait(seconds):
            self.sent, seconds = True, AGAIN
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(self.main, signal.SIGINT)  # wakes what sleeps or waits, too
            else:  # Windows
                _thread.interrupt_main()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.sent:
            if callable(self.before):
                self.before(number, frame)
            return
        self.sent = False
        here = frame is not None and frame.f_globals is globals()  # on the way to stop()
        if not (here or self.over):
            raise TimeUp
