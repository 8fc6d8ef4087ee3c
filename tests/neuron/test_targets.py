from __future__ import annotations

import pytest

import tsnb
from tsnb.neuron.targets import TARGETS, facts, source, target


def test_the_two_generations_that_trace() -> None:
    assert [item.name for item in TARGETS] == ["inf1", "inf2"]
    assert [item.package for item in TARGETS] == ["torch_neuron", "torch_neuronx"]
    assert [item.inputs for item in TARGETS] == ["list", "tuple"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("inf22", "Did you mean inf2"),
        ("Inf1", "Did you mean inf1"),
        ("cuda", "Known: inf1, inf2."),
        ("trn1", "Trn1 takes what inf2 takes"),
        (None, "None"),
        (["inf1"], "inf1"),
    ],
)
def test_an_unknown_target_is_refused_with_the_near_one(given: str, said: str) -> None:
    with pytest.raises(tsnb.NeuronError, match=said) as caught:
        target(given)
    assert caught.value.key == "neuron.unknown-target"


@pytest.mark.parametrize(
    ("weights", "count"),
    [(109_482_240, 9), (66_000_000, 15), (1_000_000_000, 1), (3_000_000_000, 0)],
)
def test_aws_s_rule_for_buckets(weights: int, count: int) -> None:
    assert target("inf1").buckets(weights) == count
    assert target("inf2").buckets(weights) is None


def test_no_weights_and_no_rule() -> None:
    assert target("inf1").buckets(0) is None


def test_the_facts_have_a_date_and_addresses() -> None:
    assert facts()["as_of"] == "October 2026"
    assert all(address.startswith("https://") for address in facts()["sources"].values())
    assert source("buckets").endswith("bucketing-app-note.rst")


def test_the_third_generation_is_told_of_and_is_no_target() -> None:
    third = facts()["untraced"]
    assert third["package"] == "torch_neuronx"
    assert "torch.compile" in third["call"]
    assert "trn2" not in facts()["target"]


def test_the_two_cannot_share_an_environment() -> None:
    first, second = TARGETS
    assert not set(first.python) & set(second.python)
    assert first.torch != second.torch
