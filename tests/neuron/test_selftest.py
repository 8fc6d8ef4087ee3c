"""The self-test: it cannot run here and says why; against stand-ins it runs through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.neuron.stand_ins import BEGIN, THIRD, TRACING, WORKING, environment, install
from tsnb.neuron import selftest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAIN = BEGIN + "from tsnb.neuron import selftest\nprint(selftest.main(sys.argv[2:]))"
COMMAND = """
import runpy, sys
sys.argv[1:] = []
try:
    runpy.run_module("tsnb.neuron.selftest", run_name="__main__", alter_sys=True)
except SystemExit as ended:
    print(ended.code)
"""
STEPS = [
    "convert and save",
    "compare with the model",
    "load in a new process",
    "Runner with two lengths",
]


@pytest.fixture
def report(python: Callable[..., str], tmp_path: Path) -> Callable[..., list[str]]:
    """Run the self-test in a fresh Python that finds what was put into the folder."""

    def run(*arguments: str, **variables: str) -> list[str]:
        found = environment(tmp_path) | variables
        return python(MAIN, tmp_path, *arguments, **found).splitlines()

    return run


def test_here_it_cannot_run_because_nothing_can_convert(python: Callable[..., str]) -> None:
    *told, last, code = python(COMMAND).splitlines()
    assert code == str(selftest.CANNOT)
    assert last.startswith("Cannot run, because")
    assert sum("is not installed here" in line for line in told) == 2
    assert told[0] == "tsnb.neuron.selftest"
    assert "torch 2." in told[2]


def test_one_generation_can_be_asked_for(report: Callable[..., list[str]], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuronx", TRACING)
    told = report("--target", "inf1")
    assert told[-1] == str(selftest.CANNOT)
    assert not any("torch_neuronx" in line for line in told)


@pytest.mark.parametrize("package", WORKING)
def test_against_stand_ins_with_a_device_it_runs_through(
    package: str, report: Callable[..., list[str]], tmp_path: Path
) -> None:
    install(tmp_path, package, device=True)
    *told, passed, code = report()
    assert (passed, code) == ("Passed.", str(selftest.PASSED))
    steps = told[-len(STEPS) :]
    assert [line.partition(":")[0] for line in steps] == STEPS
    assert all(line.endswith(" s)") for line in steps)
    assert "1 × 32, 1 × 64" in steps[0]
    assert all("off by " in line for line in steps[1:])
    assert f"{package}, its compiler and a Neuron device" in " ".join(" ".join(told).split())


def test_without_a_device_it_converts_and_says_that_the_rest_needs_one(
    report: Callable[..., list[str]], tmp_path: Path
) -> None:
    install(tmp_path, "torch_neuronx")
    *_, converted, told, code = report()
    assert converted.startswith(STEPS[0])
    assert "no Neuron device" in told
    assert code == str(selftest.CANNOT)


def test_numbers_that_are_off_fail_it(report: Callable[..., list[str]], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuronx", device=True)
    *_, told, code = report(STAND_IN_OFF_BY="5")
    assert "FAILED. NeuronError: The compiled graph differs" in told
    assert code == str(selftest.FAILED)


def test_the_third_generation_cannot(report: Callable[..., list[str]], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuronx", THIRD, device=True)
    assert report()[-1] == str(selftest.CANNOT)
