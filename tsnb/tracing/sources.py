"""Which line of a model's own code a traceback of TorchScript means."""

from __future__ import annotations

import linecache
import re
from itertools import takewhile

FRAME = re.compile(r"^(?P<file>\S.*?)\((?P<line>\d+)\): (?P<function>\S+)$", re.MULTILINE)
TORCH = re.compile(r"-packages[/\\]torch[/\\]")
TRACER = re.compile(r"[/\\]torch[/\\]jit[/\\]_trace\.py$")


def innermost(text: str) -> tuple[str, str]:
    """Return the innermost line of the model's own code in a traceback, and that line of code.

    >>> innermost("no traceback")
    ('', '')
    """
    inside = takewhile(lambda found: not TRACER.search(found["file"]), FRAME.finditer(text))
    frames = list(inside)
    own = [found for found in frames if not TORCH.search(found["file"])]
    for found in own[:1] or frames[:1]:
        line = linecache.getline(found["file"], int(found["line"])).strip()
        return f"{found['file']}:{found['line']}", line
    return "", ""
