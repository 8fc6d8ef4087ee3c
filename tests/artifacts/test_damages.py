"""No damage crashes the process or gives wrong numbers, and no kill costs a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tests.artifacts.test_save import example
from tsnb.artifacts.save import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Outcomes = list[dict[str, str]]

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
after = []
for _ in range(50):
    child = os.fork()
    if child == 0:
        while True:
            for trace in traces:
                tsnb.save(trace, path)
    time.sleep(draw.uniform(1, 4) * seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    after.append(whole.index(content()) if content() in whole else -1)
    tsnb.load_traced(path)
unfinished = sum(1 for file in path.parent.iterdir()) - 1
print(after.count(-1), after.count(0), after.count(1), unfinished)
"""
REFUSED = ("bytes were changed", "Update tsnb", "is not a TorchScript file")


@pytest.fixture(scope="module")
def outcomes(
    traced: Callable[..., tsnb.Traced],
    load: Callable[..., Any],
    python: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcomes:
    """Damage files in a process of their own, which would end with them if torch crashed."""
    folder, trace = tmp_path_factory.mktemp("damaged"), traced()
    inputs = example(trace)
    torch.save((inputs, trace(**inputs)), folder / "expected")
    tsnb.save(trace, folder / "whole.pt", load()[1])
    with quiet_jit() as jit:
        jit.save(trace.module, str(folder / "foreign.pt"))
    code = "import runpy; runpy.run_module('tests.artifacts.damages', run_name='__main__')"
    return [json.loads(line) for line in python(code, folder).splitlines()]


def test_500_damages_are_refused_in_one_sentence(outcomes: Outcomes) -> None:
    own = [outcome for outcome in outcomes if outcome["damage"] != "foreign flip"]
    assert len(own) == 500
    assert [outcome for outcome in own if not any(words in outcome["loaded"] for words in REFUSED)] == []
    assert not any("\n" in outcome["loaded"] for outcome in own)


def test_inspecting_a_damaged_file_shows_it_or_says_the_same(outcomes: Outcomes) -> None:
    own = [outcome["inspected"] for outcome in outcomes if outcome["damage"] != "foreign flip"]
    states = {"differs", "absent", "newer"}
    assert [text for text in own if text not in states and "is not a TorchScript file" not in text] == []
    assert own.count("differs") > 100


def test_a_damaged_file_of_somebody_else_is_refused_or_gives_the_same_numbers(outcomes: Outcomes) -> None:
    foreign = [outcome["loaded"] for outcome in outcomes if outcome["damage"] == "foreign flip"]
    assert len(foreign) == 60
    allowed = (*REFUSED, "cannot load")
    assert [text for text in foreign if text != "same" and not any(words in text for words in allowed)] == []


def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(
    traced: Callable[..., tsnb.Traced], python: Callable[..., str], tmp_path: Path
) -> None:
    tsnb.save(traced(), tmp_path / "first.pt")
    tsnb.save(traced("question-answering"), tmp_path / "second.pt")
    lost, first, second, unfinished = map(int, python(KILLS, tmp_path).split())
    assert (lost, first + second) == (0, 50)
    assert min(first, second, unfinished) > 0  # the kills met both files, and saves on their way
