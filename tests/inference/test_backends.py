"""Every candidate gives the model's results, text by text, and counts what it computes."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel

import tsnb
from tsnb.inference import backends as candidates
from tsnb.inference.backends import CANDIDATES, EXACT, MissingPeerError, Setting
from tsnb.lengths.batching import plan_dynamic
from tsnb.models.load import quiet_transformers, seeded
from tsnb.tiny_bert import corpus
from tsnb.tracing.outputs import largest_difference

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH, SIZE, MAX_TOKENS = 48, 3, 128
TEXTS = corpus.texts(10, seed=1, longest=LENGTH)
IN_ORDER = {"eager-longest", "pipeline"}
PADDED = {"eager-padded", "trace-padded"}


@pytest.fixture(scope="module")
def setting(load: Callable[..., Any], traced: Callable[..., tsnb.Traced]) -> Setting:
    model, tokenizer = load(head="encoder")
    return Setting(model, tokenizer, traced("encoder", LENGTH), LENGTH, SIZE, MAX_TOKENS)


@pytest.fixture(scope="module")
def expected(setting: Setting) -> list[torch.Tensor]:
    tensors = []
    for text in TEXTS:
        with torch.inference_mode():
            output = setting.model(**setting.tokenizer(text, return_tensors="pt"))
        tensors.append(output.last_hidden_state[0])
    return tensors


@pytest.fixture(scope="module")
def lengths(expected: list[torch.Tensor]) -> list[int]:
    return [len(tensor) for tensor in expected]


@pytest.mark.parametrize("name", [*CANDIDATES])
def test_the_results_and_the_count(
    name: str, setting: Setting, expected: list[torch.Tensor], lengths: list[int]
) -> None:
    answers = CANDIDATES[name](setting)(TEXTS)
    difference = largest_difference(answers.tensors, expected)
    assert (difference < 1e-4) == (name in EXACT)
    assert difference < 1  # in 8 bits: other numbers, not another model
    groups = [lengths[start : start + SIZE] for start in range(0, len(lengths), SIZE)]
    planned = sum(batch.tokens for batch in plan_dynamic(lengths, MAX_TOKENS))
    in_order = sum(len(group) * max(group) for group in groups)
    padded = LENGTH * len(TEXTS)
    assert planned < in_order < padded
    known = dict.fromkeys(IN_ORDER, in_order) | dict.fromkeys(PADDED, padded)
    assert answers.computed == known.get(name, planned)


def test_a_model_that_returns_tuples(
    load: Callable[..., Any], setting: Setting, expected: list[torch.Tensor]
) -> None:
    flagged = replace(setting, model=load(head="encoder", torchscript=True)[0])
    for name in ("eager-longest", "pipeline"):
        answers = CANDIDATES[name](flagged)(TEXTS)
        assert largest_difference(answers.tensors, expected) < 1e-4


def test_a_pipeline_gives_the_model_nothing_that_it_does_not_take(
    load: Callable[..., Any], lengths: list[int]
) -> None:
    """A DistilBERT knows no token types, and the tokenizer of a BERT makes them."""
    tokenizer = load()[1]
    sizes = {"vocab_size": len(tokenizer), "dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8}
    with quiet_transformers(), seeded():
        model = DistilBertModel(DistilBertConfig(**sizes)).eval()
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=LENGTH))
    found = CANDIDATES["pipeline"](Setting(model, tokenizer, traced, LENGTH, SIZE, MAX_TOKENS))(TEXTS)
    assert [tuple(tensor.shape) for tensor in found.tensors] == [(size, 8) for size in lengths]


def test_alone_nothing_is_padded(setting: Setting, lengths: list[int]) -> None:
    assert candidates.eager_alone(setting)(TEXTS).computed == sum(lengths)


def test_without_a_compiler_torch_compile_is_left_out(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingPeerError, match=r"C\+\+ compiler"):
        candidates.compiled(setting)


def test_torch_compile_is_left_out_in_a_folder_with_a_space(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its linker takes the rest of the path for another file, seen with torch 2.13.0."""
    monkeypatch.setattr(torch, "__file__", "/a room/torch/__init__.py")
    with pytest.raises(MissingPeerError, match="/a room/torch"):
        candidates.compiled(setting)


def test_without_its_packages_onnx_runtime_is_left_out(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "find_spec", lambda _: None)
    with pytest.raises(MissingPeerError, match=r"onnx, onnxruntime.*tsnb\[bench\]"):
        candidates.onnx_runtime(setting)


def test_an_export_that_fails_prints_no_graph(setting: Setting, capfd: pytest.CaptureFixture[str]) -> None:
    class Fourier(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = torch.fft.fftn(input_ids.float(), dim=(1,)).real
            return found

    contract = replace(setting.traced.contract, input_names=("input_ids",), input_axes={})
    model: Any = Fourier()
    other = replace(setting, model=model, traced=replace(setting.traced, contract=contract))
    with pytest.raises(Exception, match="aten::fft_fftn"):
        candidates.onnx_runtime(other)
    os.write(1, b"and later output is seen")
    assert capfd.readouterr().out == "and later output is seen"


def test_labels_say_what_is_done(setting: Setting) -> None:
    labels = [candidates.label(name, setting) for name in CANDIDATES]
    assert len(set(labels)) == len(labels)
    assert str(LENGTH) in labels[0]
    assert "usual advice" in candidates.label("trace-padded", setting)
