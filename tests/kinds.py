"""The types of what many tests take: fixtures of `conftest.py`, and two of pytest's own."""

from collections.abc import Callable
from typing import Any

import pytest

import tsnb

Load = Callable[..., tuple[Any, Any]]
Traces = Callable[..., tsnb.Traced]
Python = Callable[..., str]
Until = Callable[..., Any]
Machine = Callable[..., None]
MonkeyPatch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]
