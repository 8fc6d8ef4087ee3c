"""What `tsnb.doctor` says of this machine, and of machines that are faked to be worse."""

import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

import tsnb
from tests.kinds import Capture, MonkeyPatch
from tsnb.base.machine import MIB
from tsnb.cli import doctor as checkup
from tsnb.cli.doctor import CHECKS, Check, Report

FAKE = Report(
    (
        Check("Python", "ok", "3.11.7"),
        Check("tools", "warning", "no <cmake>", "Install it."),
        Check("memory", "problem", "1 MiB", "Give it more memory. " * 6),
    )
)


def test_this_machine_is_ready(capsys: Capture) -> None:
    report = tsnb.doctor()
    assert report.ok
    results = {check.name: check.result for check in report.checks}
    assert list(results) == list(CHECKS)
    assert results["Python"].startswith(platform.python_version())
    assert f"torch {torch.__version__}" in results["packages"]
    assert results["transformers"].startswith(f"transformers {metadata.version('transformers')} has ")
    assert "757,999 parameters" in results["embedded model"]
    assert all(name in results["widgets"] for name in checkup.FRONT_ENDS)
    out, err = capsys.readouterr()
    assert (out, f"/{len(CHECKS)} [" in err) == ("", True)  # the bar


def test_a_check_that_raises_is_a_problem_and_the_others_go_on(monkeypatch: MonkeyPatch) -> None:
    def ill() -> checkup.Finding:
        message = "libtorch.so: cannot open"
        raise OSError(message)

    monkeypatch.setattr(checkup, "CHECKS", {"torch": ill, "Python": lambda: ("ok", "3", "")})
    first, second = checkup.doctor(progress=False).checks
    assert (first.status, first.result) == ("problem", "OSError: libtorch.so: cannot open")
    assert second.status == "ok"


@pytest.mark.parametrize(
    ("faked", "status", "advice"),
    [
        ({"torch": "2.13.0+cu130"}, "ok", ""),
        ({"torch": "2.9.1+cu128"}, "ok", ""),
        ({"torch": "2.8.0", "tqdm": "4.0"}, "warning", 'pip install "torch>=2.9" "tqdm>='),
        ({"tqdm": "4.0", "psutil": None}, "problem", '"psutil>='),
        ({"transformers": "6.0.0"}, "warning", "transformers<6,>="),
        ({"torch": "2.15.0", "transformers": "5.25.1"}, "warning", "torch 2.15.0 was not tried, only 2.9 to 2.14; "),
        ({"transformers": "5.25.0"}, "warning", "transformers 5.25.0 was not tried, only 4.57 to 5.24; what you see "),
    ],
)
def test_packages(monkeypatch: MonkeyPatch, faked: dict[str, str | None], status: str, advice: str) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if faked.get(name, "") is None:
            raise metadata.PackageNotFoundError(name)
        return faked.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    result = CHECKS["packages"]()
    assert result[0] == status
    assert all(f"{name} {version or 'not installed'}" in result[1] for name, version in faked.items())
    assert advice in result[2]
    assert "pytest" not in result[2]  # extras are nobody's need


@pytest.mark.parametrize(
    ("limit", "available", "status"), [(700, 9000, "ok"), (8000, 300, "warning"), (512, 4000, "problem")]
)
def test_memory(monkeypatch: MonkeyPatch, limit: int, available: int, status: str) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available * MIB))
    monkeypatch.setattr(checkup, "memory_limit", lambda: float(limit))
    result = CHECKS["memory"]()
    assert result[:2] == (status, f"{min(limit, available):,} MiB available of {limit:,} MiB")


def test_python_threads_and_neuron(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: "3.14.0rc1")
    assert CHECKS["Python"]()[0] == "problem"
    monkeypatch.setattr(checkup, "usable_cores", lambda: 0)
    assert CHECKS["threads"]()[0] == "warning"
    monkeypatch.setattr(checkup, "find_spec", lambda name: name == "torch_neuronx" or None)
    assert CHECKS["Neuron"]() == ("ok", "torch_neuronx", "")


def test_build_tools(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "my-compiler -O2")
    for name in ("my-compiler", "ninja"):
        (tmp_path / name).touch(mode=0o755)
    status, result, advice = CHECKS["C++ tools"]()
    assert (status, "no cmake" in result, "notebook 03" in advice) == ("warning", True, True)
    (tmp_path / "cmake").touch(mode=0o755)
    status, result, _ = CHECKS["C++ tools"]()
    assert (status, result.count(str(tmp_path))) == ("ok", 3)


def test_the_kernel_of_another_environment_is_a_warning(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
    spec = tmp_path / "kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))  # its kernels come before every other
    for program, status in (("/opt/other/bin/python3", "warning"), ("python", "ok")):
        spec.write_text(json.dumps({"argv": [program], "display_name": "Python 3"}), encoding="utf-8")
        result = CHECKS["kernel"]()
        assert result[0] == status
        assert (f"{sys.executable} -m jupyterlab" in result[2]) is (status == "warning")


def test_widgets_without_a_front_end_are_a_problem(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "anywidget").mkdir()
    monkeypatch.setattr(checkup, "jupyter_path", lambda _: [str(tmp_path)])
    assert CHECKS["widgets"]()[:2] == ("problem", "no @jupyter-widgets/jupyterlab-manager")


def test_a_report_as_text_and_as_a_table() -> None:
    assert (FAKE.ok, Report(FAKE.checks[:2]).ok) == (False, True)
    assert FAKE.issues.checks == FAKE.checks[1:]
    lines = repr(FAKE).splitlines()
    assert lines[:3] == ["✓ Python  3.11.7", "! tools   no <cmake>", "          Install it."]
    assert max(map(len, lines)) <= 76
    assert lines[-1].startswith("Not ready yet.")
    page = FAKE._repr_html_()
    assert all(part in page for part in ("! warning", "no &lt;cmake&gt;<br>Install it.", "Not ready yet."))


def test_json_names_no_home() -> None:
    report = json.loads(Report((Check("kernel", "ok", str(Path.home() / "course")),)).to_json())
    assert (report["ok"], report["checks"][0]["result"]) == (True, str(Path("~/course")))
