"""What this process may use of the machine: cores by the container's quota, memory by its limit."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
MIB = 2**20


def return_memory() -> None:
    """Give freed memory back to the system, which the C library of Linux would keep: 50 MiB after a small model.

    >>> return_memory()
    """
    gc.collect()  # a trace is in circles of references
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, such as musl
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _numbers(path: Path) -> list[float]:
    """Return the numbers of a control-group file; `max` counts as infinite, no file as none."""
    try:
        words = path.read_text(encoding="ascii").split()
    except OSError:
        return []
    return [math.inf if word == "max" else float(word) for word in words]


def cpu_quota(cgroup: Path = CGROUP) -> float:
    """Return how many cores the container may use; infinity where nothing limits it.

    Reads `cpu.max` (cgroup v2) or `cpu.cfs_quota_us` and `cpu.cfs_period_us` (v1), the quota in
    microseconds of CPU time per period (Linux kernel, Documentation/admin-guide/cgroup-v2.rst).

    Examples
    --------
    >>> cpu_quota() > 0
    True
    """
    first = _numbers(cgroup / "cpu.max") or [
        *_numbers(cgroup / "cpu/cpu.cfs_quota_us"),
        *_numbers(cgroup / "cpu/cpu.cfs_period_us"),
    ]
    if len(first) != 2 or first[0] <= 0:  # noqa: PLR2004, a quota and a period
        return math.inf
    return first[0] / first[1]


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Return the number of threads worth starting: at least one.

    The smaller of the cores this process may be scheduled on and the container's quota, rounded up.

    Examples
    --------
    >>> 1 <= usable_cores() <= os.cpu_count()
    True
    """
    scheduled = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(scheduled, cpu_quota(cgroup))))


def memory_limit(cgroup: Path = CGROUP) -> float:
    """Return how many MiB this process may use: the container's limit or the machine's memory."""
    limits = _numbers(cgroup / "memory.max") or _numbers(cgroup / "memory/memory.limit_in_bytes")
    return min([*limits, float(psutil.virtual_memory().total)]) / MIB


def respect_quota() -> None:
    """Set OMP_NUM_THREADS to the container's quota, unless it is set; call it before torch is loaded.

    torch counts the cores of the host, so that in a container with a quota its threads wait for each
    other. The command `tsnb` calls this for itself and the kernels that it starts; in a reader's own
    kernel nothing is changed, and `tsnb.doctor` tells what to do.
    """
    if cpu_quota() < math.inf:
        os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))


def processor_name() -> str:
    """Return the processor's name, as Linux has it; elsewhere what Python knows.

    >>> bool(processor_name())
    True
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
