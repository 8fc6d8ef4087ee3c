"""Saving and loading: the same bits, whole files, and one sentence for what cannot be done."""

import errno
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from torch import nn

import tsnb
from tests.artifacts.test_archive import refused, without_rights
from tests.kinds import Load, MonkeyPatch, Python, Traces
from tests.tracing import architectures
from tests.tracing.architectures import make
from tsnb.artifacts.archive import MEMBER, append_digest
from tsnb.artifacts.save import OtherDeviceWarning, OtherVersionWarning
from tsnb.models.load import Head, quiet_transformers
from tsnb.tracing.traced import quiet_jit

ANSWER = """
import sys
from pathlib import Path
import torch, tsnb
torch.set_num_threads(1)
for path in sorted(Path(sys.argv[1]).glob("*.pt")):
    inputs, expected = torch.load(path.with_suffix(".expected"))
    outputs = tsnb.load_traced(path)(**inputs)
    pairs = zip(outputs.values(), expected.values(), strict=True)
    print(path.stem, list(outputs) == list(expected) and all(torch.equal(*pair) for pair in pairs))
"""
FULL = """
import resource, sys, tsnb
traced = tsnb.load_traced(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    tsnb.save(traced, sys.argv[2])
except tsnb.ArtifactError as error:
    print(error)
"""
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch, tsnb
from tsnb.artifacts.archive import check
torch.set_num_threads(1)
path, kills = Path(sys.argv[1]), int(sys.argv[2])
traces = [tsnb.trace(torch.nn.Linear(size, 400).eval(), {"input": torch.zeros(1, size)}) for size in (300, 400)]
tsnb.save(traces[0], path)

def saver(traced):
    if process := os.fork():
        return process
    try:
        while not (path.parent / "stop").exists():
            tsnb.save(traced, path)
        os._exit(0)
    finally:
        os._exit(1)

living, left = saver(traces[0]), 0
for _ in range(kills):
    process = saver(traces[1])
    time.sleep(random.uniform(0.01, 0.08))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    left += len([*path.parent.glob(".tsnb-*")]) > 1  # beside the living one's
    check(path)
(path.parent / "stop").touch()
_, status = os.waitpid(living, 0)
tsnb.save(traces[1], path)
print(status, left > 0, tsnb.load_traced(path).contract == traces[1].contract, *sorted(os.listdir(path.parent)))
print(left, "of", kills, file=sys.stderr)
"""
ROUND_TRIP = ("distilbert", "roberta", "deberta-v2", "t5-encoder", "marian", "longformer", "canine")


@pytest.fixture
def saved(traced: Traces, load: Load, tmp_path: Path) -> Path:
    return tsnb.save(traced(), tmp_path / "bert.pt", load()[1])


@pytest.fixture
def linear() -> tsnb.Traced:
    return tsnb.trace(nn.Linear(2, 2).eval(), {"input": torch.zeros(1, 2)})


def example(traced: tsnb.Traced) -> dict[str, torch.Tensor]:
    shape = (traced.contract.batch_size or 1, traced.contract.length or 1)
    return dict.fromkeys(traced.contract.input_names, torch.ones(shape, dtype=torch.int64))


def plain_save(module: Any, path: Path, extra: dict[str, str] | None = None) -> Path:
    """Save a module as somebody without tsnb would; a file with extra members gets its digest."""
    with quiet_jit() as jit:
        jit.save(module, str(path), _extra_files=extra or {})
    if extra:
        append_digest(path)
    return path


# What was saved is what is loaded


def test_outputs_are_equal_bit_for_bit_in_another_process(traced: Traces, python: Python, tmp_path: Path) -> None:
    traces = {head: traced(head) for head in get_args(Head)}
    with quiet_transformers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ROUND_TRIP:
            traces[name] = tsnb.trace(make(name), architectures.example(name))
    for name, trace in traces.items():
        inputs = example(trace)
        torch.save((inputs, trace(**inputs)), tmp_path / f"{name}.expected")
        tsnb.save(trace, tmp_path / f"{name}.pt")
    assert python(ANSWER, tmp_path).splitlines() == [f"{name} True" for name in sorted(traces)]


def test_a_loaded_trace_and_its_tokenizer_are_saved_again(traced: Traces, load: Load, saved: Path) -> None:
    loaded, tokenizer = tsnb.load_traced(saved), tsnb.load_tokenizer(saved)
    assert loaded.contract == traced().contract
    assert len(tsnb.tying(loaded.module).tied) >= 1
    texts = ["Who was Jim Henson ?", "unheard of, [MASK] 한국어"]
    more = tsnb.Traced(loaded.module, loaded.contract.with_verified([(4, 8)]))
    again = tsnb.save(more, saved, tokenizer)
    assert set(tsnb.load_traced(again).contract.verified) - set(loaded.contract.verified) == {(4, 8)}
    assert tsnb.load_tokenizer(again)(texts) == tokenizer(texts) == load()[1](texts)
    assert type(tokenizer) is type(load()[1])


def test_where_a_file_is_written(linear: tsnb.Traced, saved: Path, tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tsnb.save(linear, "~/some/where/.linear.pt") == tmp_path / "some/where/.linear.pt"
    assert tsnb.load_traced("~/some/where/.linear.pt").contract == linear.contract
    link = tmp_path / "latest.pt"
    link.symlink_to(saved)
    assert tsnb.save(linear, link) == link
    assert link.is_symlink()
    assert tsnb.load_traced(saved).contract.model_id == "Linear"
    assert {path.name for path in tmp_path.iterdir()} == {"bert.pt", "latest.pt", "some"}


def test_a_file_of_somebody_else_is_loaded_and_called_by_name(tmp_path: Path) -> None:
    module = nn.Bilinear(2, 3, 4).eval()
    with quiet_jit() as jit:
        path = plain_save(jit.script(module), tmp_path / "foreign.pt")
    loaded = tsnb.load_traced(path)
    assert (loaded.contract.known, loaded.contract.input_names) == (False, ("input1", "input2"))
    first, second = torch.rand(1, 2), torch.rand(1, 3)
    assert torch.allclose(loaded(input2=second, input1=first)["output_0"], module(first, second))
    assert "holds no tokenizer" in refused(tsnb.load_tokenizer, path)


@pytest.mark.parametrize(
    ("made", "onto", "words"),
    [
        ((torch.__version__.partition("+")[0] + "+other", ("cpu",)), "cpu", []),
        (("", ()), "meta", []),
        (("2.6.0", ()), "cpu", ["was made with torch 2.6.0"]),
        (("", ("cuda:0",)), "cpu", ["puts tensors on cuda:0"]),
        (("", ("cpu",)), "meta", ["is loaded onto meta"]),
    ],
)
def test_another_torch_or_device_than_the_file_s_is_told_on_loading(
    linear: tsnb.Traced, tmp_path: Path, made: tuple[str, tuple[str, ...]], onto: str, words: list[str]
) -> None:
    contract = replace(linear.contract, versions={"torch": made[0]}, devices=made[1])
    path = tsnb.save(tsnb.Traced(linear.module, contract), tmp_path / "linear.pt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = tsnb.load_traced(path, map_location=torch.device(onto))
    own = [note for note in caught if issubclass(note.category, (OtherVersionWarning, OtherDeviceWarning))]
    assert [note.filename for note in own] == [__file__] * len(words)
    assert all(text in str(note.message) for note, text in zip(own, words, strict=True))
    assert {tensor.device.type for tensor in loaded.module.parameters()} == {onto}


# What cannot be saved, and that nothing is lost


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), tsnb.ArtifactError),
        (RuntimeError("unexpected pos 64 vs 0"), tsnb.ArtifactError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(
    linear: tsnb.Traced, saved: Path, monkeypatch: MonkeyPatch, failure: BaseException, expected: type[BaseException]
) -> None:
    def half(_: object, path: str, **__: object) -> None:
        with open(path, "wb") as file:  # noqa: PTH123, as torch does
            file.write(b"PK\x03\x04 and no more")
        raise failure

    before = saved.read_bytes()
    monkeypatch.setattr(torch.jit, "save", half)
    with pytest.raises(expected):
        tsnb.save(linear, saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["bert.pt"]


def test_a_full_disk_costs_neither_the_process_nor_the_old_file(
    linear: tsnb.Traced, saved: Path, tmp_path: Path, python: Python, monkeypatch: MonkeyPatch
) -> None:
    path = tsnb.save(linear, tmp_path / "target" / "bert.pt")
    before = path.read_bytes()
    printed = python(FULL, saved, path)  # where torch met the full disk, it ended the process
    assert printed.startswith(f"{path} cannot be written: {os.strerror(errno.EFBIG)}.")
    monkeypatch.delattr(os, "posix_fallocate")  # as on macOS and Windows
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    assert f"cannot be written: {os.strerror(errno.ENOSPC)}." in refused(tsnb.save, linear, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["bert.pt"]


def test_kills_during_a_save_lose_nothing_also_beside_another_who_saves(python: Python, tmp_path: Path) -> None:
    assert python(KILLED, tmp_path / "model.pt", 50).split() == ["0", "True", "True", "model.pt", "stop"]


@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_reserved_is_enough(traced: Traces, tmp_path: Path, monkeypatch: MonkeyPatch, *, frozen: bool) -> None:
    reserved: list[int] = []
    monkeypatch.setattr(os, "posix_fallocate", lambda _file, _start, size: reserved.append(size))
    module = traced().module
    with quiet_jit() as jit:
        module = jit.freeze(module) if frozen else module
    path = tsnb.save(tsnb.Traced(module, traced().contract), tmp_path / "bert.pt")
    assert 3_000_000 < path.stat().st_size < reserved[0] < path.stat().st_size + 9_000_000


def test_where_nothing_can_be_written(linear: tsnb.Traced, saved: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "fixed").mkdir(mode=0o555)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    before = sorted(tmp_path.iterdir())
    assert f"{tmp_path} is a folder" in refused(tsnb.save, linear, tmp_path)
    assert "Not a directory" in refused(tsnb.save, linear, saved / "linear.pt")
    assert "no file but a device" in refused(tsnb.save, linear, tmp_path / "pipe")
    with without_rights():
        assert "Permission denied" in refused(tsnb.save, linear, tmp_path / "fixed" / "linear.pt")
    for path in (None, 5, "a\0b", "~nobody-of-that-name/bert.pt"):
        assert f"got {path!r}" in refused(tsnb.save, linear, path)
    assert sorted(tmp_path.iterdir()) == before


def test_something_else_than_a_trace_or_a_tokenizer(linear: tsnb.Traced, load: Load, tmp_path: Path) -> None:
    path = tmp_path / "linear.pt"
    module: Any = linear.module
    with pytest.raises(tsnb.InputError, match="got TopLevelTracedModule"):
        tsnb.save(module, path)
    assert "Expected a tokenizer" in refused(tsnb.save, linear, path, "bert-base")
    assert "Expected a tokenizer" in refused(tsnb.save, linear, path, load()[0])
    assert list(tmp_path.iterdir()) == []


class Korean(nn.Module):
    """Names its input in a script that TorchScript writes, and does not read."""

    def forward(self, 문장: torch.Tensor) -> torch.Tensor:  # noqa: N803, PLC2401
        return 문장 * 2


def test_names_that_torch_could_not_read_again(tmp_path: Path) -> None:
    traced = tsnb.trace(Korean().eval(), {"문장": torch.ones(1, 2)})
    plain = plain_save(traced.module, tmp_path / "plain.pt")
    with pytest.raises(RuntimeError):
        torch.jit.load(str(plain))
    plain.unlink()
    assert "has the name 문장" in refused(tsnb.save, traced, tmp_path / "bert.pt")
    assert not list(tmp_path.iterdir())


# What cannot be loaded


class Going(nn.Module):
    """A module with a method, and no forward."""

    @torch.jit.export
    def go(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def test_a_file_without_a_forward(tmp_path: Path) -> None:
    with quiet_jit() as jit, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = plain_save(jit.script(Going()), tmp_path / "going.pt")
    assert "without a forward" in refused(tsnb.load_traced, path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"input_names": ["x"], "from_the_future": 1}'])
def test_a_contract_that_was_tampered_with(linear: tsnb.Traced, tmp_path: Path, text: str) -> None:
    path = plain_save(linear.module, tmp_path / "linear.pt", {MEMBER: text})
    assert "the contract inside cannot be read" in refused(tsnb.load_traced, path)


def test_torch_does_not_see_a_damaged_file(saved: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("torch was asked"))
    saved.write_bytes(saved.read_bytes().replace(b"jim", b"tim"))
    assert "bytes were changed" in refused(tsnb.load_traced, saved)
    assert "bytes were changed" in refused(tsnb.load_tokenizer, saved)


@pytest.mark.parametrize("device", ["gpu", "cuda:0"])
def test_a_device_that_is_not_there(saved: Path, device: str) -> None:
    assert f"cannot load {saved} onto {device}. torch said: " in refused(tsnb.load_traced, saved, device)


def test_a_tokenizer_that_transformers_cannot_load_and_names_that_leave_its_folder(
    linear: tsnb.Traced, tmp_path: Path
) -> None:
    extra = {
        MEMBER: linear.contract.to_json(),
        "tokenizer/tokenizer.json": "{",
        "tokenizer/../../../../../evil.txt": "text",
    }
    path = plain_save(linear.module, tmp_path / "linear.pt", extra)
    assert "holds a tokenizer that this transformers cannot load" in refused(tsnb.load_tokenizer, path)
    assert not [parent for parent in tmp_path.parents if (parent / "evil.txt").exists()]
