"""The self-test: it cannot run here and says why; against stand-ins it runs through."""

from collections.abc import Callable

import pytest

from tests.kinds import Capture, Machine, MonkeyPatch
from tsnb.neuron import selftest
from tsnb.neuron.selftest import CANNOT, FAILED, PASSED

Report = Callable[[], list[str]]


@pytest.fixture
def report(capsys: Capture) -> Report:
    """Run the self-test; return its lines, and then its code."""
    return lambda: [str(selftest.main()), *capsys.readouterr().out.splitlines()]


def test_here_it_cannot_run_because_nothing_can_convert(report: Report) -> None:
    code, _, versions, here, *_, last = report()
    assert "torch 2." in versions
    assert "torch_neuronx is not installed here" in here
    assert (last.startswith("Cannot run, because"), code) == (True, str(CANNOT))


def test_against_stand_ins_with_a_device_it_runs_through(report: Report, machine: Machine) -> None:
    machine(device=True)
    code, *_, short, long, loaded, passed = report()
    assert (passed, code) == ("Passed.", str(PASSED))
    assert short == "converted for 1 × 32, and saved: equals the model"
    assert long == "converted for 1 × 64, and saved: equals the model"
    assert "off by " in loaded


def test_without_a_device_it_converts_and_says_that_the_rest_needs_one(report: Report, machine: Machine) -> None:
    machine()
    code, *_, converted, last = report()
    assert converted.endswith("1 × 64, and saved: not compared")
    assert ("no Neuron device" in last, code) == (True, str(CANNOT))


def test_numbers_that_are_off_fail_it(report: Report, machine: Machine, monkeypatch: MonkeyPatch) -> None:
    machine(device=True)
    monkeypatch.setenv("STAND_IN_OFF_BY", "5")
    code, *_, last = report()
    assert ("NeuronError: The compiled graph differs" in last, code) == (True, str(FAILED))
