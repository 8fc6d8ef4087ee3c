"""A plan against the functions that it is made of."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tsnb
from tests.kinds import Load
from tsnb.lengths.lengths import length_report, token_lengths
from tsnb.neuron import plan
from tsnb.neuron.detection import detect_one
from tsnb.neuron.targets import facts, find_target
from tsnb.tiny_bert import corpus

LENGTHS = [*range(1, 31)]


def test_by_default_it_is_the_embedded_model_for_inf1(load: Load) -> None:
    plain = plan(lengths=LENGTHS)
    model, tokenizer = load(head="question-answering")
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
    assert (plain.task, plain.max_length, len(plain.edges)) == ("question-answering", 32, 4)
    assert plain.report == tsnb.neuron.preflight(traced, "inf1", model, "question-answering")
    assert plain.detection == detect_one(find_target("inf1"))


def test_every_embedded_model_and_task_has_a_plan_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for task in facts()["tasks"]:
            assert plan(lengths=LENGTHS, task=task).report.ok
        assert "head encoder" in plan(lengths=LENGTHS, task="seq2seq-lm").traced
        mini = plan(lengths=LENGTHS, subject="bert-mini", target="inf2", task="token-classification")
    assert mini.report.weights > 1e7
    kinds = [finding.kind for finding in mini.findings]
    assert kinds == sorted(kinds, key=["blocker", "attention", "ok"].index)


def test_lengths_to_compile_are_planned_after_the_cut() -> None:
    cut = plan(lengths=LENGTHS, max_length=16, buckets=2)
    assert cut.edges == tuple(tsnb.plan_buckets(np.minimum(LENGTHS, 16), 2))
    assert cut.costs == length_report(LENGTHS, 16, buckets=cut.edges)
    assert dict(cut.figures)["texts that are cut"] == "14 of 30"


def test_without_lengths_they_are_those_of_the_generated_texts(load: Load) -> None:
    lengths = token_lengths(load()[1], corpus.texts(1000))
    assert plan(buckets=2) == plan(lengths=lengths, buckets=2)


def test_aws_s_rule_and_more_lengths_than_it_allows() -> None:
    one, label = plan(lengths=LENGTHS), "AWS's rule for Inf1"
    assert dict(one.figures)[label] == f"about {round(1e9 / one.report.weights):,} lengths a NeuronCore"
    few = replace(one, report=replace(one.report, buckets=3))
    assert dict(few.figures)[label].endswith("4 are too many")
    assert dict(plan(lengths=LENGTHS, target="inf2").figures)[label] == "does not apply"


def test_the_text_has_every_part_and_the_diff_both_programs() -> None:
    one = plan(lengths=LENGTHS)
    text = str(one)
    assert text == repr(one)
    figures = [f"{label}: {value}" for label, value in one.figures]
    parts = [*figures, *map(str, one.findings), *one.detection.lines, *one.sections, *one.diff]
    assert [part for part in parts if part not in text] == []
    for sign, program in (("-", one.plain), ("+", one.code)):
        assert [line[2:] for line in one.diff if line[0] in (" ", sign)] == program.splitlines()
    assert "+ traced = torch_neuron.trace(model, example)" in one.diff


def test_the_reader_s_trace_is_looked_through_as_it_is(own: tuple[tsnb.Traced, Any]) -> None:
    one = plan(*own, lengths=LENGTHS)
    assert (one.task, one.max_length, one.traced) == ("masked-lm", 16, "your trace, 1 × 16")
    assert one.report == tsnb.neuron.preflight(own[0], "inf1", own[1])
    longer = plan(*own, lengths=LENGTHS, target="inf2", max_length=32)
    assert longer.traced == "your trace, 1 × 16; trace it again for 32"


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"subject": "bert"}, "no embedded model called bert"),
        ({"lengths": []}, "There are no lengths"),
        ({"traced": 5}, "Expected what tsnb.trace .*; got int"),
    ],
)
def test_a_choice_that_is_none_is_refused(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(tsnb.TsnbError, match=sentence):
        plan(**{"lengths": LENGTHS} | choices)


def test_another_model_is_refused(own: tuple[tsnb.Traced, Any], load: Load) -> None:
    with pytest.raises(tsnb.TraceError, match="not made from this"):
        plan(own[0], load(head="encoder")[0], lengths=LENGTHS)
