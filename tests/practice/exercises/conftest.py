"""Answers, and what the checks say about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tsnb import checks

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def said() -> Callable[[str, Any], tuple[str, str | None]]:
    """Return kind and mistake of the feedback on an answer."""

    def check(name: str, answer: Any) -> tuple[str, str | None]:
        found = checks.check(name, answer)
        assert found.text
        return found.kind, found.mistake

    return check
