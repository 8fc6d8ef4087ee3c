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


def fake(cgroup: Path, **files: str) -> Path:
    for name, text in files.items():
        path = cgroup / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return cgroup


def fake_v1_quota(cgroup: Path, quota: int, period: int = 100_000) -> Path:
    quotas = {"cpu__cpu_dot_cfs_quota_us": f"{quota}\n", "cpu__cpu_dot_cfs_period_us": f"{period}"}
    return fake(cgroup, **quotas)


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("text", "quota"),
    [("200000 100000", 2.0), ("50000 100000", 0.5), ("max 100000", math.inf), ("", math.inf)],
)
def test_quota_of_version_2(tmp_path: Path, text: str, quota: float) -> None:
    assert machine.cpu_quota(fake(tmp_path, cpu_dot_max=text)) == quota


@pytest.mark.parametrize(("quota", "cores"), [(150_000, 1.5), (-1, math.inf), (0, math.inf)])
def test_quota_of_version_1(tmp_path: Path, quota: int, cores: float) -> None:
    assert machine.cpu_quota(fake_v1_quota(tmp_path, quota)) == cores


def test_version_2_wins_where_both_are_mounted(tmp_path: Path) -> None:
    fake_v1_quota(tmp_path, 100_000)
    assert machine.cpu_quota(fake(tmp_path, cpu_dot_max="300000 100000")) == 3


def test_no_quota_without_files(tmp_path: Path) -> None:
    assert machine.cpu_quota(tmp_path) == math.inf


def test_quota_without_its_period_counts_as_none(tmp_path: Path) -> None:
    fake(tmp_path, cpu__cpu_dot_cfs_quota_us="100000")
    assert machine.cpu_quota(tmp_path) == math.inf


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("100000 100000", 1),
        ("150000 100000", 2),  # rounded up: a core and a half keeps two threads busy
        ("10000 100000", 1),  # never none
        ("1600000 100000", 8),  # a quota beyond the cores grants no more of them
        ("max 100000", 8),
    ],
)
def test_usable_cores_follow_the_quota(tmp_path: Path, text: str, cores: int) -> None:
    assert machine.usable_cores(fake(tmp_path, cpu_dot_max=text)) == cores


def test_usable_cores_follow_the_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    assert machine.usable_cores(tmp_path) == 1


def test_usable_cores_where_the_system_has_no_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert machine.usable_cores(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.usable_cores(tmp_path) == 1


@pytest.mark.parametrize("name", ["memory_dot_max", "memory__memory_dot_limit_in_bytes"])
def test_memory_limit_of_both_versions(tmp_path: Path, name: str) -> None:
    limit = 64 * machine.MIB
    assert machine.memory_limit(fake(tmp_path, **{name: f"{limit}\n"})) == 64


@pytest.mark.parametrize("text", ["max", "9223372036854771712"])
def test_memory_without_a_limit_is_the_machine_s(tmp_path: Path, text: str) -> None:
    assert machine.memory_limit(fake(tmp_path, memory_dot_max=text)) == pytest.approx(TOTAL_MIB)


def test_memory_without_files_is_the_machine_s(tmp_path: Path) -> None:
    assert machine.memory_limit(tmp_path) == pytest.approx(TOTAL_MIB)


def test_respect_quota_lowers_torch_s_threads(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    torch.set_num_threads(threads + 1)
    machine.respect_quota()
    assert torch.get_num_threads() == 1


def test_respect_quota_never_raises_the_number(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "usable_cores", lambda: threads + 7)
    torch.set_num_threads(1)
    machine.respect_quota()
    assert torch.get_num_threads() == 1


def test_respect_quota_leaves_the_reader_s_choice(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    torch.set_num_threads(threads + 1)
    machine.respect_quota()
    assert torch.get_num_threads() == threads + 1
