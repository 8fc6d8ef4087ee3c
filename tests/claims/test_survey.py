"""Claims of notebook 02 about the survey; a part of its data is measured again in tests/survey."""

from collections import Counter

import pytest

import tsnb

ROWS = tsnb.survey().rows
LINES = {"4.57.6", "5.24.0"}


def counts(**wanted: str) -> Counter[str]:
    """Count rows by line, those with a value in a field."""
    return Counter(row.line for row in ROWS if all(getattr(row, name) == value for name, value in wanted.items()))


@pytest.mark.claim("survey-has-hundreds-of-classes")
def test_more_than_600_classes_of_every_kind_were_traced_on_each_line() -> None:
    traced = counts(outcome="traced")
    assert traced.keys() == LINES
    assert min(traced.values()) > 600
    assert len({row.kind for row in ROWS}) == 6


@pytest.mark.claim("survey-most-are-the-same")
def test_nine_in_ten_are_the_same_wherever_the_model_runs() -> None:
    same, traced = counts(outcome="traced", symbol="✓"), counts(outcome="traced")
    assert all(same[line] > 0.85 * traced[line] for line in LINES)


@pytest.mark.claim("survey-few-are-refused")
def test_at_most_two_in_a_hundred_are_refused() -> None:
    refused, traced = counts(outcome="refused"), counts(outcome="traced")
    assert all(0 < refused[line] <= 0.02 * traced[line] for line in LINES)


@pytest.mark.claim("survey-some-differ-in-silence")
def test_funnel_and_longformer_are_among_those_that_differ_without_an_error() -> None:
    silent = {row.family for row in ROWS if row.symbol == "≠"}
    assert {"funnel", "longformer"} < silent
    assert len(silent) < 0.2 * len({row.family for row in ROWS})
