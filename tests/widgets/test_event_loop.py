"""Steps on an event loop: what goes on between them, what replaces them, and what ends them."""

import asyncio
import threading
from collections.abc import Generator
from typing import Any

from ipywidgets import IntSlider

from tests.kinds import Until
from tsnb.widgets.event_loop import Steps, handle_on_loop


class Work:
    """Generators that note what became of them, and the errors that `Steps` passed on."""

    def __init__(self) -> None:
        self.notes: list[Any] = []
        self.steps = Steps(failed=self.notes.append)

    def count(self, name: str, most: int = 2) -> Generator[None, None, None]:
        try:
            for number in range(most):
                self.notes.append(f"{name}{number}")
                yield
        finally:
            self.notes.append(f"{name} ends")


def test_on_a_loop_the_cell_ends_first_and_others_run_between_the_steps() -> None:
    async def cell() -> list[Any]:
        work = Work()
        work.steps.start(work.count("a", 9))
        work.notes.append("cell ends")
        while work.steps.running:
            await asyncio.sleep(0.001)
            work.notes.append("other")
        return work.notes

    notes = asyncio.run(cell())
    assert notes[0] == "cell ends"
    assert notes.index("a0") < notes.index("other", notes.index("a0")) < notes.index("a8")


def test_a_newer_start_replaces_what_runs_and_what_waits(until: Until) -> None:
    async def cell() -> list[Any]:
        work = Work()
        work.steps.start(work.count("runs", 9**9))
        await until(lambda: work.notes)
        for name in ("waits", "new"):
            work.steps.start(work.count(name, 1), after=0.02)
        await until(lambda: not work.steps.running)
        return work.notes

    assert [note for note in asyncio.run(cell()) if "runs" not in note] == ["new0", "new ends"]


def test_an_error_in_a_step_is_passed_on_and_the_next_work_runs(until: Until) -> None:
    async def cell() -> None:
        work = Work()
        work.steps.start(1 / number for number in (1, 0, 2))
        await until(lambda: not work.steps.running)
        work.steps.start(work.count("next", 1))
        await until(lambda: not work.steps.running)
        [error, *rest] = work.notes
        assert isinstance(error, ZeroDivisionError)
        assert rest == ["next0", "next ends"]

    asyncio.run(cell())


def test_finish_takes_what_can_be_begun_in_its_time_and_nothing_runs_after_close() -> None:
    async def cell() -> list[Any]:
        work = Work()
        work.steps.start(work.count("long", 9**9), after=9)
        work.steps.finish(0.01)
        assert work.steps.running
        assert len(work.notes) > 1
        work.steps.start(work.count("short"))
        work.steps.finish()
        work.steps.start(work.count("waits"))
        work.steps.close()
        work.steps.start(work.count("late"))
        await asyncio.sleep(0.02)
        return work.notes

    assert asyncio.run(cell())[-4:] == ["long ends", "short0", "short1", "short ends"]


def test_what_a_subshell_sends_or_starts_runs_where_the_cells_run(until: Until) -> None:
    """JupyterLab sends what a hand does with a widget to a thread beside that of the cells."""
    threads: list[threading.Thread] = []

    def note(_: object = None) -> None:
        threads.append(threading.current_thread())

    async def cell() -> None:
        work, slider = Work(), IntSlider()
        slider.observe(note, "value")
        handle_on_loop(slider)
        data = {"method": "update", "state": {"value": 5}}
        await asyncio.to_thread(slider.comm.handle_msg, {"content": {"data": data}})
        assert slider.value == 5
        slider.comm.handle_msg({"content": {"data": {**data, "state": {"value": 6}}}})
        await asyncio.to_thread(work.steps.start, (item for item in map(note, [1])))
        await until(lambda: not work.steps.running)

    asyncio.run(cell())
    assert threads == [threading.main_thread()] * 3
