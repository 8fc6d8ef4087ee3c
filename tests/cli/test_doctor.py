"""What `tsnb.doctor` says of this machine, and of machines that are faked to be worse."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import torch

import tsnb
from tsnb.base.machine import MIB
from tsnb.cli import doctor as checkup
from tsnb.cli.doctor import CHECKS, Check, Report

if TYPE_CHECKING:
    from collections.abc import Callable

FAKE = Report(
    (
        Check("Python", "ok", "3.11.7"),
        Check("tools", "warning", "no <cmake>", "Install it."),
        Check("memory", "problem", "1 MiB", "Give it more memory. " * 6),
    )
)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions that are reported as installed in place of the real ones; None for a missing package."""
    faked: dict[str, str | None] = {}
    real = metadata.version

    def version(name: str) -> str:
        faked_version = faked.get(name, real(name))
        if faked_version is None:
            raise metadata.PackageNotFoundError(name)
        return faked_version

    monkeypatch.setattr(metadata, "version", version)
    return faked


def test_this_machine_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    report = tsnb.doctor()
    assert report.ok
    results = {check.name: check.result for check in report.checks}
    assert list(results) == list(CHECKS)
    assert all(results.values())
    assert (results["Python"], results["torch"]) == (platform.python_version(), torch.__version__)
    model, _ = tsnb.load("tiny-bert")
    assert f"{model.num_parameters():,}" in results["embedded model"]
    assert all(name in results["widgets"] for name in checkup.FRONT_ENDS)
    assert Path(results["kernel"]).is_absolute()
    out, err = capsys.readouterr()
    assert (out, f"/{len(CHECKS)} [" in err) == ("", True)  # the bar


def test_it_works_after_its_module_was_imported_first(python: Callable[..., str]) -> None:
    assert python("import tsnb.cli.doctor, tsnb; print(tsnb.doctor.__name__)") == "doctor\n"


def test_a_check_that_raises_is_a_problem_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def ill() -> checkup.Finding:
        message = "libtorch.so: cannot open"
        raise OSError(message)

    monkeypatch.setattr(checkup, "CHECKS", {"torch": ill, "Python": lambda: ("ok", "3", "")})
    first, second = checkup.doctor(progress=False).checks
    assert (first.status, first.result) == ("problem", "OSError: libtorch.so: cannot open")
    assert "This check itself failed" in first.advice
    assert second.status == "ok"


@pytest.mark.parametrize(
    ("version", "status"), [("3.10.14", "problem"), ("3.13.9", "ok"), ("3.14.0rc1", "problem")]
)
def test_python(monkeypatch: pytest.MonkeyPatch, version: str, status: str) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: version)
    assert CHECKS["Python"]()[:2] == (status, version)


@pytest.mark.parametrize(
    ("name", "version", "status", "advice"),
    [
        ("torch", "2.13.0+cu130", "ok", ""),
        ("torch", "2.12.1", "warning", "torch==2.13.0"),
        ("ipywidgets", None, "problem", "pip install ipywidgets=="),
        ("transformers", "4.40.0", "warning", "transformers==4.57.6"),
        ("transformers", "5.0.0rc1", "problem", "flag"),
    ],
)
def test_a_package(
    versions: dict[str, str | None], name: str, version: str | None, status: str, advice: str
) -> None:
    versions[name] = version
    finding = CHECKS[name]()
    assert finding[:2] == (status, version or "not installed")
    assert advice in finding[2]


@pytest.mark.parametrize(
    ("faked", "status"),
    [({}, "ok"), ({"tqdm": "4.0", "xxhash": "3.0"}, "warning"), ({"tqdm": "0", "psutil": None}, "problem")],
)
def test_other_packages(versions: dict[str, str | None], faked: dict[str, str | None], status: str) -> None:
    versions.update(faked)
    found, result, advice = CHECKS["other packages"]()
    assert found == status
    assert all(f"{name} {version or 'not installed'}" in result for name, version in faked.items())
    assert all(f"{name}==" in advice for name in faked)
    assert "pytest" not in advice  # extras are nobody's need


@pytest.mark.parametrize(
    ("limit", "available", "status"), [(700, 9000, "ok"), (8000, 300, "warning"), (512, 4000, "problem")]
)
def test_memory(monkeypatch: pytest.MonkeyPatch, limit: int, available: int, status: str) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available * MIB))
    monkeypatch.setattr(checkup, "memory_limit", lambda: float(limit))
    found, result, advice = CHECKS["memory"]()
    assert (found, result) == (status, f"{min(limit, available):,} MiB available of {limit:,} MiB")
    assert bool(advice) is (status != "ok")


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "usable_cores", lambda: 2)
    for threads, status in ((2, "ok"), (16, "warning")):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found, _, advice = CHECKS["threads"]()
        assert found == status
        assert ("torch.set_num_threads(2)" in advice) is (status == "warning")


@pytest.mark.parametrize(
    ("installed", "status"),
    [
        (("g++", "cmake", "make"), "ok"),
        (("my-compiler", "cmake", "ninja"), "ok"),
        (("g++", "make"), "warning"),
        ((), "warning"),
    ],
)
def test_build_tools(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: tuple[str, ...], status: str
) -> None:
    for name in installed:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "my-compiler -O2")
    found, result, advice = CHECKS["C++ tools"]()
    assert found == status
    assert all(str(tmp_path / name) in result for name in installed)
    assert ("no cmake" in result) is ("cmake" not in installed)
    assert ("notebook 03" in advice) is (status == "warning")


def test_neuron_is_never_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "find_spec", lambda _: None)
    assert CHECKS["Neuron"]()[0] == "ok"
    assert "notebook 05 works without" in CHECKS["Neuron"]()[2]
    monkeypatch.setattr(checkup, "find_spec", lambda name: name == "torch_neuronx" or None)
    assert CHECKS["Neuron"]() == ("ok", "torch_neuronx", "")


def test_the_kernel_of_another_environment_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = tmp_path / "kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))  # its kernels come before every other
    for program, status in (
        ("/opt/other/bin/python3", "warning"),
        ("python", "ok"),
        (str(Path(sys.executable).with_name("python3")), "ok"),
    ):
        spec.write_text(json.dumps({"argv": [program], "display_name": "Python 3"}), encoding="utf-8")
        found, _, advice = CHECKS["kernel"]()
        assert found == status
        assert (f"{sys.executable} -m jupyterlab" in advice) is (status == "warning")


def test_widgets_without_a_front_end_are_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder, version in zip(folders, ("0.11.0", "0.9.0"), strict=True):
        (folder / "anywidget").mkdir(parents=True)
        (folder / "anywidget/package.json").write_text(json.dumps({"version": version}), encoding="utf-8")
    monkeypatch.setattr(checkup, "jupyter_path", lambda _: list(map(str, folders)))
    status, result, advice = CHECKS["widgets"]()
    assert (status, result) == ("problem", "no @jupyter-widgets/jupyterlab-manager")
    assert "jupyterlab_widgets anywidget" in advice
    monkeypatch.setattr(checkup, "FRONT_ENDS", ("anywidget",))
    assert CHECKS["widgets"]() == ("ok", "anywidget 0.11.0", "")  # of the first folder


def test_a_folder_and_whether_it_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(**_: Any) -> Any:
        raise PermissionError

    monkeypatch.chdir(tmp_path)
    assert CHECKS["folder"]() == ("ok", str(tmp_path), "")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "TemporaryFile", refused)  # root may write everywhere
    status, result, advice = CHECKS["folder"]()
    assert (status, result) == ("warning", f"{tmp_path} cannot be written to")
    assert "one of your own" in advice


def test_issues_are_what_is_not_in_order() -> None:
    assert not FAKE.ok
    assert Report(FAKE.checks[:2]).ok
    assert FAKE.issues.checks == FAKE.checks[1:]


def test_text_is_aligned_and_wrapped() -> None:
    lines = repr(FAKE).splitlines()
    assert lines[:4] == [
        "✓ Python  3.11.7",
        "! tools   no <cmake>",
        "          Install it.",
        "✗ memory  1 MiB",
    ]
    assert len(lines) == 4 + 3 + 2  # the long advice takes three; a gap and the verdict follow
    assert lines[-1].startswith("Not ready yet.")


def test_a_notebook_shows_a_plain_table() -> None:
    page = FAKE._repr_html_()
    assert (page.count("<table>"), page.count("<tr>")) == (1, 3)
    for part in ("✓", "!", "✗", "no &lt;cmake&gt;<br>Install it.", 'aria-label="problem"', "Not ready yet."):
        assert part in page
    assert "color" not in page  # those of the page around it
    assert "overflow-wrap: anywhere" in page  # a long path is broken rather than the page


def test_json_names_no_home() -> None:
    report = json.loads(Report((Check("folder", "ok", str(Path.home() / "course")),)).to_json())
    assert (report["ok"], report["checks"][0]["result"]) == (True, str(Path("~/course")))
