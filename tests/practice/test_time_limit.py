"""Code that takes too long is stopped, whatever it is doing; Ctrl-C keeps its meaning."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tsnb.practice.time_limit import TimeUp, limited


def forever() -> None:
    while True:
        pass


def deaf() -> None:
    """Swallow the first interruptions, as a bare `except` would."""
    for _ in range(3):
        try:
            forever()
        except BaseException:  # noqa: BLE001, that is the mistake
            continue
    forever()


def asleep() -> None:
    time.sleep(60)


def waiting() -> None:
    threading.Event().wait(60)


@pytest.mark.parametrize("call", [forever, deaf, asleep, waiting])
def test_it_is_stopped(call: object) -> None:
    begun = time.perf_counter()
    with pytest.raises(TimeUp):
        limited(call, seconds=0.1)  # type: ignore[arg-type]
    assert 0.1 <= time.perf_counter() - begun < 30


def test_what_is_quick_returns_and_raises_as_ever() -> None:
    assert limited(lambda: 5, seconds=10) == 5
    with pytest.raises(ZeroDivisionError):
        limited(lambda: 1 // 0, seconds=10)


def test_the_handler_is_what_it_was_and_nothing_is_sent_later() -> None:
    before = signal.getsignal(signal.SIGINT)
    for _ in range(50):  # ends now before the limit, now after it
        with suppress(TimeUp):
            limited(lambda: time.sleep(0.01), seconds=0.01)
        assert signal.getsignal(signal.SIGINT) is before
    assert not [thread for thread in threading.enumerate() if "_interrupt" in thread.name]
    sum(range(100_000))  # a signal that came late would land here


def test_ctrl_c_is_ctrl_c() -> None:
    def pressed() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        forever()

    with pytest.raises(KeyboardInterrupt):
        limited(pressed, seconds=60)


def test_an_ignored_ctrl_c_stays_ignored_and_the_limit_works() -> None:
    def pressed() -> str:
        _thread.interrupt_main()
        return "on"

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert limited(pressed, seconds=60) == "on"
        with pytest.raises(TimeUp):
            limited(forever, seconds=0.1)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_has_no_limit() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(limited, lambda: time.sleep(0.05), 0.01).result() is None


def test_it_is_no_exception_that_code_may_catch() -> None:
    assert not issubclass(TimeUp, Exception)
