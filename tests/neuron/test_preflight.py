"""What a preflight says of real traces, and of cases that no small model gives."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import CONFIG_MAPPING

import tsnb
from tests.kinds import Traces
from tests.tracing.architectures import ARCHITECTURES, example
from tests.tracing.architectures import make as make_tiny
from tsnb.models.load import CLASSES
from tsnb.neuron.preflight_checks import WRITING, checked_task
from tsnb.neuron.report import Finding, Preflight
from tsnb.neuron.targets import facts
from tsnb.tracing.traced import quiet_jit
from tsnb.tracing.traps import IntMask, PositionLoop, make

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
SIZES = {"input_ids": torch.ones(1, 7, dtype=torch.int64)}
DECODERS = ("gpt2", "llama-classifier")  # which in AWS's table do not fit Inf1


@pytest.fixture(scope="module")
def eager() -> tuple[Any, tsnb.Traced]:
    model, tokenizer = tsnb.load("tiny-bert", attn_implementation="eager")
    return model, tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))


def foreign(function: Callable[..., Any], example: Any, *, strict: bool = True) -> Any:
    """Return a trace as somebody without tsnb would have made it."""

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return function(x)

    with quiet_jit() as jit:
        module = jit.trace(Model().eval(), example, strict=strict, check_trace=False)
    return tsnb.Traced(module, tsnb.Contract(("x",), known=False))


def about(report: Preflight, topic: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.topic == topic]


def kinds(report: Preflight, topic: str) -> list[str]:
    return [finding.kind for finding in about(report, topic)]


def only(report: Preflight, topic: str) -> Finding:
    [finding] = about(report, topic)
    return finding


class Sized(nn.Module):
    """As many weights as one likes, without their memory."""

    def __init__(self, weights: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1).expand(weights), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight[0]


def test_a_bert_with_eager_attention_has_nothing_in_the_way(eager: tuple[Any, tsnb.Traced]) -> None:
    report = tsnb.neuron.preflight(eager[1], "inf1", eager[0], "question-answering")
    assert [finding.topic for finding in report.of("attention")] == ["shapes", "dtypes"]
    assert (report.ok, report.buckets) == (True, round(1e9 / report.weights))
    assert "one of the three" in only(report, "task").why
    why = about(report, "operators")[0].why
    assert (why.startswith("Estimate: "), torch.__version__ in why) == (True, True)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_can_be_looked_through(name: str) -> None:
    model = make_tiny(name)
    traced = tsnb.trace(model, example(name))
    for target in ("inf1", "inf2"):
        report = tsnb.neuron.preflight(traced, target, model)
        blockers = ["architecture"] if target == "inf1" and name in DECODERS else []
        assert [finding.topic for finding in report.of("blocker")] == blockers
        assert all(finding.why and finding.source for finding in report.findings)
        assert all(finding.todo for finding in report.of("attention"))


def test_inf2_has_no_list_and_names_the_command(traced: Traces) -> None:
    report = tsnb.neuron.preflight(traced(), "inf2")
    finding = only(report, "operators")
    assert (finding.kind, "no valid list" in finding.why) == ("attention", True)
    assert report.buckets is None


def test_what_is_unknown_without_the_model_or_a_contract(eager: tuple[Any, tsnb.Traced]) -> None:
    report = tsnb.neuron.preflight(eager[1], "inf1")
    assert kinds(report, "architecture") == kinds(report, "task") == ["attention"]
    report = tsnb.neuron.preflight(foreign(torch.relu, torch.zeros(1, 2)))
    for topic in ("contract", "shapes", "control flow"):
        assert kinds(report, topic) == ["attention"]
    assert (report.ok, report.weights, about(report, "buckets")) == (True, 0, [])


def test_python_in_a_trace_is_seen_in_its_warnings_or_by_running_the_model() -> None:
    finding = only(tsnb.neuron.preflight(tsnb.trace(make(IntMask), SIZES), "inf1"), "control flow")
    assert (finding.kind, "traps.py" in finding.why) == ("attention", True)
    model = make(PositionLoop)
    traced = tsnb.trace(model, SIZES, verify=[(1, 7), (2, 7)])
    assert "unknown" in only(tsnb.neuron.preflight(traced, "inf1"), "control flow").why
    finding = only(tsnb.neuron.preflight(traced, "inf1", model), "control flow")
    assert (finding.kind, "1 × 3" in finding.why) == ("attention", True)


def test_a_dict_stands_in_the_way() -> None:
    report = tsnb.neuron.preflight(foreign(lambda x: {"y": x + 1}, torch.zeros(1, 2), strict=False), "inf2")
    assert not report.ok
    assert [finding.topic for finding in report.of("blocker")] == ["outputs"]


def test_operators_whose_size_depends_on_the_data() -> None:
    traced = foreign(lambda x: x.nonzero(), torch.ones(2, 2))
    inf1, inf2 = (tsnb.neuron.preflight(traced, target) for target in ("inf1", "inf2"))
    assert kinds(inf1, "operators") == ["attention", "attention"]
    assert kinds(inf2, "operators") == ["attention", "blocker"]
    assert "aten::nonzero" in about(inf1, "operators")[1].why


def test_a_gpu_in_a_graph_and_a_dtype_that_no_tutorial_uses(eager: tuple[Any, tsnb.Traced]) -> None:
    text = 'graph(%x : Tensor):\n  %d : Device = prim::Constant[value="cuda:0"]()\n  return (%x)'
    module: Any = SimpleNamespace(inlined_graph=torch._C.parse_ir(text), parameters=list)
    finding = only(tsnb.neuron.preflight(replace(eager[1], module=module)), "device")
    assert (finding.kind, "cuda:0" in finding.why) == ("blocker", True)
    double = tsnb.trace(nn.ReLU().eval(), {"input": torch.zeros(1, 2, dtype=torch.float64)})
    assert kinds(tsnb.neuron.preflight(double, "inf2"), "dtypes") == ["attention"]


def test_names_with_a_gap_before_them(eager: tuple[Any, tsnb.Traced]) -> None:
    ones = torch.ones(1, 16, dtype=torch.int64)
    traced = tsnb.trace(eager[0], {"input_ids": ones, "token_type_ids": ones})
    finding = only(tsnb.neuron.preflight(traced, "inf2", eager[0]), "order of inputs")
    assert (finding.kind, "Give attention_mask too" in finding.todo) == ("attention", True)


@pytest.mark.parametrize(
    ("target", "weights", "kind", "expected", "lengths"),
    [
        ("inf1", 2_500_000_000, "attention", "Too much for a NeuronCore", ["attention"]),
        ("inf1", 4_100_000_000, "blocker", "Too much for a chip", ["attention"]),
        ("inf2", 109_482_240, "ok", "0.44 GB; a NeuronCore has 17.2 GB", []),
        ("inf2", 9_000_000_000, "blocker", "Too much for a chip", []),
    ],
)
def test_weights_against_memory(target: str, weights: int, kind: str, expected: str, lengths: list[str]) -> None:
    traced = tsnb.trace(Sized(weights).eval(), {"x": torch.zeros(1, 2)}, [(1, 2)])
    report = tsnb.neuron.preflight(traced, target)
    finding = only(report, "size")
    assert (finding.kind, expected in finding.why) == (kind, True)
    assert kinds(report, "buckets") == lengths


def test_tied_weights_are_named_and_counted_once() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)).eval()
    model[1].weight = model[0].weight
    tied = tsnb.neuron.preflight(tsnb.trace(model, {"input": torch.zeros(1, 2)}))
    assert "0.weight = 1.weight" in only(tied, "tied weights").why
    assert tied.weights == 4


def test_the_task_is_that_of_the_class_and_one_that_writes_needs_two_graphs(eager: tuple[Any, tsnb.Traced]) -> None:
    assert checked_task(None, type("MarianMTModel", (), {})()) == "seq2seq-lm"
    assert checked_task(None, nn.Linear(2, 2)) == ""
    assert set(CLASSES) | {*tsnb.neuron.SUITED, *WRITING} <= set(facts()["tasks"])
    report = tsnb.neuron.preflight(eager[1], "inf1", eager[0], "causal-lm")
    assert "one graph is not enough" in only(report, "task").why
    assert {kind for row in facts()["fit"] for kind in (*row["named"], *row["like"])} <= set(CONFIG_MAPPING)


def test_what_cannot_be_looked_through_is_refused(eager: tuple[Any, tsnb.Traced]) -> None:
    model, traced = eager
    refusals: dict[str, Callable[[], Any]] = {
        "Did you mean inf2": lambda: tsnb.neuron.preflight(traced, "inf3"),
        "Did you mean question-answering": lambda: tsnb.neuron.preflight(traced, task="question-answer"),
        "a stand-in that fixed_shape made": lambda: tsnb.neuron.preflight(tsnb.neuron.fixed_shape(traced)),
    }
    for sentence, call in refusals.items():
        with pytest.raises(tsnb.NeuronError, match=sentence):
            call()
    with pytest.raises(tsnb.InputError, match=r"Expected what tsnb\.trace"):
        tsnb.neuron.preflight(model)
    with pytest.raises(tsnb.TraceError, match="training mode"):
        tsnb.neuron.preflight(traced, "inf1", tsnb.load("tiny-bert")[0].train())
