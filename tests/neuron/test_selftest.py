"""The self-test: it cannot run here and says why; against stand-ins it runs through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.neuron.stand_ins import BEGIN, THIRD, environment, install
from tsnb.neuron.selftest import CANNOT, FAILED, PASSED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAIN = BEGIN + "from tsnb.neuron import selftest\nprint(selftest.main())"
COMMAND = """
import runpy
try:
    runpy.run_module("tsnb.neuron.selftest", run_name="__main__", alter_sys=True)
except SystemExit as ended:
    print(ended.code)
"""
STEPS = ["convert and save", "compare with the model", "load in a new process", "Runner with two lengths"]


@pytest.fixture
def report(python: Callable[..., str], tmp_path: Path) -> Callable[..., list[str]]:
    """Run the self-test in a fresh Python that finds what was put into the folder."""
    return lambda **variables: python(MAIN, tmp_path, **environment(tmp_path) | variables).splitlines()


def test_here_it_cannot_run_because_nothing_can_convert(python: Callable[..., str]) -> None:
    *lines, last, code = python(COMMAND).splitlines()
    assert code == str(CANNOT)
    assert last.startswith("Cannot run, because")
    assert lines[0] == "tsnb.neuron.selftest"
    assert "torch 2." in lines[2]
    assert "torch_neuronx is not installed here" in lines[3]


def test_against_stand_ins_with_a_device_it_runs_through(
    report: Callable[..., list[str]], tmp_path: Path
) -> None:
    install(tmp_path, "torch_neuronx", device=True)
    *lines, passed, code = report()
    assert (passed, code) == ("Passed.", str(PASSED))
    steps = lines[-len(STEPS) :]
    assert [line.partition(":")[0] for line in steps] == STEPS
    assert "1 × 32, 1 × 64" in steps[0]
    assert all("off by " in line and line.endswith(" s)") for line in steps[1:])


def test_without_a_device_it_converts_and_says_that_the_rest_needs_one(
    report: Callable[..., list[str]], tmp_path: Path
) -> None:
    install(tmp_path, "torch_neuronx")
    *_, converted, last, code = report()
    assert converted.startswith(STEPS[0])
    assert "no Neuron device" in last
    assert code == str(CANNOT)


def test_numbers_that_are_off_fail_it(report: Callable[..., list[str]], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuronx", device=True)
    *_, last, code = report(STAND_IN_OFF_BY="5")
    assert "FAILED. NeuronError: The compiled graph differs" in last
    assert code == str(FAILED)


def test_the_third_generation_cannot(report: Callable[..., list[str]], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuronx", THIRD, device=True)
    assert report()[-1] == str(CANNOT)
