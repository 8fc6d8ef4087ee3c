"""The command line: exit codes, what goes to stdout and to stderr, and what is imported."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import tsnb
from tsnb import checks
from tsnb.base.words import say
from tsnb.cli import doctor as checkup
from tsnb.cli import main as cli
from tsnb.practice.record import record

RIGHT = {"float32": 250_002 * 768 * 4, "float16": 250_002 * 768 * 2}
COMMAND = Path(sys.executable).with_name("tsnb")
LIGHT = """
import sys
{code}
heavy = {{"torch", "transformers", "nbclient", "nbconvert", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""


def write(path: Path, *sources: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def tsnb_command(
    *arguments: str | Path, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> dict[str, checkup.Finding]:
    """Findings that the doctor reports in place of its own."""
    findings: dict[str, checkup.Finding] = {"python": ("ok", "3.11.7", "")}
    checks = {name: (lambda name=name: findings[name]) for name in ("python",)}
    monkeypatch.setattr(checkup, "CHECKS", checks)
    return findings


def test_doctor_as_json(look: dict[str, checkup.Finding], capsys: pytest.CaptureFixture[str]) -> None:
    assert look
    assert cli.main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["checks"][0]["found"]) == (True, "3.11.7")


def test_version() -> None:
    done = tsnb_command("--version")
    assert (done.returncode, done.stdout) == (0, f"tsnb {version('tsnb')}\n")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    assert [key for key in ("doctor", "run", "export") if say(f"cli.{key}") not in out] == []


@pytest.mark.parametrize("arguments", [[], ["runn"], ["run", "--timeout", "soon"]])
def test_misuse_is_told_on_stderr(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: tsnb" in err


@pytest.mark.parametrize(
    "code",
    [
        "import tsnb",
        "import tsnb; dir(tsnb)",
        "import tsnb.cli.main\ntry: tsnb.cli.main.main(['--help'])\nexcept SystemExit: pass",
        "import tsnb.cli.main\ntry: tsnb.cli.main.main(['run', '--help'])\nexcept SystemExit: pass",
        "import tsnb.cli.main\ntry: tsnb.cli.main.main(['export', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    done = python(LIGHT.format(code=code))
    assert done.returncode == 0, done.stderr


def test_run_itself_does_without_torch(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", "1")
    code = f"from tsnb import cli\ncli.main(['run', {str(path)!r}])"
    code += "\nimport sys\nprint('torch' in sys.modules)"
    assert python(code).stdout.splitlines()[-1] == "False"


def test_doctor_on_this_machine() -> None:
    done = tsnb_command("doctor")
    assert done.returncode == 0, done.stdout
    assert "✓ torch" in done.stdout
    assert say("checkup.ready") in done.stdout
    assert f"/{len(checkup.CHECKS)} [" in done.stderr  # the bar


def test_doctor_says_something_within_a_second_or_so() -> None:
    begun = time.perf_counter()
    with subprocess.Popen([COMMAND, "doctor"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = process.stderr.read(5)
        waited = time.perf_counter() - begun
        process.terminate()
    assert first
    assert waited < 3  # 0.4 s where nothing else runs


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_doctor_fails_on_a_problem_only(
    look: dict[str, checkup.Finding],
    capsys: pytest.CaptureFixture[str],
    status: checkup.Status,
    code: int,
) -> None:
    look["python"] = (status, "3.11.7", "Some advice.")
    assert cli.main(["doctor"]) == code
    assert f"{checkup.SYMBOLS[status]} Python  3.11.7" in capsys.readouterr().out


def test_a_terminal_without_the_symbols_is_no_reason_to_crash() -> None:
    done = tsnb_command("doctor", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "? torch" in done.stdout


def test_run_prints_the_table_and_writes_html(tmp_path: Path) -> None:
    path = write(tmp_path / "good.ipynb", "print(6 * 7)")
    done = tsnb_command("run", "--output", "out", path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "out" / "summary.md").read_text()
    assert "| good " in done.stdout
    assert "WARNING" not in done.stderr  # ipykernel's, of connections without encryption
    assert (tmp_path / "out" / "good.html").is_file()


def test_run_fails_where_a_notebook_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [write(tmp_path / "bad.ipynb", "1 / 0"), write(tmp_path / "good.ipynb", "1")]
    assert cli.main(["run", *map(str, paths)]) == 1
    out = capsys.readouterr().out
    assert "ZeroDivisionError: division by zero (cell 1)" in out
    assert [name for name in ("FAILED", "| ok ") if name not in out] == []


def test_run_takes_a_timeout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "slow.ipynb", "import time; time.sleep(60)")
    assert cli.main(["run", "--timeout", "1", str(path)]) == 1
    assert "more than 1 s" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["missing.ipynb"], ["notes.txt"], ["--output", "notes.txt"]])
def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, arguments: list[str]) -> None:
    write(tmp_path / "notebooks" / "a.ipynb", "1")
    (tmp_path / "notes.txt").write_text("no JSON")
    done = tsnb_command("run", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert arguments[-1] in done.stderr


def test_the_module_is_a_command_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tsnb.cli.main", "run", "missing.ipynb"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "There is no file" in done.stderr


def test_by_default_the_notebooks_of_the_nearest_folder_run(tmp_path: Path) -> None:
    for name in ("01_b", "00_a", "00_a-checkpoint"):
        write(tmp_path / "notebooks" / f"{name}.ipynb", "1")
    below = tmp_path / "some" / "folder"
    below.mkdir(parents=True)
    done = tsnb_command("run", cwd=below)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[2:]] == ["00_a", "01_b"]


def test_a_folder_without_notebooks_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "notebooks" / "a.ipynb", "1")
    (tmp_path / "below" / "notebooks").mkdir(parents=True)
    assert cli.find_notebooks(tmp_path / "below") == tmp_path / "notebooks"
    assert cli.find_notebooks(tmp_path / "notebooks") == tmp_path / "notebooks"


def test_failing_that_the_notebooks_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = tmp_path / "checkout"
    monkeypatch.setattr(cli, "__file__", str(checkout / "tsnb" / "cli.py"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run"]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    write(checkout / "notebooks" / "a.ipynb", "1")
    assert cli.find_notebooks(tmp_path) == checkout / "notebooks"


def kernels_of(process: psutil.Process) -> list[psutil.Process]:
    children = process.children(recursive=True)
    return [child for child in children if "ipykernel" in str(child.as_dict(["cmdline"]))]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize("source", ["time.sleep(60)", "while True: pass"])
def test_ctrl_c_ends_the_kernels(tmp_path: Path, source: str) -> None:
    first = write(tmp_path / "first.ipynb", "1")
    begin = f"import time; open({str(tmp_path / 'begun')!r}, 'w').close()\n{source}"
    second = write(tmp_path / "second.ipynb", begin)
    command = [str(COMMAND), "run", "--output", *map(str, (tmp_path / "out", first, second))]
    process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    kernels = kernels_of(process)
    assert len(kernels) == 1
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == say("cli.interrupted")
    assert "Traceback" not in err
    assert not any(kernel.is_running() for kernel in kernels)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"first.html", "summary.md"}  # what was finished stays


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_while_the_kernel_starts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", "import time; time.sleep(60)")
    process = psutil.Popen([COMMAND, "run", path], stderr=subprocess.PIPE, text=True)
    while not (kernels := kernels_of(process)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not any(kernel.is_running() for kernel in kernels)


def test_the_command_is_installed_beside_the_interpreter() -> None:
    assert shutil.which("tsnb", path=COMMAND.parent) == str(COMMAND)
    assert Path(tsnb.__file__).parent.name == "tsnb"


QUICK = ("bench", "tiny-bert", "--rounds", "1", "--candidates", "trace-padded", "runner")


def test_bench_prints_a_table_and_writes_csv_and_a_figure(tmp_path: Path) -> None:
    done = tsnb_command(*QUICK, "--texts", "5", "--output", tmp_path / "made" / "here")
    assert done.returncode == 0, done.stderr
    assert "tsnb.Runner" in done.stdout
    assert "6/6" not in done.stdout  # the bar is on stderr
    assert done.stderr.startswith("The checkpoint lacks these weights")
    assert "NewWeightsWarning" not in done.stderr
    folder = tmp_path / "made" / "here"
    assert (folder / "benchmark.csv").read_text(encoding="utf-8").count("\n") == 1 + 2 * 2
    assert "<svg" in (folder / "benchmark.svg").read_text(encoding="utf-8")


def test_bench_takes_texts_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("who was jim henson ?\na poet\n", encoding="utf-8")
    done = tsnb_command(*QUICK, "--file", own)
    assert done.returncode == 0, done.stderr
    assert "2 texts, 11 tokens" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("bench", "tiny-bert", "--candidates", "runer"), "Did you mean runner"),
        (("bench", "tiny-brt"), "Did you mean tiny-bert"),
        (("bench", "tiny-bert", "--texts", "0"), "0"),
        (("bench", "tiny-bert", "--batch-size", "0"), "batch_size must be a whole number"),
        (("bench", "tiny-bert", "--file", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_bench_says_what_is_wrong_in_a_sentence(options: tuple[str, ...], said: str) -> None:
    done = tsnb_command(*options)
    assert done.returncode == cli.MISUSED
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_bench_into_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    done = tsnb_command(*QUICK, "--texts", "2", "--output", tmp_path / "taken")
    assert done.returncode == cli.MISUSED
    assert "Choose another folder" in done.stderr


def test_progress_tells_how_far_one_is() -> None:
    checks.check("untying-price", RIGHT)
    done = tsnb_command("progress")
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ What would untying cost here? (attempts: 1)" in done.stdout
    assert "02 Dummy inputs" not in tsnb_command("progress", "01").stdout


def test_progress_of_an_unknown_notebook_is_misuse() -> None:
    done = tsnb_command("progress", "9")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("There is no notebook 9 with exercises.")


def test_progress_is_forgotten_only_when_asked() -> None:
    checks.check("untying-price", RIGHT)
    assert "empty again for: dummy-batch" in tsnb_command("progress", "02", "--reset").stdout
    assert len(record().events()) == 1
    assert tsnb_command("progress", "--reset").returncode == 0
    assert record().events() == []


def test_progress_is_exported_and_never_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ana.html"
    done = tsnb_command("progress", "--export", path, "--name", "Ana")
    assert done.stdout == f"Written: {path}\n"
    assert "Ana" in path.read_text(encoding="utf-8")
    again = tsnb_command("progress", "--export", path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "--replace" in again.stderr
    assert tsnb_command("progress", "--export", path, "--replace").returncode == 0
    assert "Ana" not in path.read_text(encoding="utf-8")


def test_progress_without_a_record_makes_none(progress_file: Path) -> None:
    assert "0 of" in tsnb_command("progress").stdout
    assert not progress_file.exists()


def test_progress_needs_nothing_heavy() -> None:
    code = "from tsnb import cli; cli.main(['progress'])"
    assert python(LIGHT.format(code=code)).returncode == 0


def test_notebooks_that_are_run_leave_the_record_alone(tmp_path: Path, progress_file: Path) -> None:
    source = "from tsnb import checks\nprint(checks.check('untying-price', [1]).kind)"
    more = "from tsnb.practice.record import record\nprint(len(record().events()), record().note or '-')"
    write(tmp_path / "exercise.ipynb", source, more)
    done = tsnb_command("run", tmp_path / "exercise.ipynb", "--output", tmp_path / "html")
    assert done.returncode == 0, done.stderr
    assert "1 -\n" in (tmp_path / "html/exercise.html").read_text(encoding="utf-8")
    assert not progress_file.exists()
