"""What a preflight says of real traces."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

import tsnb
from tests.tracing.architectures import ARCHITECTURES, example
from tests.tracing.architectures import make as make_tiny
from tsnb.models.load import seeded
from tsnb.neuron.inspection import weights
from tsnb.tracing.traced import quiet_jit
from tsnb.tracing.traps import IntMask, PositionLoop, make

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.neuron.findings import Preflight

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
TOPICS = [
    "operators",
    "order",
    "outputs",
    "shapes",
    "dtypes",
    "weights",
    "device",
    "flow",
    "size",
    "buckets",
    "architecture",
    "task",
]
SIZES = {"input_ids": torch.ones(1, 7, dtype=torch.int64)}


def tiny(attention: Any = "eager", head: Any = "masked-lm") -> tuple[Any, tsnb.Traced]:
    model, tokenizer = tsnb.load("tiny-bert", head, attn_implementation=attention)
    return model, tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))


def kinds(report: Preflight, topic: str) -> list[str]:
    return [finding.kind for finding in report.about(topic)]


def foreign(function: Callable[..., Any], *example: torch.Tensor, strict: bool = True) -> Any:
    """Return a trace as somebody without tsnb would have made it."""

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return function(x)

    with quiet_jit() as jit:
        module = jit.trace(Model().eval(), example, strict=strict, check_trace=False)
    return tsnb.Traced(module, tsnb.Contract(("x",), known=False))


@pytest.fixture(scope="module")
def base() -> tuple[nn.Module, tsnb.Traced]:
    """Trace a BERT of 12 layers, 768 wide, with random weights, verified at one shape."""
    with seeded():
        model = BertModel(BertConfig(attn_implementation="eager")).eval()
    ids = torch.ones(1, 128, dtype=torch.int64)
    inputs = {"input_ids": ids, "attention_mask": ids, "token_type_ids": ids * 0}
    return model, tsnb.trace(model, inputs, verify=[(1, 128)])


def test_twelve_layers_within_ten_seconds_and_only_embeddings_outside_the_list(
    base: tuple[nn.Module, tsnb.Traced],
) -> None:
    model, traced = base
    start = time.perf_counter()
    report = tsnb.neuron.preflight(traced, "inf1", model, "question-answering")
    assert time.perf_counter() - start <= 10
    assert report.operators.outside == ("aten::embedding",)
    assert (report.operators.share or 0) > 0.99
    assert (report.weights, report.buckets) == (109_482_240, 9)
    assert report.ok
    assert [finding.topic for finding in report.of("attention")] == ["shapes", "dtypes"]


@pytest.mark.parametrize("target", ["inf1", "inf2"])
def test_every_topic_is_looked_at_in_order(target: str) -> None:
    model, traced = tiny()
    report = tsnb.neuron.preflight(traced, target, model)
    assert list(dict.fromkeys(finding.topic for finding in report.findings)) == TOPICS
    assert all(finding.why and finding.source for finding in report.findings)
    assert all(finding.todo for finding in (*report.of("attention"), *report.of("blocker")))
    assert all(finding.why in " ".join(str(report).split()) for finding in report.findings)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_can_be_looked_through(name: str) -> None:
    model = make_tiny(name)
    traced = tsnb.trace(model, example(name))
    for target in ("inf1", "inf2"):
        report = tsnb.neuron.preflight(traced, target, model)
        assert list(dict.fromkeys(finding.topic for finding in report.findings)) == TOPICS
        assert report.ok
        assert report.weights == sum(held.numel() for held in model.parameters())
    outside = tsnb.neuron.preflight(traced, "inf1", model).operators.outside
    assert "aten::embedding" in outside


def test_attention_in_one_operator_asks_for_eager_on_inf1() -> None:
    model, traced = tiny("sdpa")
    report = tsnb.neuron.preflight(traced, "inf1", model)
    [finding] = [held for held in report.findings if "scaled_dot_product" in held.why]
    assert finding.kind == "attention"
    assert 'attn_implementation="eager"' in finding.todo
    assert kinds(report, "operators") == ["attention", "ok", "attention"]
    eager, again = tiny("eager")
    assert tsnb.neuron.preflight(again, "inf1", eager).ok
    assert "scaled_dot_product" not in str(tsnb.neuron.preflight(again, "inf1", eager))


def traced_inputs(traced: tsnb.Traced) -> dict[str, torch.Tensor]:
    ones = torch.ones(1, 16, dtype=torch.int64)
    return dict.fromkeys(traced.contract.input_names, ones)


def test_the_estimate_is_called_one_and_says_why() -> None:
    _, traced = tiny()
    first = tsnb.neuron.preflight(traced, "inf1").findings[0]
    assert first.why.startswith("Estimate: ")
    assert torch.__version__ in first.why
    assert "torch 1.13" in first.why


def test_inf2_has_no_list_and_names_the_command() -> None:
    model, traced = tiny("sdpa")
    report = tsnb.neuron.preflight(traced, "inf2", model)
    [finding] = report.about("operators")
    assert finding.kind == "attention"
    assert "no valid list" in finding.why
    assert "aten::scaled_dot_product_attention" in finding.why
    assert finding.todo.endswith("torch_neuronx.analyze(model, example, is_hf_transformers=True)")
    assert report.analyze.strip().endswith(finding.todo.partition(": ")[2])
    assert report.buckets is None


def test_without_its_model_a_trace_leaves_questions() -> None:
    _, traced = tiny()
    report = tsnb.neuron.preflight(traced, "inf1")
    assert kinds(report, "architecture") == ["attention"]
    assert kinds(report, "task") == ["attention"]
    assert kinds(report, "flow") == ["ok"]


def test_python_in_a_trace_is_found_where_its_warnings_tell() -> None:
    traced = tsnb.trace(make(IntMask), SIZES)
    [finding] = tsnb.neuron.preflight(traced, "inf1").about("flow")
    assert finding.kind == "attention"
    assert "traps.py" in finding.why


@pytest.mark.parametrize("verify", [(), [(1, 7)], [(1, 7), (2, 7)]])
def test_a_loop_gives_no_warning_and_is_found_by_running_the_model(verify: Any) -> None:
    model = make(PositionLoop)
    traced = tsnb.trace(model, SIZES, verify=verify)
    assert traced.warnings == ()
    [unknown] = tsnb.neuron.preflight(traced, "inf1").about("flow")
    assert "unknown" in unknown.why
    [found] = tsnb.neuron.preflight(traced, "inf1", model).about("flow")
    assert (found.kind, "1 × 3" in found.why) == ("attention", True)


def test_a_trace_that_was_verified_at_one_shape_is_run_at_two_more() -> None:
    model, traced = tiny()
    inputs = traced_inputs(traced)
    once = tsnb.trace(model, inputs, verify=[(1, 16)])
    [finding] = tsnb.neuron.preflight(once, "inf1", model).about("flow")
    assert finding.kind == "ok"
    assert "1 × 8, 2 × 8" in finding.why


def test_a_file_that_tsnb_did_not_make_is_said_to_be_unknown() -> None:
    report = tsnb.neuron.preflight(foreign(lambda x: x + 1, torch.zeros(1, 2)))
    [finding] = report.about("contract")
    assert finding.kind == "attention"
    assert kinds(report, "shapes") == kinds(report, "flow") == ["attention"]
    assert kinds(report, "dtypes") == ["attention", "attention"]
    assert report.ok


def test_a_dict_stands_in_the_way() -> None:
    traced = foreign(lambda x: {"y": x + 1}, torch.zeros(1, 2), strict=False)
    report = tsnb.neuron.preflight(traced, "inf2")
    assert not report.ok
    assert [finding.topic for finding in report.of("blocker")] == ["outputs"]


@pytest.mark.parametrize(
    ("target", "expected"), [("inf1", ["attention"] * 2), ("inf2", ["attention", "blocker"])]
)
def test_a_size_that_depends_on_the_data(target: str, expected: list[str]) -> None:
    traced = foreign(lambda x: x.nonzero(), torch.ones(2, 2))
    report = tsnb.neuron.preflight(traced, target)
    assert kinds(report, "operators") == expected
    assert "aten::nonzero" in report.about("operators")[1].why


def test_an_operator_with_a_condition_names_it() -> None:
    traced = foreign(lambda x: torch.where(x > 0, x, -x), torch.ones(2, 2))
    report = tsnb.neuron.preflight(traced, "inf1")
    assert "aten::where: 3-argument form only" in report.about("operators")[-1].why
    assert report.operators.share == 1.0


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, "ok"), (torch.float64, "attention")])
def test_dtypes_that_no_tutorial_uses(dtype: torch.dtype, kind: str) -> None:
    model = nn.Linear(2, 2, dtype=dtype).eval()
    traced = tsnb.trace(model, {"input": torch.zeros(1, 2, dtype=dtype)})
    assert kinds(tsnb.neuron.preflight(traced, "inf2", model), "dtypes") == [kind]


def test_names_with_a_gap_before_them() -> None:
    model, traced = tiny()
    inputs = traced_inputs(traced)
    del inputs["attention_mask"]
    report = tsnb.neuron.preflight(tsnb.trace(model, inputs), "inf2", model)
    [finding] = report.about("order")
    assert finding.kind == "attention"
    assert "attention_mask" in finding.todo


@pytest.mark.parametrize(
    ("head", "task", "said"),
    [
        ("question-answering", None, "question-answering is one of the three"),
        ("sequence-classification", None, "sequence-classification is one of the three"),
        ("token-classification", None, "token-classification is one of the three"),
        ("masked-lm", None, "masked-lm reads a text in one pass"),
        ("masked-lm", "question-answering", "question-answering is one of the three"),
    ],
)
def test_the_task_is_read_off_the_model_or_given(
    head: str, task: str | None, said: str, load: Callable[..., Any]
) -> None:
    model, tokenizer = load(head=head)
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    [finding] = tsnb.neuron.preflight(traced, "inf1", model, task).about("task")
    assert finding.kind == "ok"
    assert finding.why.startswith(said)


def test_the_code_converts_without_a_device() -> None:
    _, traced = tiny()
    assert "cpu_backend=True" in tsnb.neuron.preflight(traced, "inf2").code
    assert "cpu_backend" not in tsnb.neuron.preflight(traced, "inf1").code


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"target": "inf3"}, "neuron.unknown-target"),
        ({"task": "question-answer"}, "neuron.unknown-task"),
        ({"task": "QA"}, "neuron.unknown-task"),
    ],
)
def test_unknown_words(options: dict[str, Any], key: str) -> None:
    with pytest.raises(tsnb.NeuronError) as caught:
        tsnb.neuron.preflight(foreign(lambda x: x + 1, torch.zeros(1, 2)), **options)
    assert caught.value.key == key
    assert caught.value.gaps["near"]


def test_what_is_no_plain_trace() -> None:
    model, traced = tiny()
    fixed = tsnb.neuron.fixed_shape(traced)
    compiled = SimpleNamespace(
        inlined_graph=torch._C.parse_ir(
            "graph(%x : Tensor):\n  %y : Tensor = neuron::forward_1(%x)\n  return (%y)"
        )
    )
    given: dict[str, Any] = {
        "neuron.not-traced": model,
        "neuron.is-stand-in": fixed,
        "neuron.already-converted": replace(traced, module=compiled),  # type: ignore[arg-type]
    }
    for key, held in given.items():
        with pytest.raises(tsnb.NeuronError) as caught:
            tsnb.neuron.preflight(held)
        assert caught.value.key == key


def test_another_model_and_one_in_training_mode_are_refused() -> None:
    model, traced = tiny()
    with pytest.raises(tsnb.TraceError, match="not made from this"):
        tsnb.neuron.preflight(traced, "inf1", tsnb.load("bert-mini")[0])
    with pytest.raises(tsnb.TraceError, match="training mode"):
        tsnb.neuron.preflight(traced, "inf1", model.train())


def test_weights_are_counted_once_also_in_a_frozen_trace() -> None:
    model, traced = tiny()
    count = sum(held.numel() for held in model.parameters())
    assert weights(traced.module) == (count, 4 * count)
    with quiet_jit() as jit:
        frozen = replace(traced, module=jit.freeze(traced.module))
    found, _ = weights(frozen.module)
    assert count <= found <= 1.3 * count
    report = tsnb.neuron.preflight(frozen, "inf1")
    assert report.about("weights") == ()
    assert report.weights == found
