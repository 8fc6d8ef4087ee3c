"""Inputs follow the device of a model or trace: on `meta`, where values do not matter, and on a GPU where one is."""

from pathlib import Path

import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import Load, Traces
from tsnb.artifacts.save import OtherDeviceWarning
from tsnb.inference.benchmark import benchmark
from tsnb.inference.latency import WARM_UP, latency_steps
from tsnb.tracing.compare import no_warnings

TEXTS = ["who was jim henson ?", "jim henson was a puppeteer", "a poet"]
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="No GPU here: only a meta device stood for one.")


class Embedder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(700, 4)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.embedding(input_ids) * attention_mask.unsqueeze(-1)  # type: ignore[no-any-return]


def test_inputs_are_made_where_the_model_is(load: Load) -> None:
    model, (_, tokenizer) = Embedder().eval(), load()
    here = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    runner = tsnb.Runner(here, tokenizer)
    away = Embedder().eval().to("meta")
    inputs = tsnb.dummy_inputs(tokenizer, away, max_length=16)
    assert {tensor.device.type for tensor in inputs.values()} == {"meta"}
    next(latency_steps((2, 8), model=away))  # raises where inputs are elsewhere
    assert (runner.device.type, here.device.type, here.contract.device) == ("cpu", "cpu", "cpu")


def test_a_benchmark_in_half_precision_allows_its_roundings() -> None:
    model, tokenizer = tsnb.load("tiny-bert", head="encoder")
    with no_warnings():
        report = benchmark(
            model.bfloat16(), tokenizer, TEXTS, backends=["eager-longest", "runner"], rounds=1, progress=False
        )
    assert [row.name for row in report.rows] == ["eager-longest", "runner"]
    assert "The least time is unknown" in str(report)


def test_a_file_is_loaded_onto_the_device_that_it_was_saved_from(traced: Traces, tmp_path: Path) -> None:
    path = tsnb.save(traced(), tmp_path / "bert.pt")
    assert tsnb.load_traced(path, map_location=None).device.type == "cpu"


@gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_model_on_a_gpu_goes_the_whole_way(dtype: torch.dtype, tmp_path: Path) -> None:
    model, tokenizer = tsnb.load("tiny-bert", head="encoder")
    alone = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    expected = tsnb.Runner(alone, tokenizer)(TEXTS)
    model = model.to("cuda", dtype)
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    assert (traced.contract.device, len(traced.contract.verified)) == ("cuda:0", 4)
    assert len(tsnb.probe(traced, model, [8, 24]).of_kind("same")) == 4
    results = tsnb.Runner(traced, tokenizer)(TEXTS)
    for result, one in zip(results, expected, strict=True):
        assert result["last_hidden_state"].device.type == "cuda"
        apart = result["last_hidden_state"].cpu().float() - one["last_hidden_state"]
        assert float(apart.abs().max()) < (1e-3 if dtype == torch.float32 else 0.3)
    assert len(list(latency_steps((2, 8), model=model, traced=traced, repeats=2))) == WARM_UP + 2
    loaded = tsnb.load_traced(tsnb.save(traced, tmp_path / "bert.pt"))
    assert loaded.device.type == "cpu"
    again = tsnb.load_traced(tmp_path / "bert.pt", map_location="cuda")
    assert tsnb.Runner(again, tokenizer)(TEXTS[:1])[0]["last_hidden_state"].device.type == "cuda"


@gpu
def test_a_benchmark_on_a_gpu_leaves_out_what_runs_on_the_cpu() -> None:
    model, tokenizer = tsnb.load("tiny-bert", head="encoder")
    report = benchmark(model.cuda(), tokenizer, TEXTS, rounds=1, progress=False)
    assert {"eager-longest", "pipeline", "trace-padded", "runner"} <= {row.name for row in report.rows}
    assert {"onnxruntime", "runner-int8"} <= report.left_out.keys()


@gpu
def test_a_graph_that_is_bound_to_a_gpu_says_so_when_it_is_loaded_elsewhere(tmp_path: Path) -> None:
    class Positions(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.arange(x.shape[1], device=x.device)

    traced = tsnb.trace(Positions().eval(), {"x": torch.zeros(1, 2, device="cuda")})
    with pytest.warns(OtherDeviceWarning, match="The graph puts tensors on cuda:0"):
        tsnb.load_traced(tsnb.save(traced, tmp_path / "x.pt"))
