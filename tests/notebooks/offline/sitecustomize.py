"""Put on a kernel's PYTHONPATH: refuses every socket but loopback's, and notes what was refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LOCAL = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "", None}


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path: a Unix socket
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host in LOCAL or (isinstance(host, bytes) and host.decode() in LOCAL):
        return
    with Path(os.environ["TSNB_REFUSED"]).open("a", encoding="utf-8") as log:
        log.write(f"{event} {host!r}\n")
    message = f"no network in this test: {event} {host!r}"
    raise PermissionError(message)


sys.addaudithook(_refuse)
