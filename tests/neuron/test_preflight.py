"""What a preflight says of real traces, and of cases that no small model gives."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from transformers import CONFIG_MAPPING, BertConfig, BertModel

import tsnb
from tests.tracing.architectures import ARCHITECTURES, example
from tests.tracing.architectures import make as make_tiny
from tsnb.base.tables import WIDTH
from tsnb.models.load import CLASSES, seeded
from tsnb.neuron.checks import WRITING, checked_task
from tsnb.neuron.targets import TARGETS, facts
from tsnb.tracing.traced import quiet_jit
from tsnb.tracing.traps import IntMask, PositionLoop, make

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.neuron.report import Finding, Preflight

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
TOPICS = {
    *("operators", "order", "outputs", "shapes", "dtypes", "weights", "device", "flow", "size", "buckets"),
    *("architecture", "task"),
}
SIZES = {"input_ids": torch.ones(1, 7, dtype=torch.int64)}


@pytest.fixture(scope="module")
def tiny() -> Callable[..., tuple[Any, tsnb.Traced]]:
    """Trace the embedded model with a kind of attention, once each."""
    kept: dict[str, tuple[Any, tsnb.Traced]] = {}

    def traced(attention: Any = "eager") -> tuple[Any, tsnb.Traced]:
        if attention not in kept:
            model, tokenizer = tsnb.load("tiny-bert", attn_implementation=attention)
            kept[attention] = model, tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
        return kept[attention]

    return traced


def foreign(function: Callable[..., Any], example: Any, *, strict: bool = True) -> Any:
    """Return a trace as somebody without tsnb would have made it."""

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return function(x)

    with quiet_jit() as jit:
        module = jit.trace(Model().eval(), example, strict=strict, check_trace=False)
    return tsnb.Traced(module, tsnb.Contract(("x",), known=False))


def kinds(report: Preflight, topic: str) -> list[str]:
    return [finding.kind for finding in report.about(topic)]


def only(report: Preflight, topic: str) -> Finding:
    [finding] = report.about(topic)
    return finding


class Sized(nn.Module):
    """As many weights as one likes, without their memory, and a kind of model."""

    def __init__(self, weights: int = 1, kind: str = "") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1).expand(weights), requires_grad=False)
        self.config = SimpleNamespace(model_type=kind)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight[0]


def of_size(weights: int, target: str) -> Preflight:
    return tsnb.neuron.preflight(
        tsnb.trace(Sized(weights).eval(), {"x": torch.zeros(1, 2)}, [(1, 2)]), target
    )


def test_twelve_layers_have_only_embeddings_outside_the_list() -> None:
    with seeded():
        model = BertModel(BertConfig(attn_implementation="eager")).eval()
    ids = torch.ones(1, 128, dtype=torch.int64)
    inputs = {"input_ids": ids, "attention_mask": ids, "token_type_ids": ids * 0}
    traced = tsnb.trace(model, inputs, verify=[(1, 128)])
    report = tsnb.neuron.preflight(traced, "inf1", model, "question-answering")
    assert report.operators.outside == ("aten::embedding",)
    assert (report.weights, report.buckets) == (109_482_240, 9)
    assert report.ok
    assert [finding.topic for finding in report.of("attention")] == ["shapes", "dtypes"]
    assert "1 × 64, 2 × 64" in only(report, "flow").why


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_can_be_looked_through(name: str) -> None:
    model = make_tiny(name)
    traced = tsnb.trace(model, example(name))
    for target in ("inf1", "inf2"):
        report = tsnb.neuron.preflight(traced, target, model)
        assert {finding.topic for finding in report.findings} == TOPICS
        assert report.ok
        assert report.weights == sum(tensor.numel() for tensor in model.parameters())
        assert all(finding.why and finding.source for finding in report.findings)
        assert all(finding.todo for finding in report.of("attention"))
    assert "aten::embedding" in tsnb.neuron.preflight(traced, "inf1", model).operators.outside


def test_attention_in_one_operator_asks_for_eager_on_inf1(tiny: Callable[..., Any]) -> None:
    model, traced = tiny("sdpa")
    report = tsnb.neuron.preflight(traced, "inf1", model)
    assert kinds(report, "operators") == ["attention", "ok", "attention"]
    assert 'attn_implementation="eager"' in report.about("operators")[-1].todo
    eager, again = tiny("eager")
    after = tsnb.neuron.preflight(again, "inf1", eager)
    assert "scaled_dot_product" not in str(after)
    why = after.about("operators")[0].why
    assert why.startswith("Estimate: ")
    assert torch.__version__ in why


def test_inf2_has_no_list_and_names_the_command(tiny: Callable[..., Any]) -> None:
    model, traced = tiny("sdpa")
    report = tsnb.neuron.preflight(traced, "inf2", model)
    finding = only(report, "operators")
    assert finding.kind == "attention"
    assert "no valid list" in finding.why
    assert "aten::scaled_dot_product_attention" in finding.why
    assert report.analyze.strip().endswith(finding.todo.partition(": ")[2])
    assert report.buckets is None
    assert "cpu_backend=True" in report.code


def test_without_its_model_a_trace_leaves_questions(tiny: Callable[..., Any]) -> None:
    report = tsnb.neuron.preflight(tiny()[1], "inf1")
    assert kinds(report, "architecture") == kinds(report, "task") == ["attention"]
    assert kinds(report, "flow") == ["ok"]


def test_python_in_a_trace_is_found_where_its_warnings_tell() -> None:
    finding = only(tsnb.neuron.preflight(tsnb.trace(make(IntMask), SIZES), "inf1"), "flow")
    assert finding.kind == "attention"
    assert "traps.py" in finding.why


@pytest.mark.parametrize("verify", [(), [(1, 7), (2, 7)]])
def test_a_loop_gives_no_warning_and_is_found_by_running_the_model(verify: Any) -> None:
    model = make(PositionLoop)
    traced = tsnb.trace(model, SIZES, verify=verify)
    assert traced.warnings == ()
    assert "unknown" in only(tsnb.neuron.preflight(traced, "inf1"), "flow").why
    finding = only(tsnb.neuron.preflight(traced, "inf1", model), "flow")
    assert (finding.kind, "1 × 3" in finding.why) == ("attention", True)


def test_a_file_that_tsnb_did_not_make_is_said_to_be_unknown() -> None:
    report = tsnb.neuron.preflight(foreign(lambda x: x + 1, torch.zeros(1, 2)))
    assert kinds(report, "contract") == kinds(report, "shapes") == kinds(report, "flow") == ["attention"]
    assert kinds(report, "dtypes") == ["attention", "attention"]
    assert report.ok


def test_a_dict_stands_in_the_way() -> None:
    report = tsnb.neuron.preflight(foreign(lambda x: {"y": x + 1}, torch.zeros(1, 2), strict=False), "inf2")
    assert not report.ok
    assert [finding.topic for finding in report.of("blocker")] == ["outputs"]


def test_a_size_that_depends_on_the_data() -> None:
    traced = foreign(lambda x: x.nonzero(), torch.ones(2, 2))
    inf1, inf2 = (tsnb.neuron.preflight(traced, target) for target in ("inf1", "inf2"))
    assert kinds(inf1, "operators") == ["attention", "attention"]
    assert kinds(inf2, "operators") == ["attention", "blocker"]
    assert "aten::nonzero" in inf1.about("operators")[1].why


def test_an_operator_with_a_condition_names_it() -> None:
    report = tsnb.neuron.preflight(foreign(lambda x: torch.where(x > 0, x, -x), torch.ones(2, 2)), "inf1")
    assert "aten::where: 3-argument form only" in report.about("operators")[-1].why
    assert "(100.0%)" in report.about("operators")[0].why


@pytest.mark.parametrize(("name", "kind"), [("cpu", "ok"), ("cuda:0", "blocker")])
def test_devices_in_a_graph(name: str, kind: str, tiny: Callable[..., Any]) -> None:
    text = f'graph(%x : Tensor):\n  %d : Device = prim::Constant[value="{name}"]()\n  return (%x)'
    module: Any = SimpleNamespace(inlined_graph=torch._C.parse_ir(text), parameters=list)
    finding = only(tsnb.neuron.preflight(replace(tiny()[1], module=module)), "device")
    assert finding.kind == kind
    assert name.upper() in finding.why or name in finding.why


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, "ok"), (torch.float64, "attention")])
def test_dtypes_that_no_tutorial_uses(dtype: torch.dtype, kind: str) -> None:
    model = nn.Linear(2, 2, dtype=dtype).eval()
    traced = tsnb.trace(model, {"input": torch.zeros(1, 2, dtype=dtype)})
    assert kinds(tsnb.neuron.preflight(traced, "inf2", model), "dtypes") == [kind]
    assert "BF16" in tsnb.neuron.preflight(traced, "inf1", model).about("dtypes")[1].why


def test_names_with_a_gap_before_them(tiny: Callable[..., Any]) -> None:
    model, _ = tiny()
    ones = torch.ones(1, 16, dtype=torch.int64)
    traced = tsnb.trace(model, {"input_ids": ones, "token_type_ids": ones})
    finding = only(tsnb.neuron.preflight(traced, "inf2", model), "order")
    assert finding.kind == "attention"
    assert "Give attention_mask too" in finding.todo


@pytest.mark.parametrize(
    ("target", "weights", "kind", "expected"),
    [
        ("inf1", 109_482_240, "ok", "0.22 GB; a NeuronCore has 2.0 GB"),
        ("inf1", 1_000_000_000, "ok", "2 GB"),
        ("inf1", 1_500_000_000, "attention", "Too much for a NeuronCore"),
        ("inf1", 4_100_000_000, "blocker", "Too much for a chip"),
        ("inf2", 109_482_240, "ok", "0.44 GB; a NeuronCore has 17.2 GB"),
        ("inf2", 5_000_000_000, "attention", "Too much for a NeuronCore"),
        ("inf2", 9_000_000_000, "blocker", "Too much for a chip"),
    ],
)
def test_weights_against_memory(target: str, weights: int, kind: str, expected: str) -> None:
    finding = only(of_size(weights, target), "size")
    assert finding.kind == kind
    assert expected in finding.why


def test_how_many_lengths_fit() -> None:
    few, none, inf2 = of_size(109_482_240, "inf1"), of_size(2_500_000_000, "inf1"), of_size(1, "inf2")
    assert (few.buckets, none.buckets, inf2.buckets) == (9, 0, None)
    assert [kinds(report, "buckets") for report in (few, none, inf2)] == [
        ["ok"],
        ["attention"],
        ["attention"],
    ]
    empty = tsnb.neuron.preflight(foreign(torch.relu, torch.zeros(1, 2)))
    assert (empty.weights, empty.about("buckets")) == (0, ())


def test_tied_weights_are_named() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)).eval()
    apart = tsnb.neuron.preflight(tsnb.trace(model, {"input": torch.zeros(1, 2)}))
    assert "No weights share" in only(apart, "weights").why
    model[1].weight = model[0].weight
    tied = tsnb.neuron.preflight(tsnb.trace(model, {"input": torch.zeros(1, 2)}))
    assert "0.weight = 1.weight" in only(tied, "weights").why
    assert (apart.weights, tied.weights) == (8, 4)


def test_weights_of_a_frozen_trace_are_its_constants(tiny: Callable[..., Any]) -> None:
    model, traced = tiny()
    count = sum(tensor.numel() for tensor in model.parameters())
    with quiet_jit() as jit:
        report = tsnb.neuron.preflight(replace(traced, module=jit.freeze(traced.module)), "inf1")
    assert count <= report.weights <= 1.3 * count
    assert report.about("weights") == ()


@pytest.mark.parametrize(
    ("kind", "on_inf1", "on_inf2"),
    [
        ("bert", "ok", "ok"),
        ("electra", "ok", "ok"),
        ("llama", "blocker", "ok"),
        ("marian", "attention", "attention"),
        ("vit", "ok", "ok"),
        ("funnel", "attention", "attention"),
    ],
)
def test_how_a_kind_of_model_fits(kind: str, on_inf1: str, on_inf2: str) -> None:
    model = Sized(kind=kind).eval()
    traced = tsnb.trace(model, {"x": torch.zeros(1, 2)})
    for name, expected in (("inf1", on_inf1), ("inf2", on_inf2)):
        finding = only(tsnb.neuron.preflight(traced, name, model), "architecture")
        assert finding.kind == expected
        assert bool(finding.todo) == (expected != "ok")
        assert ("does not name" in finding.why) == (kind in ("electra", "llama"))


def test_the_table_rates_kinds_that_transformers_knows_each_once() -> None:
    known = [kind for row in facts()["fit"] for kind in (*row["named"], *row["like"])]
    assert len(set(known)) == len(known)
    assert set(known) <= set(CONFIG_MAPPING)
    for row in facts()["fit"]:
        assert {row[target.name] for target in TARGETS} <= set(facts()["rating"])


def test_the_task_is_one_that_suits_that_is_read_or_that_writes(tiny: Callable[..., Any]) -> None:
    model, traced = tiny()

    def why(task: str | None, target: str = "inf1") -> str:
        return only(tsnb.neuron.preflight(traced, target, model, task), "task").why

    assert why(None).startswith("masked-lm reads a text in one pass")
    for task in tsnb.neuron.SUITED:
        assert "one of the three" in why(task)
        assert "no rating" in why(task, "inf2")
    for task in WRITING:
        assert "one graph is not enough" in why(task)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BertForQuestionAnswering", "question-answering"),
        ("RobertaForSequenceClassification", "sequence-classification"),
        ("BertForTokenClassification", "token-classification"),
        ("GPT2LMHeadModel", "causal-lm"),
        ("MarianMTModel", "seq2seq-lm"),
        ("BertModel", "encoder"),
        ("Linear", ""),
    ],
)
def test_the_task_of_a_class(name: str, expected: str) -> None:
    assert checked_task(None, type(name, (), {})()) == expected
    assert set(CLASSES) | {*tsnb.neuron.SUITED, *WRITING} <= set(facts()["tasks"])


def test_what_cannot_be_looked_through_is_refused(tiny: Callable[..., Any]) -> None:
    model, traced = tiny()
    graph = "graph(%x : Tensor):\n  %y : Tensor = neuron::forward_1(%x)\n  return (%y)"
    compiled: Any = SimpleNamespace(inlined_graph=torch._C.parse_ir(graph))
    refusals: dict[str, Callable[[], Any]] = {
        "Did you mean inf2": lambda: tsnb.neuron.preflight(traced, "inf3"),
        "Did you mean question-answering": lambda: tsnb.neuron.preflight(traced, task="question-answer"),
        "Expected a trace": lambda: tsnb.neuron.preflight(model),
        "a stand-in that fixed_shape made": lambda: tsnb.neuron.preflight(tsnb.neuron.fixed_shape(traced)),
        "compiled for Neuron already": lambda: tsnb.neuron.preflight(replace(traced, module=compiled)),
    }
    for sentence, call in refusals.items():
        with pytest.raises(tsnb.NeuronError, match=sentence):
            call()
    with pytest.raises(tsnb.TraceError, match="not made from this"):
        tsnb.neuron.preflight(traced, "inf1", tsnb.load("bert-mini")[0])
    with pytest.raises(tsnb.TraceError, match="training mode"):
        tsnb.neuron.preflight(traced, "inf1", tsnb.load("tiny-bert")[0].train())


def test_the_report_as_text_and_as_html(tiny: Callable[..., Any]) -> None:
    model, traced = tiny("sdpa")
    report = tsnb.neuron.preflight(traced, "inf1", model)
    text, html = str(report), report._repr_html_()
    counts = {kind: len(report.of(kind)) for kind in ("blocker", "attention", "ok")}
    head = "✗ {blocker} in the way, ! {attention} to know about, ✓ {ok} in order".format(**counts)
    assert repr(report) == text
    assert text.splitlines()[0] == f"Preflight for inf1: {head}"
    assert head in html
    assert "! control flow:" in text or "✓ control flow:" in text
    for finding in report.findings:
        assert finding.why in " ".join(text.split())
        assert f"({finding.source})" in text  # an address stays whole
    assert max(len(line) for line in text.splitlines()[1:] if "https://" not in line) <= WIDTH + 2
    assert html.count("<details open") == counts["attention"]
    assert html.count("<details style") == counts["ok"]
    assert "href='https://" in html
