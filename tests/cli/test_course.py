"""`tsnb course`: what the wheel holds, and a folder where nothing of the reader's is overwritten."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import jupyterlab.labapp
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.kinds import Capture, MonkeyPatch
from tsnb.base.errors import ArtifactError
from tsnb.cli import course
from tsnb.cli import main as cli

ROOT = Path(__file__).parents[2]
TREE = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks/solutions").glob("*.py")]
NAMES = {path.relative_to(ROOT / "notebooks").as_posix() for path in TREE}
BUILD = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it, which is all that installing it does."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*BUILD, folder, ROOT], check=True)
    [wheel] = folder.glob("*.whl")
    with ZipFile(wheel) as file:
        file.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_the_course_and_the_licences_and_lays_the_course_out(unpacked: Path, tmp_path: Path) -> None:
    """With no checkout about, `tsnb run` in an empty folder runs the package's own; here one small notebook."""
    inside = unpacked / "tsnb/notebooks"
    assert {path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file()} == NAMES
    [licences] = unpacked.glob("*.dist-info/licenses")
    assert {path.name: path.read_text() for path in licences.iterdir()} == {
        name: (ROOT / name).read_text() for name in ("LICENSE", "NOTICE")
    }
    for path in inside.glob("*.ipynb"):
        path.unlink()
    nbformat.write(new_notebook(cells=[new_code_cell("import tsnb; print(tsnb.__file__)")]), inside / course.FIRST)
    for command in ("course my-course --no-lab", "run --output page"):
        code = f"import sys; sys.path[:0] = [{str(unpacked)!r}]; from tsnb.cli.main import main; sys.exit(main())"
        subprocess.run([sys.executable, "-c", code, *command.split()], cwd=tmp_path, check=True)
        (tmp_path / "my-course").rename(tmp_path / "elsewhere") if command.startswith("course") else None
    laid = {path.relative_to(tmp_path / "elsewhere").as_posix() for path in (tmp_path / "elsewhere").rglob("*.*")}
    assert laid == {course.FIRST, course.MANIFEST, *(name for name in NAMES if name.startswith("solutions/"))}
    assert (tmp_path / "page/00_start_here.html").is_file()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: MonkeyPatch) -> Path:
    """Return a course of two files, in place of the real one."""
    folder = tmp_path / "package/notebooks"
    (folder / "solutions").mkdir(parents=True)
    (folder / course.FIRST).write_text("first")
    (folder / "solutions/01_a.py").write_text("old")
    monkeypatch.setattr(course, "ROOTS", [tmp_path, folder.parent])
    return folder


def damage(folder: Path) -> None:
    (folder / course.MANIFEST).write_text('{"half')


@pytest.mark.parametrize(
    ("between", "written", "kept"),
    [
        (Path.exists, True, False),
        (lambda folder: (folder / "solutions/01_a.py").write_text("mine"), False, True),
        (lambda folder: (folder / "solutions/01_a.py").write_text("new"), False, False),
        (lambda folder: (folder / "solutions/01_a.py").unlink(), True, False),
        (lambda folder: (folder / "notes.txt").write_text("mine"), True, False),
        (damage, False, True),
    ],
    ids=["untouched", "changed", "the same change", "deleted", "a file of the reader's", "no record of what was laid"],
)
def test_a_newer_course_replaces_only_what_is_as_it_was_laid(
    source: Path, tmp_path: Path, between: Callable[[Path], object], *, written: bool, kept: bool
) -> None:
    folder, name = tmp_path / "my course", "solutions/01_a.py"
    assert course.lay_out(folder) == ([course.FIRST, name], [])
    between(folder)
    there = {path: path.read_bytes() for path in folder.rglob("*.*") if path.name != course.MANIFEST}
    (source / name).write_text("new")
    assert course.lay_out(folder) == ([name] * written, [name] * kept)
    for path, content in there.items():
        assert path.read_bytes() == (b"new" if written and path.name == "01_a.py" else content)
    assert course.lay_out(folder) == ([], [name] * kept)


def test_what_stood_there_before_is_kept_and_said(source: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / course.FIRST).write_text("another course")
    assert cli.main(["course", str(tmp_path), "--no-lab"]) == 0
    assert f"Kept, as they were changed: {course.FIRST}. Rename one" in capsys.readouterr().out
    assert (tmp_path / course.FIRST).read_text() == "another course"
    assert source.is_dir()


def test_a_folder_that_cannot_be_is_one_sentence(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "other" / course.FIRST).mkdir(parents=True)
    for folder in ("file", "other"):
        with pytest.raises(ArtifactError, match=r"cannot be written: .* Name another folder"):
            course.lay_out(tmp_path / folder)
    assert source.is_dir()


def test_jupyterlab_opens_its_first_notebook_and_asks_nobody_for_news(
    source: Path, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(jupyterlab.labapp, "main", started.append)
    options = "--no-browser --port=8899"
    assert cli.main(["course", str(tmp_path / "c"), f"--lab={options}"]) == 0
    [[first, *given]] = started
    assert Path(first) == tmp_path / "c" / course.FIRST
    assert {"--LabApp.news_url=None", *shlex.split(options)} < set(given)
    assert source.is_dir()
