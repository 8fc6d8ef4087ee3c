"""The Neuron planner: its state without a browser, its plan against the functions, its view."""

from __future__ import annotations

import html
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from ipywidgets import Dropdown

import tsnb
from tests.neuron.stand_ins import BEGIN, environment, install
from tsnb.base.errors import InputError, TraceError
from tsnb.lengths.lengths import length_report, token_lengths
from tsnb.neuron.detection import detect_one
from tsnb.neuron.targets import facts, target
from tsnb.tiny_bert import FOLDER, corpus
from tsnb.widgets import base
from tsnb.widgets.neuron_planner import NeuronPlanner
from tsnb.widgets.neuron_planner_state import CHOICES, NeuronPlannerState, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LENGTHS = [*range(1, 31)]
SDPA = "aten::scaled_dot_product_attention"
WIDGET = "application/vnd.jupyter.widget-view+json"


@cache
def kept(**choices: Any) -> NeuronPlannerState:
    """Make a state once; a test that changes its state makes one of its own."""
    return NeuronPlannerState(lengths=LENGTHS, **choices)


@pytest.fixture
def state() -> NeuronPlannerState:
    return NeuronPlannerState(lengths=LENGTHS)


@pytest.fixture
def view() -> NeuronPlanner:
    return NeuronPlanner(lengths=LENGTHS)


@pytest.fixture(scope="module")
def own(load: Callable[..., Any]) -> tuple[tsnb.Traced, Any]:
    """Return a trace of the reader's own, and its model."""
    model, tokenizer = load()
    return tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16)), model


def told(state: NeuronPlannerState) -> dict[str, str]:
    return dict(state.plan.figures())


# The state


def test_the_state_needs_no_ipywidgets(python: Callable[..., str]) -> None:
    code = "import sys, tsnb.widgets.neuron_planner_state; print('ipywidgets' in sys.modules)"
    assert python(code) == "False\n"


def test_what_is_chosen_at_first() -> None:
    state = kept()
    chosen = {name: getattr(state, name) for name in CHOICES}
    assert chosen == {
        "subject": "tiny-bert",
        "task": "question-answering",
        "target": "inf1",
        "attention": "sdpa",
        "value": 32,
        "buckets": 4,
    }
    assert not state.busy


def test_max_lengths_are_the_presets_in_steps_of_8_within_the_limit() -> None:
    assert kept().options["value"] == (16, 32)
    state = NeuronPlannerState(lengths=[*[5] * 99, 900], value=20)
    assert state.options["value"] == (8, 20, 512)


def test_without_lengths_they_are_those_of_the_generated_texts(load: Callable[..., Any]) -> None:
    state = NeuronPlannerState(buckets=2)
    expected = token_lengths(load()[1], corpus.texts(1000))
    assert np.array_equal(state.lengths, expected)
    assert state.plan.edges == tuple(tsnb.plan_buckets(np.minimum(expected, state.value), 2))


def test_the_report_is_the_preflight_of_such_a_trace(load: Callable[..., Any]) -> None:
    model, tokenizer = load(head="question-answering")
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
    expected = tsnb.neuron.preflight(traced, "inf1", model, "question-answering")
    assert kept().plan.report == expected


def test_eager_attention_takes_the_finding_away() -> None:
    assert SDPA in kept().plan.report.operators.outside
    found = kept(attention="eager").plan.report.operators.outside
    assert found == ("aten::embedding",)


def test_every_embedded_model_and_task_has_a_plan() -> None:
    for task in facts()["tasks"]:
        plan = kept(task=task).plan
        assert plan.report.ok
        [finding] = plan.report.about("task")
        assert finding.kind == ("attention" if task in ("causal-lm", "seq2seq-lm") else "ok")
    assert kept(subject="bert-mini").plan.report.weights > 1e7


def test_a_task_that_writes_is_looked_through_by_the_encoder() -> None:
    state = kept(task="seq2seq-lm")
    assert "head encoder" in state.plan.traced
    assert "import AutoModel," in state.plan.code


def test_the_worst_findings_come_first() -> None:
    kinds = [finding.kind for finding in kept(target="inf2").plan.findings]
    order = ["blocker", "attention", "ok"]
    assert kinds == sorted(kinds, key=order.index)
    assert {"attention", "ok"} <= set(kinds)


def test_lengths_to_compile_are_planned_after_the_cut(state: NeuronPlannerState) -> None:
    state.value, state.buckets = 16, 2
    assert state.plan.edges == tuple(tsnb.plan_buckets(np.minimum(LENGTHS, 16), 2))
    assert state.plan.costs == length_report(LENGTHS, 16, buckets=state.plan.edges)
    assert told(state)["texts that are cut"] == "14 of 30"
    state.buckets = 1
    assert state.plan.edges == (16,)


def test_aws_rule_and_more_lengths_than_it_allows(state: NeuronPlannerState) -> None:
    assert state.plan.report.buckets == round(1e9 / state.plan.report.weights)
    assert told(state)["AWS's rule for Inf1"].startswith(f"about {state.plan.report.buckets:,} ")
    assert told(kept(target="inf2"))["AWS's rule for Inf1"] == "there is none for inf2"
    held = state.plan
    few = type(held.report)(**{**vars(held.report), "buckets": 3})
    crowded = Plan(**{**vars(held), "report": few})
    assert dict(crowded.figures())["AWS's rule for Inf1"].endswith("4 are too many")


def test_what_to_install_is_what_was_detected() -> None:
    plan = kept(target="inf2").plan
    assert plan.found == detect_one(target("inf2"))
    assert plan.install == [getattr(plan.found, name) for name in INSTALL]


INSTALL = ("found", "todo", "versions", "hosts", "lifecycle")


def test_the_text_has_every_part() -> None:
    plan = kept().plan
    text = str(kept())
    assert text == str(plan)
    for label, value in plan.figures():
        assert f"{label}: {value}" in text
    parts = [*plan.heads().values(), *map(str, plan.findings), *plan.diff, *plan.install]
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("subject", "yours"),
        ("subject", "bert"),
        ("task", "question answering"),
        ("target", "trn2"),
        ("attention", "flash"),
        ("value", 17),
        ("value", 32.0),
        ("buckets", 0),
        ("buckets", True),
        ("buckets", 13),
    ],
)
def test_a_choice_that_is_none_changes_nothing(name: str, given: Any) -> None:
    state = kept()
    before = state.plan
    with pytest.raises(InputError, match=rf"{name} must be one of .*got {given}\."):
        setattr(state, name, given)
    assert state.plan is before


@pytest.mark.parametrize("given", [0, 2.5, "8", True])
def test_a_max_length_to_begin_with_is_a_whole_number(given: Any) -> None:
    with pytest.raises(InputError, match="value must be"):
        NeuronPlannerState(lengths=LENGTHS, value=given)


def test_a_model_is_traced_once_for_what_is_chosen(
    state: NeuronPlannerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []
    look = state._look

    def noted() -> Any:
        looked.append(state.target)
        return look()

    monkeypatch.setattr(state, "_look", noted)
    first = state.plan.report
    state.buckets = 2
    state.target = "inf2"
    state.target = "inf1"
    assert looked == ["inf2"]
    assert state.plan.report is first


def test_it_says_when_it_is_at_work(state: NeuronPlannerState) -> None:
    seen: list[bool] = []
    state.observe(lambda change: seen.append(change.new), "busy")
    state.attention = "eager"
    assert seen == [True, False]


def test_heads_that_are_not_trained_need_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NeuronPlannerState(lengths=[8], subject="bert-mini", task="token-classification")


# A trace of the reader's own


def test_the_readers_trace_is_looked_through_as_it_is(own: tuple[tsnb.Traced, Any]) -> None:
    state = NeuronPlannerState(*own, lengths=LENGTHS)
    assert (state.subject, state.task, state.value) == ("yours", "masked-lm", 16)
    assert state.plan.report == tsnb.neuron.preflight(own[0], "inf1", own[1])
    assert told(state)["looked through"] == "your trace, 1 × 16"
    assert not state.plan.code.startswith("from transformers")


def test_another_max_length_asks_for_another_trace(own: tuple[tsnb.Traced, Any]) -> None:
    state = NeuronPlannerState(*own, lengths=LENGTHS)
    state.value = 32
    assert told(state)["looked through"] == "your trace, 1 × 16; trace it again for 32"
    state.subject = "tiny-bert"
    assert "tiny-bert with the head masked-lm" in told(state)["looked through"]
    assert state.plan.code.startswith("from transformers")


def test_a_file_that_tsnb_did_not_make_has_a_plan_too(own: tuple[tsnb.Traced, Any], tmp_path: Path) -> None:
    torch.jit.save(own[0].module, tmp_path / "plain.pt")
    state = NeuronPlannerState(tsnb.load_traced(tmp_path / "plain.pt"), lengths=LENGTHS)
    assert told(state)["looked through"] == "your trace, ? × ?; trace it again for 32"
    assert state.plan.report.about("contract")[0].kind == "attention"


def test_another_model_is_refused(own: tuple[tsnb.Traced, Any], load: Callable[..., Any]) -> None:
    other, _ = load(head="encoder")
    with pytest.raises(TraceError):
        NeuronPlannerState(own[0], other, lengths=LENGTHS)


# The programs


def sentence() -> dict[str, Any]:
    return {"folder": str(FOLDER), "text": "who was jim henson ?"}


def test_the_plain_program_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = sentence()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(kept(task="masked-lm").plan.plain, names)
    assert names["inputs"]["input_ids"].shape == (1, 32)
    loaded = torch.jit.load(tmp_path / "model.pt")
    assert torch.equal(loaded(*names["example"])[0], names["traced"](*names["example"])[0])


@pytest.mark.parametrize(("name", "kind"), [("inf1", "list"), ("inf2", "tuple")])
def test_the_program_of_a_generation_makes_the_documented_call(
    name: str, kind: str, python: Callable[..., str], tmp_path: Path
) -> None:
    package = target(name).package
    install(tmp_path, package)
    told = f"import os; os.chdir({str(tmp_path)!r}); import warnings; warnings.simplefilter('ignore')"
    given = "\n".join(f"{key} = {value!r}" for key, value in sentence().items())
    program = kept(task="masked-lm", target=name, attention="eager").plan.code
    end = f"\nprint({package}.CALLS[-1]['type'], {package}.CALLS[-1].get('cpu'))"
    code = f"{BEGIN}\n{told}\n{given}\n{program}{end}"
    printed = python(code, tmp_path, **environment(tmp_path)).split()
    assert printed == [kind, "True" if name == "inf2" else "None"]
    assert (tmp_path / "model.pt").is_file()


def test_the_diff_is_made_of_both_programs() -> None:
    plan = kept().plan
    for sign, program in (("-", plan.plain), ("+", plan.code)):
        lines = [line[2:] for line in plan.diff if line[0] in (" ", sign)]
        assert lines == program.splitlines()
    assert "+ traced = torch_neuron.trace(model, example)" in plan.diff


# The view


def test_choices_are_one_in_control_trait_and_state(view: NeuronPlanner) -> None:
    for name in CHOICES:
        assert getattr(view, name) == getattr(view.state, name) == view.controls[name].value
    view.controls["target"].value = "inf2"
    assert (view.target, view.plan.report.target.name) == ("inf2", "inf2")
    view.buckets = 2
    assert (view.controls["buckets"].value, len(view.plan.edges)) == (2, 2)
    assert view.plan is view.state.plan


def test_a_choice_changes_the_parts_in_place(view: NeuronPlanner) -> None:
    children, before = view.children, view.html()
    view.target = "inf2"
    assert view.children == children
    assert "torch_neuronx.trace" in view.code.value
    assert "torch_neuron.trace" in before
    assert "torch_neuron.trace" not in view.html()


def test_a_choice_that_is_none_is_refused_everywhere(view: NeuronPlanner) -> None:
    with pytest.raises(InputError, match="target must be one of inf1, inf2; got inf3"):
        view.target = "inf3"
    assert view.target == view.state.target == view.controls["target"].value == "inf1"


def test_the_view_shows_all_that_the_text_says(view: NeuronPlanner) -> None:
    shown = html.unescape(view.html())
    plan = view.plan
    for finding in plan.findings:
        assert f"{finding.symbol} <b>" in shown
        assert all(part in shown for part in (finding.why, finding.todo, finding.source))
    for text in (*plan.diff, *plan.install, *plan.heads().values()):
        assert text in shown
    assert all(value in shown for _, value in plan.figures())


def test_what_has_something_to_do_is_open(view: NeuronPlanner) -> None:
    counts = {kind: len(view.plan.report.of(kind)) for kind in ("ok", "attention")}
    assert view.findings.value.count("<details open") == counts["attention"]
    assert view.findings.value.count("<details style") == counts["ok"]


def test_it_says_that_it_traces(view: NeuronPlanner) -> None:
    shown: list[str] = []
    view.note.observe(lambda change: shown.append(change.new), "value")
    view.attention = "eager"
    assert len(shown) == 2
    assert "Tracing" in shown[0]
    assert (shown[1], view.note.layout.display) == ("", "none")


def test_a_choice_without_a_plan_is_taken_back_everywhere(
    view: NeuronPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, head = view.plan, "no such luck"

    def broken(_: object) -> None:
        raise RuntimeError(head)

    monkeypatch.setattr(NeuronPlannerState, "_look", broken)
    places: list[tuple[Any, str]] = [
        (view, "task"),
        (view.state, "task"),
        (view.controls["task"], "value"),
    ]
    for place, name in places:
        setattr(place, name, "masked-lm")
        held = {view.task, view.state.task, view.controls["task"].value}
        assert held == {"question-answering"}
        assert view.plan is before
        assert head in view.note.value
        assert head in str(view)
        assert "masked-lm" in view.state.note
        view.buckets = 2 if view.buckets != 2 else 3
        before = view.plan
        assert (view.state.note, view.note.value) == ("", "")


def test_thousands_are_apart() -> None:
    plan = NeuronPlannerState(lengths=[*[4] * 1199, 500], value=504).plan
    assert dict(plan.figures())["texts that are cut"] == "0 of 1,200"


def test_the_code_has_a_font_of_one_width(view: NeuronPlanner) -> None:
    assert base.MONO in view.code.value


def test_the_readers_trace_has_its_own_attention(own: tuple[tsnb.Traced, Any]) -> None:
    view = NeuronPlanner(*own, lengths=LENGTHS)
    assert view.controls["attention"].disabled
    assert view.controls["subject"].options[0] == ("your trace", "yours")
    view.subject = "tiny-bert"
    assert not view.controls["attention"].disabled


def test_every_control_is_a_dropdown_with_label_and_tooltip(view: NeuronPlanner) -> None:
    assert list(view.controls) == list(CHOICES)
    for control in view.controls.values():
        assert isinstance(control, Dropdown)
        assert control.description
        assert control.tooltip
        assert control.style.description_width == "initial"
    assert view.children[0].layout.flex_flow == "row wrap"


def test_without_a_front_end_it_is_text_and_html(view: NeuronPlanner) -> None:
    bundle = view._repr_mimebundle_()
    assert bundle["text/plain"] == repr(view) == str(view.state)
    assert bundle["text/html"] == view.html()
    assert WIDGET in bundle


def test_it_is_found_where_the_notebooks_look() -> None:
    assert tsnb.widgets.NeuronPlanner is NeuronPlanner
    assert issubclass(NeuronPlanner, base.View)
