"""What torch.export records, in each format: called, compared and refused like a trace."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import Capture, MonkeyPatch
from tests.tracing.architectures import example, make
from tests.tracing.test_trace import Deciding
from tsnb.tracing import exported
from tsnb.tracing.traps import IntMask, PositionLoop
from tsnb.tracing.traps import make as make_trap

FORMATS = ["export", "aotinductor", "onnx"]
IDS = {"input_ids": torch.arange(16)[None]}


@pytest.mark.parametrize("to", FORMATS)
def test_a_program_is_called_and_compared_like_a_trace(
    exports: Callable[[str], tsnb.Traced], load: Any, to: str
) -> None:
    program, (model, tokenizer) = exports(to), load()
    contract = program.contract
    assert contract.ranges == {"batch": (2, None), "length": (2, 512)}
    assert contract.verified == ((1, 16), (2, 8), (2, 16), (2, 32), (3, 16))
    shapes = tsnb.probe(program, model, [1, 7, 512, 513], [1, 5])
    assert len(shapes.of_kind("same")) == 6
    assert len(shapes.of_kind("unsupported")) == 2
    texts = ["who was jim henson ?", "a poet", "jim henson was a [MASK] , and a poet ."]
    for text, result in zip(texts, tsnb.Runner(program, tokenizer)(texts), strict=True):
        expected = model(**tokenizer(text, return_tensors="pt")).logits[0]
        assert (result["logits"] - expected).abs().max() < 1e-4
    with pytest.raises(tsnb.InputError, match=r"input_ids has a length of 513; it was recorded for 512 at most"):
        program(**{name: torch.zeros(1, 513, dtype=torch.int64) for name in contract.input_names})


@pytest.mark.parametrize("kind", ["gpt2", "gemma2", "marian", "t5-encoder", "modernbert"])
def test_decoders_and_others_are_recorded(kind: str) -> None:
    contract = tsnb.export(make(kind), example(kind)).contract
    assert {(1, 16), (2, 8), (2, 16), (3, 16)} <= {*contract.verified}


VALUE = r"depends on values in a tensor.*test_trace.py, line \d+: x = x \+ 1 if"
BAKED: dict[str, tuple[Callable[[], nn.Module], Any, str]] = {
    "canine": (lambda: make("canine"), example("canine"), "dimension 1 of input_ids and of attention_mask was to be"),
    "one token": (lambda: make("bert"), example("bert", 2, 1), "size 1 is recorded as a constant. Give an example of"),
    "loop": (lambda: make_trap(PositionLoop), IDS, "dimension 1 of input_ids was to be .* the constant 16, as int"),
    "int": (lambda: make_trap(IntMask), IDS, "dynamic=False"),
    "if": (lambda: Deciding().eval(), {"x": torch.ones(1, 2)}, VALUE),
}


@pytest.mark.parametrize(("model", "inputs", "words"), BAKED.values(), ids=BAKED)
def test_what_a_trace_bakes_in_is_refused_in_a_sentence_and_quietly(
    model: Callable[[], nn.Module], inputs: Any, words: str, capfd: Capture
) -> None:
    with pytest.raises(tsnb.TraceError, match=words) as caught:
        tsnb.export(model(), inputs)
    assert len(str(caught.value)) < 700
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


def test_one_shape_is_recorded_where_nothing_is_dynamic() -> None:
    program = tsnb.export(make_trap(PositionLoop), IDS, dynamic=False)
    assert program.contract.verified == ((1, 16),)
    with pytest.raises(tsnb.InputError, match=r"the shape \[1, 8\]; this graph takes \[1, 16\]"):
        program(input_ids=IDS["input_ids"][:, :8])
    with pytest.raises(RuntimeError, match="Guard failed"):
        program.module(IDS["input_ids"][:, :8])


def test_a_wrong_format_or_missing_packages_are_named(load: Any, monkeypatch: MonkeyPatch) -> None:
    model, _ = load()
    with pytest.raises(tsnb.InputError, match="no format called onx"):
        tsnb.export(model, IDS, to="onx")  # type: ignore[arg-type]
    monkeypatch.setattr(exported, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(tsnb.InputError, match=r"ONNX needs onnxscript, .*tsnb\[bench\]"):
        tsnb.export(model, IDS, to="onnx")


def test_without_a_compiler_aotinductor_says_so(monkeypatch: MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    with pytest.raises(tsnb.TraceError, match=r"C\+\+ compiler"):
        tsnb.export(nn.Linear(2, 3).eval(), {"input": torch.randn(2, 2)}, to="aotinductor")


def test_neuron_s_checks_ask_for_a_trace() -> None:
    program = tsnb.export(nn.Linear(2, 3).eval(), {"input": torch.randn(2, 2)})
    with pytest.raises(tsnb.InputError, match=r"read TorchScript, .* Give tsnb.trace's"):
        tsnb.neuron.preflight(program, target="inf2")
