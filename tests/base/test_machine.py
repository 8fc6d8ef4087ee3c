"""Cores and memory that a container grants, with the kernel's files faked in a folder."""

import math
import os
from pathlib import Path

import psutil
import pytest

from tests.kinds import MonkeyPatch
from tsnb.base import machine

TOTAL_MIB = psutil.virtual_memory().total / machine.MIB
V1 = "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


def fake(cgroup: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = cgroup / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return cgroup


@pytest.mark.parametrize(
    ("files", "quota", "cores"),
    [
        ({"cpu.max": "10000 100000"}, 0.1, 1),
        ({"cpu.max": "max 100000"}, math.inf, 8),
        ({V1[0]: "150000\n", V1[1]: "100000"}, 1.5, 2),
        ({V1[0]: "-1", V1[1]: "100000"}, math.inf, 8),
        ({}, math.inf, 8),
    ],
)
def test_usable_cores_follow_the_quota_of_both_versions_of_control_groups(
    tmp_path: Path, monkeypatch: MonkeyPatch, files: dict[str, str], quota: float, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    cgroup = fake(tmp_path, files)
    assert (machine.cpu_quota(cgroup), machine.usable_cores(cgroup)) == (quota, cores)


def test_usable_cores_where_the_system_has_no_affinity(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.usable_cores(tmp_path) == 1


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_the_containers_limit_or_the_machines(tmp_path: Path, name: str) -> None:
    assert machine.memory_limit(tmp_path) == pytest.approx(TOTAL_MIB)
    assert machine.memory_limit(fake(tmp_path, {name: f"{64 * machine.MIB}\n"})) == 64
    assert machine.memory_limit(fake(tmp_path, {name: "9223372036854771712"})) == pytest.approx(TOTAL_MIB)


@pytest.mark.parametrize(("quota", "variable", "threads"), [(2.0, None, "2"), (2.0, "3", "3"), (math.inf, None, None)])
def test_the_quota_is_respected_where_the_reader_has_not_chosen(
    monkeypatch: MonkeyPatch, quota: float, variable: str | None, threads: str | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable or "")
    if variable is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(machine, "cpu_quota", lambda *_: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    machine.respect_quota()
    assert os.environ.get("OMP_NUM_THREADS") == threads
