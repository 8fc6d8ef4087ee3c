"""Cores and memory that a container grants, with the kernel's files faked in a folder."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import psutil
import pytest
import torch

from tsnb.base import machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOTAL_MIB = psutil.virtual_memory().total / machine.MIB
V1 = "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


def fake(cgroup: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = cgroup / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return cgroup


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "50000 100000"}, 0.5),
        ({"cpu.max": "max 100000"}, math.inf),
        ({V1[0]: "150000\n", V1[1]: "100000"}, 1.5),
        ({V1[0]: "-1", V1[1]: "100000"}, math.inf),
        ({V1[0]: "100000"}, math.inf),
        ({"cpu.max": "300000 100000", V1[0]: "100000", V1[1]: "100000"}, 3),
        ({}, math.inf),
    ],
)
def test_the_quota_of_both_versions_of_control_groups(tmp_path: Path, files: dict[str, str], quota: float) -> None:
    assert machine.cpu_quota(fake(tmp_path, files)) == quota


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("150000", 2),
        ("10000", 1),
        ("1600000", 8),
        ("max", 8),
    ],  # rounded up, never none, no more than there are
)
def test_usable_cores_follow_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert machine.usable_cores(fake(tmp_path, {"cpu.max": f"{quota} 100000"})) == cores


def test_usable_cores_where_the_system_has_no_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.usable_cores(tmp_path) == 1


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_the_containers_limit_or_the_machines(tmp_path: Path, name: str) -> None:
    assert machine.memory_limit(tmp_path) == pytest.approx(TOTAL_MIB)
    assert machine.memory_limit(fake(tmp_path, {name: f"{64 * machine.MIB}\n"})) == 64
    assert machine.memory_limit(fake(tmp_path, {name: "9223372036854771712"})) == pytest.approx(TOTAL_MIB)


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cores", "variable", "more"), [(1, None, False), (9, None, True), (1, "3", True)])
def test_threads_are_never_raised_and_the_readers_choice_stands(
    monkeypatch: pytest.MonkeyPatch, threads: int, cores: int, variable: str | None, *, more: bool
) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    torch.set_num_threads(threads + 1)
    machine.respect_quota()
    assert torch.get_num_threads() == (threads + 1 if more else cores)
