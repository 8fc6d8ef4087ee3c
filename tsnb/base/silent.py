"""Import packages that would report to their makers, so that they do not."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any
from unittest.mock import patch

MODULE = "openvino_telemetry"


def silently(name: str) -> Any:
    """Import a package without what it sends and keeps when it is imported, and return it.

    `import openvino` looks for a server of its makers and leaves an id in the home folder, unless its module for
    that is missing; ONNX Runtime keeps an id and a queue of events there, unless a variable says not to.

    >>> silently("json").dumps([])
    '[]'
    """
    modules: dict[str, Any] = sys.modules
    blocked = modules.setdefault(MODULE, None) is None  # one that is None cannot be imported
    try:
        with patch.dict(os.environ, ORT_DISABLE_TELEMETRY="1"):
            return import_module(name)
    finally:
        if blocked:
            del modules[MODULE]
