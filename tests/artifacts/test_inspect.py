"""What `tsnb.inspect` shows of a file, and that it runs nothing."""

from __future__ import annotations

import pickle
import re
import subprocess
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Traces = Callable[..., tsnb.Traced]

LOOK = """
import sys, tsnb
artifact = tsnb.inspect(sys.argv[1])
print(len(artifact.weights), str(artifact) != "", "torch" in sys.modules, "transformers" in sys.modules)
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
def bert(traced: Traces, load: Callable[..., Any], tmp_path: Path) -> tsnb.Artifact:
    return tsnb.inspect(tsnb.save(traced(), tmp_path / "bert.pt", load()[1]))


def inspected(module: Any, path: Path) -> tsnb.Artifact:
    """Save a module as somebody without tsnb would, and inspect it."""
    with quiet_jit() as jit:
        jit.save(module, str(path))
    return tsnb.inspect(path)


def bare(path: Path, pickled: bytes) -> tsnb.Artifact:
    """Inspect an archive with a pickle that torch did not write."""
    members = {"code/a.py": b"", "constants.pkl": b"", "data.pkl": pickled, "data/0": b"1234"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"bare/{name}", content)
    return tsnb.inspect(path)


def test_the_text(linear: Path) -> None:
    artifact, size = tsnb.inspect(str(linear)), f"{linear.stat().st_size:,}"
    code = sum(artifact.code.values())
    expected = GOLDEN.format(path=linear, size=size, code=code, contract=artifact.contract)
    assert str(artifact) == repr(artifact) == expected


def test_contract_code_tokenizer_and_storages(bert: tsnb.Artifact, traced: Traces) -> None:
    assert bert.contract == traced().contract
    assert (bert.digest, bert.size) == ("matches", bert.path.stat().st_size)
    assert "def forward" in bert.read(next(iter(bert.code)))
    assert "extra/tokenizer/tokenizer.json" in bert.tokenizer
    sizes = [weights[0].size for weights in bert.storages.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert re.search(r"embeddings.word_embeddings.weight = .*predictions.decoder.weight  float32", str(bert))
    with pytest.raises(tsnb.ArtifactError, match="no readable member data/x"):
        bert.read("data/x")


def test_every_parameter_buffer_and_constant_is_there(bert: tsnb.Artifact, traced: Traces) -> None:
    module = traced().module
    expected = {
        (name, str(tensor.dtype), tuple(tensor.shape), tensor.untyped_storage().nbytes())
        for named in (module.named_parameters, module.named_buffers)
        for name, tensor in named(remove_duplicate=False)
    }
    weights = [weight for weight in bert.weights if weight.member.startswith("data/")]
    assert {(each.name, f"torch.{each.dtype}", each.shape, each.size) for each in weights} == expected
    assert len(weights) == len(expected)
    constants = [weight.name for weight in bert.weights if weight.member.startswith("constants")]
    assert constants[:2] == ["CONSTANTS.c0", "CONSTANTS.c1"]  # as in the code
    assert any("CONSTANTS.c0" in bert.read(name) for name in bert.code)


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
    memory_for_the_asking = [b"\x80\x02}r\xff\xff\xff\x7f.", b"\x80\x05\x96\0\0\0\0\0\0\0\x01."]
    contents = [pickle.dumps(doubling, 2), pickle.dumps(cycle, 2), *memory_for_the_asking, b"text", b"\x80\x02)t."]
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


def test_the_state_of_the_digest(linear: Path) -> None:
    whole = linear.read_bytes()[:-48]
    for tail, words in ((b"tsnb 2 other 00", "newer format"), (b"tsnb 1 xxh3-128 " + 32 * b"0", "DIFFERS")):
        linear.write_bytes(whole + tail)
        assert words in str(tsnb.inspect(linear))


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl", "extra/tsnb_contract.json"])
def test_a_file_with_a_damaged_member_is_shown_as_far_as_it_can_be_read(bert: tsnb.Artifact, member: str) -> None:
    content = bert.archive.read(member)
    data = bytearray(bert.path.read_bytes())
    data[data.index(content) + len(content) // 2] ^= 16
    bert.path.write_bytes(data)
    damaged = tsnb.inspect(bert.path)
    assert damaged.digest == "differs"
    assert {weight.size for weight in damaged.weights} == {weight.size for weight in bert.weights}
    unread = "contract: there is one, and it cannot be read" in str(damaged)
    assert (damaged.contract is None) == unread == ("contract" in member)


def test_neither_torch_nor_transformers_is_imported(bert: tsnb.Artifact, python: Callable[..., str]) -> None:
    assert python(LOOK, bert.path) == f"{len(bert.weights)} True False False\n"
