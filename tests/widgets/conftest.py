"""What tests of several widgets wait for."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], object]], Awaitable[int]]:
    """Wait on a loop until something is true, as a kernel does between cells; return how often it looked."""

    async def wait(condition: Callable[[], object]) -> int:
        looks = 0
        while not condition():
            await asyncio.sleep(0.001)
            looks += 1
        return looks

    return wait
