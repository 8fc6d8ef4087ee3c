"""Put on a kernel's PYTHONPATH: refuses every socket but loopback's, and notes what was refused."""

import os
import sys
from pathlib import Path
from typing import Any

LOCAL = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "", None}


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in {"socket.connect", "socket.getaddrinfo"}:
        return
    socket_or_host, address, *_ = arguments
    host = socket_or_host
    if event == "socket.connect":
        host = address[0] if isinstance(address, tuple) else None  # a path: a Unix socket
    if (host.decode() if isinstance(host, bytes) else host) not in LOCAL:
        with Path(os.environ["TSNB_REFUSED"]).open("a", encoding="utf-8") as log:
            log.write(f"{event} {host!r}\n")
        raise PermissionError(f"no network in this test: {event} {host!r}")


sys.addaudithook(_refuse)
