"""Every backend gives the model's results, text by text, and counts what it computes."""

import shutil
from functools import partial

import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel

import tsnb
from tests.kinds import Load, MonkeyPatch, Traces
from tsnb.inference import backends, engines
from tsnb.inference.backends import BACKENDS, BenchmarkConfig, eager_alone
from tsnb.lengths.batching import plan_dynamic
from tsnb.models.load import quiet_transformers, seeded
from tsnb.tiny_bert import corpus
from tsnb.tracing.outputs import largest_difference

LENGTH, SIZE, MAX_TOKENS = 48, 3, 128
TEXTS = corpus.texts(10, seed=1, longest=LENGTH)
IN_ORDER = {"eager-longest", "pipeline"}
PADDED = {"eager-padded", "trace-padded"}


@pytest.fixture(scope="module")
def config(load: Load, traced: Traces) -> BenchmarkConfig:
    model, tokenizer = load(head="encoder")
    return BenchmarkConfig(model, tokenizer, traced("encoder", LENGTH), LENGTH, SIZE, MAX_TOKENS)


@pytest.fixture(scope="module")
def expected(config: BenchmarkConfig) -> list[torch.Tensor]:
    tensors = []
    for text in TEXTS:
        with torch.inference_mode():
            output = config.model(**config.tokenizer(text, return_tensors="pt"))
        tensors.append(output.last_hidden_state[0])
    return tensors


@pytest.fixture(scope="module")
def lengths(expected: list[torch.Tensor]) -> list[int]:
    return [len(tensor) for tensor in expected]


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "aotinductor"])  # C++ takes half a minute
def test_the_results_and_the_count(
    name: str, config: BenchmarkConfig, expected: list[torch.Tensor], lengths: list[int], monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # C++ takes a minute
    exact = BACKENDS[name].exact
    outputs = BACKENDS[name].make(config)(TEXTS)
    difference = largest_difference(outputs.tensors, expected)
    assert (difference < 1e-4) == exact
    assert difference < 1  # in 8 bits: other numbers, not another model
    assert eager_alone(config)(TEXTS).computed == sum(lengths)
    groups = [lengths[start : start + SIZE] for start in range(0, len(lengths), SIZE)]
    planned = sum(batch.tokens for batch in plan_dynamic(lengths, MAX_TOKENS))
    in_order = sum(len(group) * max(group) for group in groups)
    padded = LENGTH * len(TEXTS)
    assert planned < in_order < padded
    known = dict.fromkeys(IN_ORDER, in_order) | dict.fromkeys(PADDED, padded)
    assert outputs.computed == known.get(name, planned)


def test_a_pipeline_gives_the_model_nothing_that_it_does_not_take(load: Load, lengths: list[int]) -> None:
    """A DistilBERT knows no token types, and the tokenizer of a BERT makes them."""
    tokenizer = load()[1]
    sizes = {"vocab_size": len(tokenizer), "dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8}
    with quiet_transformers(), seeded():
        model = DistilBertModel(DistilBertConfig(**sizes)).eval()
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=LENGTH))
    config = BenchmarkConfig(model, tokenizer, traced, LENGTH, SIZE, MAX_TOKENS)
    outputs = BACKENDS["pipeline"].make(config)(TEXTS)
    assert [tuple(tensor.shape) for tensor in outputs.tensors] == [(size, 8) for size in lengths]


def test_without_what_they_need_peers_are_left_out(config: BenchmarkConfig, monkeypatch: MonkeyPatch) -> None:
    for module in (backends, engines):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    for name, lacking in (
        ("onnxruntime", "onnx, onnxruntime"),
        ("openvino", "openvino"),
        ("ctranslate2", "ctranslate2"),
    ):
        with pytest.raises(tsnb.InputError, match=rf"{lacking}.*tsnb\[bench\]"):
            BACKENDS[name].make(config)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(tsnb.InputError, match=r"C\+\+ compiler"):
        backends.compiled(config)
