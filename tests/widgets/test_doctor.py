"""The doctor's view: its state without a browser, looking again, the text for an issue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import tsnb
from tsnb.cli import doctor as checkup
from tsnb.cli.doctor import Check, Report
from tsnb.widgets import base
from tsnb.widgets.doctor import DoctorView
from tsnb.widgets.doctor_state import DoctorState

if TYPE_CHECKING:
    from collections.abc import Callable

FINE = Check("memory", "ok", "8,000 MiB", key="memory")
ILL = Check("kernel", "warning", "<other>", "Start Jupyter again.", "kernel")


@pytest.fixture
def view() -> DoctorView:
    return DoctorView(Report((FINE, ILL)))


def test_the_state_needs_no_ipywidgets(python: Callable[..., str]) -> None:
    code = "import sys, tsnb.widgets.doctor_state; print('ipywidgets' in sys.modules)"
    assert python(code) == "False\n"


def test_it_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "CHECKS", {"python": lambda: ("ok", "3.11", "")})
    assert "Python" in str(DoctorView())


def test_the_text_is_the_report(view: DoctorView) -> None:
    assert str(view) == repr(view) == str(Report((FINE, ILL)))


def test_only_what_is_not_in_order(view: DoctorView) -> None:
    assert "8,000 MiB" in view.table.value
    view.to_mend.value = True
    assert "8,000 MiB" not in view.table.value
    assert "&lt;other&gt;" in view.table.value
    assert view.to_mend.description.startswith("☑")
    assert str(view) == str(Report((ILL,)))


def test_check_again_brings_a_new_report(
    monkeypatch: pytest.MonkeyPatch, view: DoctorView, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []

    def look() -> checkup.Finding:
        seen.append((view.again.resting, view.again.disabled, view.again.description))
        view.again.click()
        return "ok", "3.11", ""

    monkeypatch.setattr(checkup, "CHECKS", {"python": look})
    view.again.click()
    assert seen == [(True, False, "checking…")]  # and no second look
    assert (view.again.resting, view.again.description) == (False, "Check again")
    assert "3.11" in view.table.value
    assert "other" not in view.table.value
    assert capsys.readouterr().err == ""


def test_the_button_comes_back_where_looking_failed(
    monkeypatch: pytest.MonkeyPatch, view: DoctorView
) -> None:
    def interrupted(**_: object) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkup, "doctor", interrupted)
    with pytest.raises(KeyboardInterrupt):
        view.again.click()
    assert not view.again.resting


def test_the_text_for_an_issue_is_shown_on_demand(view: DoctorView) -> None:
    assert (view.json.value, view.json.layout.display) == ("", "none")
    view.as_json.value = True
    assert "&lt;other&gt;" in view.json.value
    assert base.MONO in view.json.value
    assert view.json.layout.display == ""
    view.as_json.value = False
    assert view.json.value == ""


def test_every_button_that_has_a_mark_says_what_it_does(view: DoctorView) -> None:
    assert view.to_mend.tooltip
    assert view.as_json.tooltip


def test_the_issue_has_everything_whatever_is_shown(view: DoctorView) -> None:
    view.to_mend.value = view.as_json.value = True
    assert "8,000 MiB" in view.json.value


def test_json_can_be_read_and_names_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    report = Report((FINE, Check("folder", "ok", f"{tmp_path}/course", key="folder")))
    told = json.loads(report.to_json())
    assert told["ok"] is True
    assert [row["key"] for row in told["checks"]] == ["memory", "folder"]
    assert told["checks"][1]["found"] == "~/course"
    assert str(tmp_path) not in report.to_json()


def test_what_the_doctor_found_is_kept() -> None:
    report = tsnb.doctor(progress=False)
    assert DoctorState(report).report is report
    assert {check.key for check in report.checks} == set(checkup.CHECKS)
