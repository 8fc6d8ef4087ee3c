from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

import tsnb
from tests.neuron.test_checks import case, only
from tsnb.models.load import CLASSES
from tsnb.neuron.fit import SUITED, WRITING, architecture, checked_task, family, task
from tsnb.neuron.targets import TARGETS, facts


def of(kind: str) -> Any:
    return SimpleNamespace(config=SimpleNamespace(model_type=kind))


@pytest.mark.parametrize(
    ("kind", "on_inf1", "on_inf2"),
    [
        ("bert", "ok", "ok"),
        ("roberta", "ok", "ok"),
        ("electra", "ok", "ok"),
        ("gpt2", "blocker", "ok"),
        ("llama", "blocker", "ok"),
        ("t5", "attention", "attention"),
        ("marian", "attention", "attention"),
        ("vit", "ok", "ok"),
        ("funnel", "attention", "attention"),
    ],
)
def test_how_a_kind_of_model_fits(kind: str, on_inf1: str, on_inf2: str) -> None:
    for name, expected in (("inf1", on_inf1), ("inf2", on_inf2)):
        finding = only(architecture(case(name, model=of(kind))))
        assert finding.kind == expected
        assert bool(finding.todo) == (expected != "ok")
        assert "May 2023" in finding.source


def test_a_kind_that_aws_does_not_name_is_said_to_be_like_one() -> None:
    assert "does not name electra" in only(architecture(case(model=of("electra")))).why
    assert "does not name" not in only(architecture(case(model=of("bert")))).why


def test_a_module_without_a_configuration() -> None:
    finding = only(architecture(case()))
    assert (finding.kind, "unknown" in finding.why) == ("attention", True)


def test_the_table_rates_kinds_that_transformers_knows_each_once() -> None:
    kinds = [kind for row in facts()["fit"] for kind in (*row["named"], *row["like"])]
    assert len(set(kinds)) == len(kinds)
    assert set(kinds) <= set(CONFIG_MAPPING)
    for row in facts()["fit"]:
        assert {row[item.name] for item in TARGETS} <= {"supported", "roadmap", "wrappers", "no"}
    assert family("no-such-kind") == {}


@pytest.mark.parametrize("name", SUITED)
def test_tasks_that_suit_inf1(name: str) -> None:
    assert "one of the three" in only(task(case("inf1", task=name))).why
    assert "no rating" in only(task(case("inf2", task=name))).why


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("place", ["inf1", "inf2"])
def test_tasks_that_write_need_more_than_one_graph(name: str, place: str) -> None:
    finding = only(task(case(place, task=name)))
    assert finding.kind == "attention"
    assert "apart" in finding.todo


def test_no_task() -> None:
    assert only(task(case())).kind == "attention"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BertForQuestionAnswering", "question-answering"),
        ("RobertaForSequenceClassification", "sequence-classification"),
        ("BertForTokenClassification", "token-classification"),
        ("BertForMaskedLM", "masked-lm"),
        ("GPT2LMHeadModel", "causal-lm"),
        ("LlamaForCausalLM", "causal-lm"),
        ("MarianMTModel", "seq2seq-lm"),
        ("T5ForConditionalGeneration", "seq2seq-lm"),
        ("BertModel", "encoder"),
        ("Linear", ""),
    ],
)
def test_the_task_of_a_class(name: str, expected: str) -> None:
    assert checked_task(None, type(name, (), {})()) == expected


def test_a_given_task_comes_first_and_must_be_known() -> None:
    assert checked_task("encoder", type("BertForMaskedLM", (), {})()) == "encoder"
    assert checked_task(None, None) == ""
    with pytest.raises(tsnb.NeuronError, match="Did you mean question-answering"):
        checked_task("question_answering", None)


def test_every_head_that_tsnb_loads_is_a_task() -> None:
    assert set(CLASSES) <= set(facts()["tasks"])
    assert {*SUITED, *WRITING} <= set(facts()["tasks"])
