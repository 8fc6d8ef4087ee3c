from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import tsnb
from tsnb.archive import MEMBER, seal
from tsnb.artifacts import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Traces = Callable[..., tsnb.Traced]

ANSWER = """
import sys, torch, tsnb
traced = tsnb.load_traced(sys.argv[1])
inputs, expected = torch.load(sys.argv[2])
outputs = traced(**inputs)
print(*(name for name, tensor in outputs.items() if torch.equal(tensor, expected[name])))
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


def refused(call: Callable[..., object], *arguments: object) -> tsnb.ArtifactError:
    with pytest.raises(tsnb.ArtifactError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize("head", ["encoder", "masked-lm", "question-answering"])
def test_the_outputs_are_equal_bit_for_bit_in_another_process(
    traced: Traces, python: Callable[..., str], tmp_path: Path, head: str
) -> None:
    trace = traced(head)
    inputs = example(trace)
    outputs = trace(**inputs)
    torch.save((inputs, outputs), tmp_path / "expected")
    file = tsnb.save(trace, tmp_path / "bert.pt")
    assert python(ANSWER, file, tmp_path / "expected").split() == list(outputs)


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
