"""The Neuron planner: choices in, the plan of `tsnb.neuron.plan` out."""

import html
from typing import Any

import pytest
import torch

import tsnb
from tsnb.base.errors import InputError, NeuronError
from tsnb.widgets.neuron_planner import NeuronPlanner

LENGTHS = [*range(1, 31)]


@pytest.fixture
def view() -> NeuronPlanner:
    return NeuronPlanner(lengths=LENGTHS)


def test_it_begins_with_the_plan_of_what_is_chosen(view: NeuronPlanner) -> None:
    chosen = [getattr(view, name) for name in ("subject", "task", "target", "attention", "value", "buckets")]
    assert chosen == ["tiny-bert", "question-answering", "inf1", "sdpa", 32, 4]
    assert view.plan == tsnb.neuron.plan(lengths=LENGTHS)
    assert view.options["value"] == [16, 32]
    begun = NeuronPlanner(lengths=[*[5] * 99, 900], value=20, task="masked-lm", buckets=20)
    assert begun.options["value"] == [8, 20, 512]
    assert (begun.plan.task, begun.plan.max_length, begun.buckets) == ("masked-lm", 20, 20)


def test_a_choice_changes_control_trait_plan_and_page(view: NeuronPlanner) -> None:
    children, notes = view.children, []
    view.note.observe(lambda change: notes.append(change.new), "value")
    view.controls["target"].value = "inf2"
    assert (view.target, view.plan.report.target.name) == ("inf2", "inf2")
    view.buckets = 2
    assert (view.controls["buckets"].value, len(view.plan.edges)) == (2, 2)
    view.attention, view.value, view.task, view.subject = "eager", 16, "masked-lm", "bert-mini"
    own: Any = {"subject": "bert-mini", "task": "masked-lm", "target": "inf2", "attention": "eager"}
    assert view.plan == tsnb.neuron.plan(lengths=LENGTHS, max_length=16, buckets=2, **own)
    assert view.children == children
    assert "torch_neuronx.trace" in view.html()
    assert ("Tracing" in notes[0], notes[1], view.note.layout.display) == (True, "", "none")


def test_a_choice_that_is_none_changes_nothing(view: NeuronPlanner) -> None:
    shown = view.plan
    with pytest.raises(InputError, match=r"target must be one of .*got trn2\."):
        view.target = "trn2"
    assert view.target == view.controls["target"].value == "inf1"
    assert view.plan is shown
    with pytest.raises(NeuronError, match="Did you mean inf2"):
        NeuronPlanner(lengths=LENGTHS, target="inf22")


def test_the_view_shows_all_that_the_text_says(view: NeuronPlanner) -> None:
    shown, plan = html.unescape(view.html()), view.plan
    for finding in plan.findings:
        assert all(part in shown for part in (finding.why, finding.todo, finding.source))
    for text in (*plan.diff, *plan.detection.lines, *plan.sections, *(text for _, text in plan.figures)):
        assert text in shown
    bundle = view._repr_mimebundle_()
    assert bundle["text/plain"] == repr(view) == str(view.plan)
    assert bundle["text/html"] == view.html()


def test_the_reader_s_trace_has_its_own_attention(own: tuple[tsnb.Traced, Any]) -> None:
    view = NeuronPlanner(*own, lengths=LENGTHS)
    assert (view.subject, view.task, view.value) == ("yours", "masked-lm", 16)
    assert view.plan == tsnb.neuron.plan(*own, lengths=LENGTHS)
    assert view.controls["attention"].disabled
    assert view.options["subject"][0] == "yours"
    view.subject = "tiny-bert"
    assert not view.controls["attention"].disabled
    assert "tiny-bert with the head masked-lm" in view.plan.traced


def test_a_choice_without_a_plan_is_taken_back_everywhere() -> None:
    long = tsnb.trace(torch.nn.ReLU().eval(), {"input": torch.ones(1, 600)})
    view = NeuronPlanner(long, lengths=LENGTHS)
    before = view.plan
    view.controls["subject"].value = "tiny-bert"  # whose position limit is below the 600 tokens
    assert view.subject == view.controls["subject"].value == "yours"
    assert view.plan == before
    assert "With subject tiny-bert there is no plan" in view.note.value
    assert view.note.value in str(view)
