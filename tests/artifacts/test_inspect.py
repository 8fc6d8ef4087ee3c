"""What `tsnb.inspect` shows of a file, and that it runs nothing."""

import pickle
import subprocess
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.artifacts.test_save import plain_save
from tests.kinds import Load, Python, Traces
from tsnb.artifacts.archive import MEMBER
from tsnb.tracing.traced import quiet_jit

LOOK = """
import sys, tsnb
artifact = tsnb.inspect(sys.argv[1])
print(artifact.digest, artifact.contract.length, len(artifact.weights), bool(str(artifact)))
print([name for name in ("torch", "transformers") if name in sys.modules])
"""
GOLDEN = """\
{path}, {size} bytes
digest: matches; no byte was changed since tsnb.save
tokenizer: 0 files, 0 bytes
code: 1 files, {code} bytes
weights and constants: 2 storages, 36 bytes, the largest first:
           24  weight  float32 3 × 2
           12  bias  float32 3
{contract}"""


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    traced = tsnb.trace(nn.Linear(2, 3).eval(), {"input": torch.zeros(1, 2)})
    return tsnb.save(traced, tmp_path / "linear.pt")


@pytest.fixture
def bert(traced: Traces, load: Load, tmp_path: Path) -> tsnb.Artifact:
    return tsnb.inspect(tsnb.save(traced(), tmp_path / "bert.pt", load()[1]))


def inspected(module: Any, path: Path) -> tsnb.Artifact:
    """Save a module as somebody without tsnb would, and inspect it."""
    return tsnb.inspect(plain_save(module, path))


def bare(path: Path, pickled: bytes) -> tsnb.Artifact:
    """Inspect an archive with a pickle that torch did not write."""
    members = {"code/a.py": b"", "constants.pkl": b"", "data.pkl": pickled, "data/0": b"1234"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"bare/{name}", content)
    return tsnb.inspect(path)


def test_the_text(linear: Path) -> None:
    artifact = tsnb.inspect(str(linear))
    size, code = f"{linear.stat().st_size:,}", sum(artifact.code.values())
    expected = GOLDEN.format(path=linear, size=size, code=code, contract=artifact.contract)
    assert str(artifact) == repr(artifact) == expected


@pytest.mark.parametrize("head", ["encoder", "masked-lm", "question-answering"])
def test_every_parameter_buffer_and_constant_is_there(traced: Traces, tmp_path: Path, head: str) -> None:
    module = traced(head).module
    artifact = inspected(module, tmp_path / "bert.pt")
    expected = {
        name: (str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), tensor.untyped_storage().nbytes())
        for named in (module.named_parameters, module.named_buffers)
        for name, tensor in named(remove_duplicate=False)
    }
    weights = [weight for weight in artifact.weights if weight.member.startswith("data/")]
    assert {weight.name: (weight.dtype, weight.shape, weight.size) for weight in weights} == expected
    assert len(weights) == len(expected)
    constants = [weight.name for weight in artifact.weights if weight.member.startswith("constants")]
    assert constants[:2] == ["CONSTANTS.c0", "CONSTANTS.c1"]  # as in the code
    assert any("CONSTANTS.c0" in artifact.read(name) for name in artifact.code)


def test_quantised_tensors(tmp_path: Path) -> None:
    with warnings.catch_warnings(), quiet_jit() as jit:
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 5)), {nn.Linear})
        artifact = inspected(jit.trace(model.eval(), torch.ones(1, 4)), tmp_path / "b.pt")
    assert {("QInt8", (5, 4)), ("float32", (5,))} <= {(weight.dtype, weight.shape) for weight in artifact.weights}


class Touching:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return subprocess.call, (["touch", str(self.path)],)


def test_nothing_that_a_pickle_asks_for_is_run(tmp_path: Path) -> None:
    path = tmp_path / "touched"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps({"weight": Touching(path)}, protocol)
        assert [weight.name for weight in bare(tmp_path / "bare.pt", content).weights] == ["data/0"]
        assert not path.exists()
    pickle.loads(content)
    assert path.exists()


def test_no_pickle_makes_it_fail_or_last(tmp_path: Path) -> None:
    doubling: object = ("a", "b")
    for _ in range(200):
        doubling = (doubling, doubling)
    cycle: list[object] = []
    cycle.append(cycle)
    contents = [pickle.dumps(doubling, 2), pickle.dumps(cycle, 2)]
    contents += [b"\x80\x02}r\xff\xff\xff\x7f.", b"\x80\x05\x96\0\0\0\0\0\0\0\x01."]  # memory for the asking
    contents += [b"", b"text", b"\x80\x02", b"\x80\x02h\x09.", b"\x80\x02)t."]
    begun = time.perf_counter()
    for content in contents:
        assert bare(tmp_path / "bare.pt", content).weights == (("data/0", "", (), "data/0", 4),)
    assert time.perf_counter() - begun < 5


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    with quiet_jit() as jit:
        artifact = inspected(jit.script(nn.Bilinear(2, 3, 4)), tmp_path / "foreign.pt")
    assert (artifact.digest, artifact.contract) == ("absent", None)
    assert [weight.name for weight in artifact.weights] == ["weight", "bias"]
    assert str(artifact).endswith("no contract: tsnb did not write this file")


def test_a_contract_that_cannot_be_read(linear: Path) -> None:
    artifact = tsnb.inspect(plain_save(tsnb.load_traced(linear).module, linear, {MEMBER: "{"}))
    assert artifact.contract is None
    assert "contract: there is one, and it cannot be read" in str(artifact)


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl", "extra/tsnb_contract.json"])
def test_a_file_with_a_damaged_member_is_shown_as_far_as_it_can_be_read(
    traced: Traces, member: str, tmp_path: Path
) -> None:
    path = tsnb.save(traced(), tmp_path / "x.pt")
    whole = tsnb.inspect(path)
    content = whole.read_bytes(member)
    data = bytearray(path.read_bytes())
    data[data.index(content) + len(content) // 2] ^= 16
    path.write_bytes(data)
    damaged = tsnb.inspect(path)
    assert damaged.digest == "differs"
    assert {weight.size for weight in damaged.weights} == {weight.size for weight in whole.weights}
    assert (damaged.contract is None) == ("contract" in member)


def test_neither_torch_nor_transformers_is_imported(bert: tsnb.Artifact, python: Python) -> None:
    printed = python(LOOK, bert.path)
    assert printed.splitlines() == [f"matches 24 {len(bert.weights)} True", "[]"]
