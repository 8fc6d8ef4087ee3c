"""No damage crashes the process or gives wrong numbers, and no kill costs a file."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tests.artifacts import damages
from tests.artifacts.test_save import example
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Fates = list[dict[str, str]]

KILLS = """
import hashlib, os, random, signal, sys, time
from pathlib import Path
import torch, tsnb

torch.set_num_threads(1)
folder, draw = Path(sys.argv[1]), random.Random(0)
traces = [tsnb.load_traced(folder / name) for name in ("first.pt", "second.pt")]
path = folder / "target" / "bert.pt"

def content():
    return hashlib.sha256(path.read_bytes()).hexdigest()

whole = [(tsnb.save(trace, path), content())[1] for trace in traces]
begun = time.perf_counter()
for number in range(10):
    tsnb.save(traces[number % 2], path)
seconds = (time.perf_counter() - begun) / 10
found = []
for _ in range(50):
    child = os.fork()
    if child == 0:
        while True:
            for trace in traces:
                tsnb.save(trace, path)
    time.sleep(draw.uniform(1, 4) * seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found.append(whole.index(content()) if content() in whole else -1)
    tsnb.load_traced(path)
left = sum(1 for held in path.parent.iterdir()) - 1
tsnb.save(traces[0], path)
print(found.count(-1), found.count(0), found.count(1), left)
print(*(held.name for held in path.parent.iterdir()))
"""
REFUSED = {"artifacts.damaged", "artifacts.newer", "artifacts.not-torchscript"}


@pytest.fixture(scope="module")
def fates(
    traced: Callable[..., tsnb.Traced],
    load: Callable[..., tuple[Any, Any]],
    python: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Fates:
    """What became of 500 damages of a file by tsnb and 60 of one by plain torch, in a process."""
    folder = tmp_path_factory.mktemp("damages")
    trace = traced()
    torch.save((example(trace), trace(**example(trace))), folder / "expected")
    tsnb.save(trace, folder / "whole.pt", load()[1])
    with quiet_jit() as jit:
        jit.save(trace.module, str(folder / "foreign.pt"))
    code = "import runpy; runpy.run_module('tests.artifacts.damages', run_name='__main__')"
    return [json.loads(line) for line in python(code, folder).splitlines()]


def of_tsnb(fates: Fates) -> Fates:
    return [found for found in fates if int(found["damage"].split()[-1]) < 1000]


def test_every_damage_is_refused_in_one_sentence(fates: Fates) -> None:
    held = of_tsnb(fates)
    assert len(held) == sum(damages.COUNTS.values()) == 500
    assert [found for found in held if found["fate"] not in REFUSED] == []


def test_looking_into_a_damaged_file_never_fails_otherwise(fates: Fates) -> None:
    states = {"differs", "absent", "newer"}
    allowed = REFUSED | states | {"artifacts.bad-contract", "artifacts.no-member"}
    assert {found["seen"] for found in of_tsnb(fates)} <= allowed
    assert Counter(found["seen"] for found in of_tsnb(fates))["differs"] > 100


def test_a_damaged_file_of_somebody_else_is_refused_or_gives_the_same_numbers(
    fates: Fates,
) -> None:
    held = [found["fate"] for found in fates if found not in of_tsnb(fates)]
    assert len(held) == 60
    assert set(held) <= {*REFUSED, "artifacts.not-loaded", "same"}


def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(
    traced: Callable[..., tsnb.Traced], python: Callable[..., str], tmp_path: Path
) -> None:
    tsnb.save(traced(), tmp_path / "first.pt")
    tsnb.save(traced("question-answering"), tmp_path / "second.pt")
    counts, names = python(KILLS, tmp_path).splitlines()
    lost, first, second, left = map(int, counts.split())
    assert (lost, first + second) == (0, 50)
    assert min(first, second, left) > 0  # the kills met both files, and saves on their way
    assert names == "bert.pt"  # the next save removes what they left
