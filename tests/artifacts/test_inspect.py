"""What `tsnb.inspect` tells of a file, and that it runs nothing."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tsnb.artifacts.archive import MEMBER, seal
from tsnb.base.words import say
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Traces = Callable[..., tsnb.Traced]

LOOK = """
import sys, tsnb
held = tsnb.inspect(sys.argv[1])
print(held.digest, held.contract.length, len(held.weights), bool(str(held)))
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
def bert(traced: Traces, load: Callable[..., Any], tmp_path: Path) -> tsnb.Artifact:
    return tsnb.inspect(tsnb.save(traced(), tmp_path / "bert.pt", load()[1]))


def test_the_text(linear: Path) -> None:
    held = tsnb.inspect(str(linear))
    size, code = f"{linear.stat().st_size:,}", sum(held.code.values())
    expected = GOLDEN.format(path=linear, size=size, code=code, contract=held.contract)
    assert str(held) == repr(held) == expected


def test_contract_versions_and_size(bert: tsnb.Artifact, traced: Traces) -> None:
    assert bert.contract == traced().contract
    assert bert.versions == traced().contract.versions
    assert (bert.digest, bert.size) == ("matches", bert.path.stat().st_size)
    assert json.loads(bert.read(f"extra/{MEMBER}"))["length"] == 24


def test_weights_have_the_bytes_that_they_take_in_the_file(bert: tsnb.Artifact, traced: Traces) -> None:
    named = dict(traced().module.named_parameters(remove_duplicate=False))
    sizes = {weight.name: weight.size for weight in bert.weights if weight.name in named}
    assert sizes == {name: held.untyped_storage().nbytes() for name, held in named.items()}
    assert {bert.members[weight.member] == weight.size for weight in bert.weights} == {True}
    numbers = [name for name in bert.members if name.startswith(("data/", "constants/"))]
    assert sorted(bert.storages) == sorted(numbers)


def test_constants_go_by_their_name_in_the_code(bert: tsnb.Artifact) -> None:
    constants = [weight.name for weight in bert.weights if weight.member.startswith("constants")]
    assert constants == ["CONSTANTS.c0", "CONSTANTS.c1"]
    assert any("CONSTANTS.c0" in bert.read(name) for name in bert.code)


def test_the_largest_comes_first_and_tied_names_stand_together(bert: tsnb.Artifact) -> None:
    sizes = [weights[0].size for weights in bert.storages.values()]
    assert sizes == sorted(sizes, reverse=True)
    tied = [[weight.name for weight in held] for held in bert.storages.values() if len(held) > 1]
    assert tied[0] == ["bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"]
    assert " = ".join(tied[0]) in str(bert)


def test_an_untied_file_holds_the_copy_too(
    load: Callable[..., Any], tmp_path: Path, bert: tsnb.Artifact
) -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    inputs = tsnb.dummy_inputs(tokenizer, model, None, 24)
    path = tsnb.save(tsnb.trace(tsnb.untie(model), inputs), tmp_path / "untied.pt", tokenizer)
    untied = tsnb.inspect(path)
    copied = next(iter(load()[0].parameters())).nbytes
    held, more = (sum(weights[0].size for weights in found.storages.values()) for found in (bert, untied))
    assert (more - held, copied) == (copied, 623 * 128 * 4)
    assert 0.9 * copied < untied.size - bert.size < 1.1 * copied  # beside the names of source files


def test_code_is_source_text(bert: tsnb.Artifact) -> None:
    assert all(name.startswith("code/") for name in bert.code)
    assert "def forward" in bert.read(next(iter(bert.code)))


def test_the_tokenizers_files(bert: tsnb.Artifact, linear: Path) -> None:
    assert "extra/tokenizer/tokenizer.json" in bert.tokenizer
    assert tsnb.inspect(linear).tokenizer == {}


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "foreign.pt"
    with quiet_jit() as jit:
        jit.save(jit.script(nn.Bilinear(2, 3, 4)), str(path))
    held = tsnb.inspect(path)
    assert (held.digest, held.contract, held.versions) == ("absent", None, {})
    assert [weight.name for weight in held.weights] == ["weight", "bias"]
    assert str(held).endswith(say("inspection.no-contract"))


def test_a_damaged_file_is_shown_with_its_digest(linear: Path) -> None:
    content = bytearray(linear.read_bytes())
    content[len(content) // 3] ^= 1
    linear.write_bytes(content)
    held = tsnb.inspect(linear)
    assert (held.digest, held.weights[0].name) == ("differs", "weight")
    assert "DIFFERS" in str(held)


@pytest.mark.parametrize(("tail", "state"), [(b"tsnb 2 other 00", "newer"), (b"tsnb", "absent")])
def test_a_digest_that_cannot_be_compared(linear: Path, tail: bytes, state: str) -> None:
    linear.write_bytes(linear.read_bytes()[:-48] + tail)
    held = tsnb.inspect(linear)
    assert held.digest == state
    assert say(f"inspection.digest-{held.digest}") in str(held)


def test_weights_without_a_readable_pickle_go_by_their_members(tmp_path: Path) -> None:
    path = tmp_path / "bare.pt"
    members = {"code/a.py": "", "constants.pkl": "", "data.pkl": "?", "data/0": "1234"}
    with zipfile.ZipFile(path, "w") as held:
        for name, text in members.items():
            held.writestr(f"bare/{name}", text)
    assert tsnb.inspect(path).weights == (tsnb.artifacts.inspect.Weight("data/0", "", (), "data/0", 4),)


def test_a_contract_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "linear.pt"
    traced = tsnb.trace(nn.Linear(2, 3).eval(), {"input": torch.zeros(1, 2)})
    with quiet_jit() as jit:
        jit.save(traced.module, str(path), _extra_files={MEMBER: "{"})
    seal(path)
    assert tsnb.inspect(path).contract is None
    assert str(tsnb.inspect(path)).endswith(say("inspection.bad-contract"))


@pytest.mark.parametrize("name", ["none.pt", ""])
def test_what_is_no_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(tsnb.ArtifactError, match=str(tmp_path)):
        tsnb.inspect(tmp_path / name)


def test_neither_torch_nor_transformers_is_imported(bert: tsnb.Artifact, python: Callable[..., str]) -> None:
    printed = python(LOOK, bert.path)
    assert printed.splitlines() == [f"matches 24 {len(bert.weights)} True", "[]"]


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl", "extra/tsnb_contract.json"])
def test_a_file_with_a_damaged_member_is_shown_as_far_as_it_can_be_read(
    traced: Callable[..., tsnb.Traced], member: str, tmp_path: Path
) -> None:
    path = tsnb.save(traced(), tmp_path / "x.pt")
    whole = tsnb.inspect(path)
    with zipfile.ZipFile(path) as archive:
        content = archive.read(f"x/{member}")
    data = bytearray(path.read_bytes())
    data[data.index(content) + len(content) // 2] ^= 16
    path.write_bytes(data)
    held = tsnb.inspect(path)
    assert held.digest == "differs"
    assert {weight.size for weight in held.weights} == {weight.size for weight in whole.weights}
    assert (held.contract is None) == ("contract" in member)
    assert ("contract: there is one, and it cannot be read" in str(held)) == ("contract" in member)
