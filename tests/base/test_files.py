"""Files that appear whole or not at all: what reaches the disk first, and whose temporary folders go."""

import errno
import fcntl
import os
import stat
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kinds import MonkeyPatch
from tsnb.base.files import DAY, SYSTEM, whole_file


def write(target: Path) -> None:
    with whole_file(target) as half:
        half.write_text("new", encoding="ascii")


def test_the_new_file_is_on_the_disk_before_the_old_one_goes(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    steps: list[str] = []
    real = os.replace

    def replace(half: Path, target: Path) -> None:
        steps.append("replace")
        real(half, target)

    def sync(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        if steps[-1] == "folder":  # as on some file systems; the new file stands by then
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    write(tmp_path / "note")
    assert steps == ["file", "replace", "folder"]
    assert (tmp_path / "note").read_text() == "new"


@pytest.mark.parametrize(
    ("name", "age", "goes"),
    [
        (f".tsnb-{SYSTEM}-killed", 0, True),
        (".tsnb-0badcafe-elsewhere", 0, False),
        (".tsnb-0badcafe-elsewhere", DAY + 60, True),
        (".tsnb-unlocked", 0, False),
        (".tsnb-unlocked", DAY + 60, True),
        ("mine", DAY + 60, False),
    ],
)
def test_a_folder_of_a_process_that_certainly_ended_goes(tmp_path: Path, name: str, age: int, *, goes: bool) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "half").write_text("ha")
    os.utime(folder, (time.time() - age,) * 2)
    write(tmp_path / "note")
    assert folder.exists() != goes
    assert (tmp_path / "note").exists()


@pytest.mark.parametrize("locks", ["work", "are granted to everybody", "are not there"])
def test_two_who_write_one_file_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: MonkeyPatch, locks: str
) -> None:
    if locks == "are granted to everybody":
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    elif locks == "are not there":
        monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with ExitStack() as stack:
        halves = [stack.enter_context(whole_file(tmp_path / "note")) for _ in range(3)]
        for number, half in enumerate(halves):
            half.write_text(str(number))
    assert (tmp_path / "note").read_text() == "0"
    assert list(tmp_path.iterdir()) == [tmp_path / "note"]
