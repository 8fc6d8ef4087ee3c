"""The command line: exit codes, what goes to stdout and to stderr, and what is imported."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from tests.cli.test_run import write
from tests.kinds import Capture, MonkeyPatch, Python
from tsnb.cli import doctor as checkup
from tsnb.cli import main as cli
from tsnb.practice import checks
from tsnb.practice.record import record

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tsnb.cli.main"]
QUICK = ("bench", "tiny-bert", "--rounds", "1", "--backends", "trace-padded", "runner")
RIGHT = {"float32": 250_002 * 768 * 4, "float16": 250_002 * 768 * 2}  # of the exercise untying-price
LIGHT = """
import sys
{code}
heavy = {{"torch", "transformers", "nbclient", "nbconvert", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""


def tsnb_command(
    *arguments: str | Path, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=cwd, env=variables, check=False)


def misused(capsys: Capture, *arguments: str | Path) -> str:
    """Return what stderr says, in one line, of what cannot be done."""
    assert cli.main(list(map(str, arguments))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return str(err.splitlines()[-1])


def test_the_command_is_installed_and_tells_its_version() -> None:
    assert shutil.which("tsnb", path=Path(sys.executable).parent)
    assert tsnb_command("--version").stdout == f"tsnb {version('tsnb')}\n"


def test_misuse_is_said_on_stderr(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", "--timeout", "soon"])
    out, err = capsys.readouterr()
    assert (out, "usage: tsnb" in err) == ("", True)


def test_nothing_heavy_is_imported_before_it_is_needed(python: Python) -> None:
    codes = [
        "import tsnb.cli.doctor, tsnb; dir(tsnb); assert tsnb.doctor.__name__ == 'doctor'",
        "from tsnb.cli.main import main; main(['progress'])",
    ]
    codes += [f"try: main(['{name}', '--help'])\nexcept SystemExit: pass" for name in ("run", "bench")]
    python(LIGHT.format(code="\n".join(codes)))


def test_a_plain_terminal_does_not_crash_the_doctor() -> None:
    done = tsnb_command("doctor", PYTHONIOENCODING="ascii")
    assert (done.returncode, "? packages" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize(("status", "code"), [("warning", 0), ("problem", 1)])
def test_doctor_fails_on_a_problem_only(
    monkeypatch: MonkeyPatch, capsys: Capture, status: checkup.Status, code: int
) -> None:
    monkeypatch.setattr(checkup, "CHECKS", {"Python": lambda: (status, "3.11.7", "Some advice.")})
    assert cli.main(["doctor"]) == code
    assert f"{checkup.SYMBOLS[status]} Python  3.11.7" in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["checks"][0]["result"]) == (code == 0, "3.11.7")


def test_by_default_the_notebooks_of_the_nearest_folder_run(tmp_path: Path, progress_file: Path) -> None:
    """A folder without notebooks is passed over; torch is not imported for it; the record stays as it is."""
    write(tmp_path / "notebooks/00_bad.ipynb", "1 / 0")
    source = "from tsnb.practice import checks\nprint(checks.check('untying-price', [1]).kind)"
    write(tmp_path / "notebooks/01_exercise.ipynb", source)
    write(tmp_path / "notebooks/02-checkpoint.ipynb", "1")
    (tmp_path / "below/notebooks").mkdir(parents=True)
    done = tsnb_command("run", "--output", "out", cwd=tmp_path / "below")
    assert done.returncode == 1
    table = done.stdout.splitlines()[2:]
    assert ["ZeroDivisionError: division by zero (cell 1)" in line for line in table] == [True, False]
    assert [line.split()[1:4:2] for line in table] == [["00_bad", "FAILED"], ["01_exercise", "ok"]]
    out = tmp_path / "below/out"
    assert {path.name for path in out.iterdir()} == {"00_bad.html", "01_exercise.html", "summary.md"}
    assert (out / "summary.md").read_text() == done.stdout
    assert "WARNING" not in done.stderr  # ipykernel's, of connections without encryption
    assert not progress_file.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize("when", ["in a cell", "while the kernel starts"])
def test_ctrl_c_ends_the_kernels(tmp_path: Path, when: str) -> None:
    first = write(tmp_path / "first.ipynb", "1")
    second = write(tmp_path / "second.ipynb", f"open({str(tmp_path / 'begun')!r}, 'w').close()\nwhile True: pass")
    command = [*COMMAND, "run", "--output", str(tmp_path / "out"), str(first), str(second)]
    process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (kernels := process.children()) or (when == "in a cell" and not (tmp_path / "begun").exists()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), err
    assert err.splitlines()[-1] == "Stopped; nothing keeps running."
    assert not {"KeyboardInterrupt", "CancelledError"} & set(err.replace(":", " ").split())  # no traceback
    assert not any(kernel.is_running() for kernel in kernels)
    written = {path.name for path in (tmp_path / "out").iterdir()}  # what was finished stays
    assert written == ({"first.html", "summary.md"} if when == "in a cell" else set())


def test_bench_prints_a_table_and_writes_csv_and_a_figure(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "own.csv").write_bytes("id;review\n1;who was jim henson ?\n2;a poét\n".encode("cp1252"))
    folder = tmp_path / "made/here"
    arguments = (*QUICK, "--file", tmp_path / "own.csv", "--column", "review", "--output", folder)
    assert cli.main(list(map(str, arguments))) == 0
    out, err = capsys.readouterr()
    assert "tsnb.Runner" in out
    assert "2 texts, 11 tokens" in out
    read, lacking = err.splitlines()[:2]  # no name of a warning, no line of source
    assert read.startswith(f"{tmp_path / 'own.csv'} is no UTF-8. It was read as Windows-1252")
    assert lacking.startswith("The checkpoint lacks these weights")
    assert (folder / "benchmark.csv").read_text(encoding="utf-8").count("\n") == 1 + 2 * 2
    assert "<svg" in (folder / "benchmark.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backends", "runer"), "Did you mean runner"),
        (("--batch-size", "0"), "batch_size must be a whole number"),
        (("--file", "nowhere.txt"), "nowhere.txt"),
        (("--file", str(ROOT / "constraints.txt"), "--encoding", "ansi2"), "encoding called ansi2"),
    ],
)
def test_bench_says_what_is_wrong_in_a_sentence(capsys: Capture, options: tuple[str, ...], message: str) -> None:
    assert message in misused(capsys, "bench", "tiny-bert", "--texts", "2", *options)


def test_progress_is_shown_exported_and_forgotten(tmp_path: Path, capsys: Capture) -> None:
    checks.check("untying-price", RIGHT)
    assert cli.main(["progress", "01"]) == 0
    assert "What would untying cost here?" in capsys.readouterr().out
    page = tmp_path / "ana.md"
    assert cli.main(["progress", "--export", str(page), "--name", "Ana"]) == 0
    assert str(page) in capsys.readouterr().out
    assert "Ana" in page.read_text(encoding="utf-8")
    assert "--replace" in misused(capsys, "progress", "--export", page)
    assert cli.main(["progress", "--export", str(page), "--replace"]) == 0
    assert "Ana" not in page.read_text(encoding="utf-8")
    assert cli.main(["progress", "--reset"]) == 0
    assert record().events() == []
    capsys.readouterr()
    assert misused(capsys, "progress", "9").startswith("There is no notebook 9 with exercises.")
