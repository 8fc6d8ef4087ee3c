"""Other engines and fewer bits: which numbers they give, what they refuse, and that they report to nobody."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import Load, MonkeyPatch, Python, Traces
from tsnb.inference import engines
from tsnb.inference import runner as running
from tsnb.inference.engines import run_by
from tsnb.tiny_bert import corpus
from tsnb.tracing.outputs import flatten, largest_difference

TEXTS = corpus.texts(5, seed=3, longest=24)
IMPORTS = """
import socket, sys
def refuse(*_): raise SystemExit("a socket was opened")
socket.getaddrinfo = socket.socket.connect = refuse
from tsnb.base.silent import silently
for name in ("openvino", "onnxruntime"):
    assert silently(name).__version__
assert "openvino_telemetry" not in sys.modules
"""


class Noted(nn.Module):
    """Weights, none of them in a linear layer, and an operation that ONNX does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        numbers = input_ids.unsqueeze(-1) * self.weight * attention_mask.unsqueeze(-1)
        return torch.special.bessel_j0(numbers)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def noted(load: Load) -> tsnb.Traced:
    model, (_, tokenizer) = Noted().eval(), load()
    return tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))


@pytest.mark.parametrize(
    ("engine", "bits"),
    [("torch", 32), ("torch", 16), ("torch", 8), ("onnxruntime", 32), ("onnxruntime", 8), ("openvino", 32)],
)
@pytest.mark.parametrize("head", ["masked-lm", "question-answering"])
def test_the_numbers_of_a_trace_at_other_shapes(traced: Traces, head: str, engine: Any, bits: Any) -> None:
    trace = traced(head, 16)
    call = run_by(trace, engine, bits)
    for shape in ((1, 16), (3, 40)):
        ids = torch.arange(shape[0] * shape[1]).reshape(shape) % 90 + 5
        inputs = (ids, torch.ones_like(ids), torch.zeros_like(ids))
        with torch.inference_mode():
            expected, result = flatten(trace.module(*inputs)), flatten(call(*inputs))
        assert [len(one) for one in result] == [len(one) for one in expected]
        difference = largest_difference(expected, result)
        assert difference < 1e-4 if bits == 32 else 1e-3 < difference < 1


@pytest.mark.parametrize(("to", "engine"), [("export", "onnxruntime"), ("export", "openvino"), ("onnx", "openvino")])
def test_what_torch_export_recorded_runs_by_an_engine_too(
    exports: Callable[[str], tsnb.Traced], load: Load, to: str, engine: Any
) -> None:
    tokenizer = load()[1]
    expected = tsnb.Runner(exports(to), tokenizer)(TEXTS)
    for one, other in zip(expected, tsnb.Runner(exports(to), tokenizer, backend=engine)(TEXTS), strict=True):
        assert list(one) == list(other)
        assert largest_difference([*one.values()], [*other.values()]) < 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "openvin"}, "no engine called openvin. Did you mean openvino"),
        ({"bits": 4}, "bits must be 32, 16 or 8; got 4"),
        ({"engine": "onnxruntime", "bits": 16}, "no bfloat16 on a CPU. Take bits=8, or the engine openvino"),
        ({"bits": 8}, "torch in 8 bits: The trace has no float32 linear layers"),
        ({"engine": "onnxruntime"}, r"onnxruntime in 32 bits cannot take this model \(.*bessel.*Take another engine"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(noted: tsnb.Traced, options: Any, message: str) -> None:
    with pytest.raises(tsnb.InputError, match=message):
        run_by(noted, **options)


def test_other_programs_have_no_fewer_bits_by_torch_and_other_devices_no_engines(
    exports: Callable[[str], tsnb.Traced], load: Load
) -> None:
    with pytest.raises(tsnb.InputError, match=r"for a trace only: record the model with tsnb\.trace"):
        run_by(exports("export"), bits=16)
    model, (_, tokenizer) = Noted().eval(), load()
    away = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    away.module.to("meta")
    with pytest.raises(tsnb.InputError, match="runs on the CPU only, and the model is on meta"):
        run_by(away, "openvino")


def test_an_engine_with_other_numbers_is_refused_with_the_difference(
    traced: Traces, load: Load, monkeypatch: MonkeyPatch
) -> None:
    trace = traced("encoder")
    doubled = lambda *tensors: [2 * one for one in flatten(trace.module(*tensors))]  # noqa: E731
    monkeypatch.setattr(running, "run_by", lambda *_: doubled)
    with pytest.raises(tsnb.InputError, match=r"The numbers of openvino in 32 bits are off by 1 of the trace's"):
        tsnb.Runner(trace, load()[1], backend="openvino")


def test_packages_that_are_missing_are_named(traced: Traces, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "onnx" else object())
    with pytest.raises(tsnb.InputError, match=r"needs onnx, not installed here: pip install 'tsnb\[bench\]'"):
        run_by(traced(), "onnxruntime")


def test_engines_open_no_socket_and_leave_nothing_in_the_home_folder(python: Python, tmp_path: Path) -> None:
    python(IMPORTS, HOME=tmp_path)
    assert list(tmp_path.iterdir()) == []
