"""A part of the survey, made and judged again, is what the data says; and the data keeps what was promised."""

import json
from pathlib import Path

import pytest

import tsnb
from tools.survey.__main__ import LINES, start
from tools.survey.judge import REFUSED, TRACED, UNMADE, faults
from tsnb.tracing.survey import Row

CLASSES = 25  # of each line
ROWS = tsnb.survey().rows
VERSIONS = sorted({row.line for row in ROWS})


def of_line(version: str) -> list[Row]:
    return [row for row in ROWS if row.line == version]


@pytest.mark.process
@pytest.mark.parametrize(("line", "version"), [*zip(LINES, VERSIONS, strict=True)])
def test_classes_of_every_kind_are_judged_as_the_data_says(line: Path, version: str) -> None:
    rows = of_line(version)
    part = [rows[(2 * place + 1) * len(rows) // (2 * CLASSES)] for place in range(CLASSES)]
    assert {row.kind for row in part} == {row.kind for row in rows}
    answers = start(line).communicate("\n".join(row.name for row in part))[0].splitlines()
    again = [Row(*json.loads(answer)) for answer in answers]
    assert [row[:7] for row in again] == [row[:7] for row in part]


@pytest.mark.parametrize("version", VERSIONS)
def test_no_word_of_tsnb_is_false_and_few_classes_are_refused(version: str) -> None:
    rows = of_line(version)
    judged = [row for row in rows if row.outcome != UNMADE]
    assert len(judged) >= 250
    assert {row.outcome for row in judged} <= {TRACED, REFUSED}
    assert [row.name for row in judged if faults(row)] == []
    refused = [row for row in judged if row.outcome == REFUSED]
    assert len(refused) <= 0.02 * len(judged)
    assert [row.name for row in rows if row.outcome != TRACED and not row.reason] == []
