"""The self-test: it cannot run here and says why; against stand-ins it runs through."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kinds import Python
from tests.neuron.stand_ins import BEGIN, environment, install
from tsnb.neuron.selftest import CANNOT, FAILED, PASSED

MAIN = BEGIN + "from tsnb.neuron import selftest\nprint(selftest.main())"


@pytest.fixture
def report(python: Python, tmp_path: Path) -> Callable[..., list[str]]:
    """Run the self-test in a fresh Python that finds what was put into the folder."""
    return lambda **variables: python(MAIN, tmp_path, **environment(tmp_path) | variables).splitlines()


def test_here_it_cannot_run_because_nothing_can_convert(report: Callable[..., list[str]]) -> None:
    _, versions, here, *_, last, code = report()
    assert "torch 2." in versions
    assert "torch_neuronx is not installed here" in here
    assert (last.startswith("Cannot run, because"), code) == (True, str(CANNOT))


def test_against_stand_ins_with_a_device_it_runs_through(report: Callable[..., list[str]], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuronx", device=True)
    *_, short, long, loaded, passed, code = report()
    assert (passed, code) == ("Passed.", str(PASSED))
    assert short == "converted for 1 × 32, and saved: equals the model"
    assert long == "converted for 1 × 64, and saved: equals the model"
    assert "off by " in loaded


def test_without_a_device_it_converts_and_says_that_the_rest_needs_one(
    report: Callable[..., list[str]], tmp_path: Path
) -> None:
    install(tmp_path, "torch_neuronx")
    *_, converted, last, code = report()
    assert converted.endswith("1 × 64, and saved: not compared")
    assert ("no Neuron device" in last, code) == (True, str(CANNOT))


def test_numbers_that_are_off_fail_it(report: Callable[..., list[str]], tmp_path: Path) -> None:
    install(tmp_path, "torch_neuronx", device=True)
    *_, last, code = report(STAND_IN_OFF_BY="5")
    assert ("NeuronError: The compiled graph differs" in last, code) == (True, str(FAILED))
