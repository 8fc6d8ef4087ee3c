from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import tsnb
from tests.artifacts.test_archive import refused, without_rights
from tests.tracing import architectures
from tests.tracing.architectures import make
from tsnb.artifacts import save as artifacts
from tsnb.artifacts.archive import MEMBER, seal
from tsnb.artifacts.save import OtherDeviceWarning, OtherVersionWarning
from tsnb.models.load import Head, quiet_transformers
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Traces = Callable[..., tsnb.Traced]

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
PLAIN = """
import json, sys, torch
extra = {"tsnb_contract.json": ""}
module = torch.jit.load(sys.argv[1], _extra_files=extra)
inputs, expected = torch.load(sys.argv[2])
[output] = module(**inputs)
print(torch.equal(output, expected["logits"]), json.loads(extra["tsnb_contract.json"])["length"])
print("tsnb" in sys.modules, "transformers" in sys.modules)
"""


FULL = """
import resource, sys, tsnb
traced = tsnb.load_traced(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    tsnb.save(traced, sys.argv[2])
except tsnb.ArtifactError as error:
    print(error.key, error.gaps["why"])
"""
ROUND_TRIP = ("distilbert", "roberta", "deberta-v2", "t5-encoder", "marian", "longformer", "canine")


@pytest.fixture
def saved(traced: Traces, tmp_path: Path) -> Path:
    return tsnb.save(traced(), tmp_path / "bert.pt")


@pytest.fixture
def linear() -> tsnb.Traced:
    return tsnb.trace(nn.Linear(2, 2).eval(), {"input": torch.zeros(1, 2)})


def example(traced: tsnb.Traced) -> dict[str, torch.Tensor]:
    shape = (traced.contract.batch_size or 1, traced.contract.length or 1)
    return dict.fromkeys(traced.contract.input_names, torch.ones(shape, dtype=torch.int64))


def write_foreign(path: Path) -> nn.Module:
    """Write a scripted module as somebody without tsnb would."""
    module = nn.Bilinear(2, 3, 4).eval()
    with quiet_jit() as jit:
        jit.save(jit.script(module), str(path))
    return module


def test_outputs_are_equal_bit_for_bit_in_another_process(
    traced: Traces, python: Callable[..., str], tmp_path: Path
) -> None:
    traces = {head: traced(head) for head in get_args(Head)}
    with quiet_transformers(), no_warnings():
        for name in ROUND_TRIP:
            traces[name] = tsnb.trace(make(name), architectures.example(name))
    for name, trace in traces.items():
        inputs = example(trace)
        torch.save((inputs, trace(**inputs)), tmp_path / f"{name}.expected")
        tsnb.save(trace, tmp_path / f"{name}.pt")
    assert python(ANSWER, tmp_path).splitlines() == [f"{name} True" for name in sorted(traces)]


def test_plain_torch_reads_the_trace_and_its_contract(
    traced: Traces, saved: Path, python: Callable[..., str], tmp_path: Path
) -> None:
    inputs = example(traced())
    torch.save((inputs, traced()(**inputs)), tmp_path / "expected")
    printed = python(PLAIN, saved, tmp_path / "expected")
    assert printed.splitlines() == ["True 24", "False False"]


def test_the_contract_travels_with_the_file(traced: Traces, saved: Path) -> None:
    assert tsnb.load_traced(saved).contract == traced().contract


def test_a_trace_is_saved_again_with_a_changed_contract(saved: Path) -> None:
    loaded = tsnb.load_traced(saved)
    more = tsnb.Traced(loaded.module, loaded.contract.with_verified([(4, 8)]))
    assert tsnb.load_traced(tsnb.save(more, saved)).contract == more.contract
    assert set(more.contract.verified) - set(loaded.contract.verified) == {(4, 8)}


def test_tied_weights_are_still_tied_after_loading(saved: Path) -> None:
    assert len(tsnb.tying(tsnb.load_traced(saved).module).tied) >= 1


@pytest.mark.parametrize("spelling", [str, lambda path: path])
def test_parent_folders_are_made(
    linear: tsnb.Traced, tmp_path: Path, spelling: Callable[[Path], Any]
) -> None:
    path = tmp_path / "some" / "where" / "linear.pt"
    assert tsnb.save(linear, spelling(path)) == path
    assert tsnb.load_traced(spelling(path)).contract.model_id == "Linear"


def test_a_path_may_start_at_home(
    linear: tsnb.Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tsnb.save(linear, "~/linear.pt") == tmp_path / "linear.pt"
    assert tsnb.load_traced("~/linear.pt").contract.known


def test_an_older_file_is_replaced(linear: tsnb.Traced, saved: Path) -> None:
    tsnb.save(linear, saved)
    assert tsnb.load_traced(saved).contract.model_id == "Linear"
    assert [path.name for path in saved.parent.iterdir()] == ["bert.pt"]


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), tsnb.ArtifactError),
        (RuntimeError("unexpected pos 64 vs 0"), tsnb.ArtifactError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(
    linear: tsnb.Traced,
    saved: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    seen: type[BaseException],
) -> None:
    def half(_: object, path: str, **__: object) -> None:
        with open(path, "wb") as file:  # noqa: PTH123, as torch does
            file.write(b"PK\x03\x04 and no more")
        raise failure

    before = saved.read_bytes()
    monkeypatch.setattr(torch.jit, "save", half)
    with pytest.raises(seen):
        tsnb.save(linear, saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["bert.pt"]


def test_a_path_that_is_a_folder(linear: tsnb.Traced, tmp_path: Path) -> None:
    assert refused(tsnb.save, linear, tmp_path).key == "artifacts.to-folder"
    assert refused(tsnb.load_traced, tmp_path).key == "artifacts.folder"
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file(linear: tsnb.Traced, saved: Path) -> None:
    error = refused(tsnb.save, linear, saved / "linear.pt")
    assert (error.key, error.gaps["path"]) == ("artifacts.not-written", saved / "linear.pt")


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    error = refused(tsnb.load_traced, tmp_path / "none.pt")
    assert (error.key, error.gaps) == ("artifacts.no-file", {"path": tmp_path / "none.pt"})


def test_a_file_of_somebody_else_is_loaded_and_called_by_name(tmp_path: Path) -> None:
    path = tmp_path / "foreign.pt"
    module = write_foreign(path)
    loaded = tsnb.load_traced(path)
    assert (loaded.contract.known, loaded.contract.input_names) == (False, ("input1", "input2"))
    first, second = torch.rand(1, 2), torch.rand(1, 3)
    outputs = loaded(input2=second, input1=first)
    assert torch.allclose(outputs["output_0"], module(first, second))


class Going(nn.Module):
    """A module with a method, and no forward."""

    @torch.jit.export
    def go(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def test_a_file_without_a_forward(tmp_path: Path) -> None:
    with quiet_jit() as jit, no_warnings():
        jit.save(jit.script(Going()), str(tmp_path / "going.pt"))
    assert refused(tsnb.load_traced, tmp_path / "going.pt").key == "artifacts.no-forward"


@pytest.mark.parametrize("text", [b"", b"just some text\n", b"PK\x03\x04" + b"\0" * 60])
def test_bytes_that_are_no_torchscript(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "bert.pt"
    path.write_bytes(text)
    error = refused(tsnb.load_traced, path)
    assert (error.key, error.gaps["size"]) == ("artifacts.not-torchscript", len(text))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off(saved: Path, share: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    assert refused(tsnb.load_traced, saved).key == "artifacts.not-torchscript"


@pytest.mark.parametrize("write", [save_file, torch.save])
def test_a_file_of_weights(tmp_path: Path, write: Callable[..., None]) -> None:
    path = tmp_path / "weights.pt"
    write({"weight": torch.zeros(2)}, path)
    assert refused(tsnb.load_traced, path).key == "artifacts.not-torchscript"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"input_names": ["x"], "from_the_future": 1}'])
def test_a_contract_that_was_tampered_with(linear: tsnb.Traced, tmp_path: Path, text: str) -> None:
    path = tmp_path / "linear.pt"
    with quiet_jit() as jit:
        jit.save(linear.module, str(path), _extra_files={MEMBER: text})
    seal(path)
    assert refused(tsnb.load_traced, path).key == "artifacts.bad-contract"


def test_saving_through_a_link_writes_what_it_points_to(
    linear: tsnb.Traced, saved: Path, tmp_path: Path
) -> None:
    link = tmp_path / "latest.pt"
    link.symlink_to(saved)
    assert tsnb.save(linear, link) == link
    assert link.is_symlink()
    assert tsnb.load_traced(saved).contract.model_id == "Linear"


def test_what_a_killed_save_has_left_is_removed_by_the_next(linear: tsnb.Traced, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left, others, strange = (
        tmp_path / f".tsnb-save-{name}" for name in (f"{ended.pid}-a", f"{os.getpid()}-b", "x-y")
    )
    for folder in (left, others, strange):
        folder.mkdir()
        (folder / "linear.pt").write_bytes(b"half")
    tsnb.save(linear, tmp_path / "linear.pt")
    assert (left.exists(), others.exists(), strange.exists()) == (False, True, True)


def test_a_folder_that_may_not_be_written_to(linear: tsnb.Traced, tmp_path: Path) -> None:
    folder = tmp_path / "fixed"
    folder.mkdir(mode=0o555)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    with without_rights():
        error = refused(tsnb.save, linear, folder / "linear.pt")
    assert (error.key, error.gaps["why"]) == ("artifacts.not-written", "Permission denied")


def test_a_full_disk_costs_neither_the_process_nor_the_old_file(
    traced: Traces, linear: tsnb.Traced, tmp_path: Path, python: Callable[..., str]
) -> None:
    path = tsnb.save(linear, tmp_path / "target" / "bert.pt")
    before = path.read_bytes()
    other = tsnb.save(traced(), tmp_path / "bert.pt")
    printed = python(FULL, other, path)  # where torch met the full disk, it ended the process
    assert printed == f"artifacts.not-written {os.strerror(errno.EFBIG)}\n"
    assert path.read_bytes() == before
    assert [held.name for held in path.parent.iterdir()] == ["bert.pt"]


def test_a_full_disk_where_space_cannot_be_reserved(
    linear: tsnb.Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    assert tsnb.save(linear, tmp_path / "linear.pt").is_file()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    error = refused(tsnb.save, linear, tmp_path / "linear.pt")
    assert error.gaps["why"] == os.strerror(errno.ENOSPC)


@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_reserved_is_enough(traced: Traces, tmp_path: Path, *, frozen: bool) -> None:
    module = traced().module
    with quiet_jit() as jit:
        module = jit.freeze(module) if frozen else module
        jit.save(module, str(tmp_path / "bert.pt"))
    needed = (tmp_path / "bert.pt").stat().st_size
    assert 3_000_000 < artifacts._bytes_of(module) < needed
    assert needed < artifacts._bytes_of(module) + artifacts.SPARE


def test_something_else_than_a_trace_or_a_tokenizer(linear: tsnb.Traced, tmp_path: Path) -> None:
    save: Any = tsnb.save
    path = tmp_path / "linear.pt"
    assert refused(save, linear.module, path).gaps == {"given": "TopLevelTracedModule"}
    assert refused(save, linear, path, "bert-base").key == "artifacts.not-a-tokenizer"
    assert list(tmp_path.iterdir()) == []


def test_the_tokenizer_travels_with_the_file(
    traced: Traces, load: Callable[..., Any], tmp_path: Path, python: Callable[..., str]
) -> None:
    tokenizer = load()[1]
    path = tsnb.save(traced(), tmp_path / "bert.pt", tokenizer)
    back = tsnb.load_tokenizer(path)
    texts = ["Who was Jim Henson ?", "unheard of, [MASK] 한국어"]
    assert back(texts) == tokenizer(texts)
    assert (type(back), back.pad_token_id) == (type(tokenizer), tokenizer.pad_token_id)
    code = "import sys, tsnb; print(tsnb.load_tokenizer(sys.argv[1])(sys.argv[2])['input_ids'])"
    assert python(code, path, texts[0]) == f"{tokenizer(texts[0])['input_ids']}\n"


def test_a_loaded_tokenizer_is_saved_again(traced: Traces, load: Callable[..., Any], tmp_path: Path) -> None:
    path = tsnb.save(traced(), tmp_path / "bert.pt", load()[1])
    before = tsnb.inspect(path).tokenizer
    tsnb.save(tsnb.load_traced(path), path, tsnb.load_tokenizer(path))
    assert before.keys() == tsnb.inspect(path).tokenizer.keys()
    assert tsnb.load_tokenizer(path)("Jim Henson") == load()[1]("Jim Henson")


def test_a_file_without_a_tokenizer(saved: Path) -> None:
    assert refused(tsnb.load_tokenizer, saved).key == "artifacts.no-tokenizer"


def test_a_tokenizer_that_transformers_cannot_load(linear: tsnb.Traced, tmp_path: Path) -> None:
    path = tmp_path / "linear.pt"
    extra = {MEMBER: linear.contract.to_json(), "tokenizer/tokenizer.json": "{"}
    with quiet_jit() as jit:
        jit.save(linear.module, str(path), _extra_files=extra)
    seal(path)
    assert refused(tsnb.load_tokenizer, path).key == "artifacts.bad-tokenizer"


def test_a_damaged_file_gives_no_tokenizer(traced: Traces, load: Callable[..., Any], tmp_path: Path) -> None:
    path = tsnb.save(traced(), tmp_path / "bert.pt", load()[1])
    path.write_bytes(path.read_bytes().replace(b"jim", b"tim"))
    assert refused(tsnb.load_tokenizer, path).key == "artifacts.damaged"


def test_torch_does_not_see_a_damaged_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("torch was asked"))
    content = bytearray(saved.read_bytes())
    content[1000] ^= 1
    saved.write_bytes(content)
    assert refused(tsnb.load_traced, saved).key == "artifacts.damaged"


def test_the_digest_is_no_protection_against_a_new_digest(linear: tsnb.Traced, tmp_path: Path) -> None:
    path = tmp_path / "linear.pt"
    changed = replace(linear, contract=replace(linear.contract, model_id="something else"))
    with quiet_jit() as jit:
        jit.save(linear.module, str(path), _extra_files={MEMBER: changed.contract.to_json()})
    seal(path)
    assert tsnb.load_traced(path).contract.model_id == "something else"


@pytest.mark.parametrize("device", ["gpu", "cuda:0"])
def test_a_device_that_is_not_there(saved: Path, device: str) -> None:
    error = refused(tsnb.load_traced, saved, device)
    assert (error.key, error.gaps["device"]) == ("artifacts.not-loaded", device)
    assert "\n" not in str(error)


def test_a_whole_file_that_torch_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "bare.pt"
    with zipfile.ZipFile(path, "w") as held:
        for name in ("code/a.py", "constants.pkl", "data.pkl", "version"):
            held.writestr(f"bare/{name}", "3")
    error = refused(tsnb.load_traced, path)
    assert error.key == "artifacts.not-loaded"


@pytest.mark.parametrize(("made", "told"), [("2.13.0+cu130", False), ("2.6.0", True), ("", False)])
def test_another_version_of_torch_is_told_on_loading(
    linear: tsnb.Traced, tmp_path: Path, made: str, *, told: bool
) -> None:
    contract = replace(linear.contract, versions={"torch": made} if made else {})
    path = tsnb.save(tsnb.Traced(linear.module, contract), tmp_path / "linear.pt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tsnb.load_traced(path)
    found = [note for note in caught if note.category is OtherVersionWarning]
    assert [note.filename for note in found] == [__file__] * told
    assert all("torch 2.6.0" in str(note.message) for note in found)


@pytest.mark.parametrize(
    ("devices", "onto", "told"),
    [
        (("cpu",), "cpu", False),
        (("cuda:0",), "cpu", True),
        (("cpu",), "meta", True),
        ((), "meta", False),
    ],
)
def test_another_device_than_the_graphs_is_told_on_loading(
    linear: tsnb.Traced, tmp_path: Path, devices: tuple[str, ...], onto: str, *, told: bool
) -> None:
    contract = replace(linear.contract, devices=devices)
    path = tsnb.save(tsnb.Traced(linear.module, contract), tmp_path / "linear.pt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = tsnb.load_traced(path, map_location=torch.device(onto))
    assert [note.category for note in caught] == [OtherDeviceWarning] * told
    assert {held.device.type for held in loaded.module.parameters()} == {onto}


@pytest.mark.parametrize("path", [None, 5, "a\0b", "~nobody-of-that-name/bert.pt"])
def test_what_is_no_path(linear: tsnb.Traced, path: Any) -> None:
    assert refused(tsnb.save, linear, path).key == "artifacts.no-path"


def test_a_device_is_not_replaced(linear: tsnb.Traced, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tsnb.save, linear, tmp_path / "pipe").key == "artifacts.to-device"
    assert (tmp_path / "pipe").is_fifo()


def test_a_name_that_begins_with_a_dot(linear: tsnb.Traced, tmp_path: Path) -> None:
    path = tsnb.save(linear, tmp_path / ".bert.pt")
    assert tsnb.load_traced(path).contract == linear.contract


class Korean(nn.Module):
    """Names its input in a script that TorchScript writes, and does not read."""

    def forward(self, 문장: torch.Tensor) -> torch.Tensor:  # noqa: N803, PLC2401
        return 문장 * 2


def test_names_that_torch_could_not_read_again(tmp_path: Path) -> None:
    traced = tsnb.trace(Korean().eval(), {"문장": torch.ones(1, 2)})
    torch.jit.save(traced.module, str(tmp_path / "plain.pt"))
    with pytest.raises(RuntimeError):
        torch.jit.load(str(tmp_path / "plain.pt"))
    (tmp_path / "plain.pt").unlink()
    error = refused(tsnb.save, traced, tmp_path / "bert.pt")
    assert (error.key, error.gaps["name"]) == ("artifacts.not-ascii", "문장")
    assert not list(tmp_path.iterdir())


def test_a_model_in_place_of_the_tokenizer(linear: tsnb.Traced, tmp_path: Path) -> None:
    model = tsnb.load("tiny-bert")[0]
    error = refused(lambda traced, path: tsnb.save(traced, path, model), linear, tmp_path / "a.pt")
    assert error.key == "artifacts.not-a-tokenizer"
