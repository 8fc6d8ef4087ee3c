"""Looking a class up in the survey: by family, by class, by a part of a name; and a name that is not there."""

import re

import pytest

import tsnb


def names(word: str) -> set[str]:
    return {row.name for row in tsnb.survey(word).rows}


def test_a_family_a_class_or_a_part_of_a_name_is_found() -> None:
    assert {"BertModel", "BertForMaskedLM"} < names("bert")
    assert {row.family for row in tsnb.survey("bert").rows} == {"bert"}
    assert names("BertModel") == names("bertmodel") == {"BertModel"}
    assert {"ViTModel", "DeiTModel"} > names("vitmod") or "ViTModel" in names("vitmod")
    assert len(tsnb.survey().rows) > len(tsnb.survey("for").rows) > 250


def test_what_is_not_there_is_said_to_be_unknown_with_what_is_near() -> None:
    with pytest.raises(tsnb.InputError, match=r"'brt' .* says nothing of it\. Near: .*bert"):
        tsnb.survey("brt")
    with pytest.raises(tsnb.InputError, match="Near: nothing"):
        tsnb.survey("0123456789")


def test_it_reads_as_text_and_as_a_table_with_the_reasons() -> None:
    found = tsnb.survey("funnel")
    text = str(found)
    assert re.search(r"FunnelModel +4\.57\.6 +✓ +✓ +✓ +✗ +≠ +≠ +0\.\d+", text)
    assert {row.symbol for row in found.rows if row.name == "FunnelModel"} == {"≠"}
    assert "random weights" in text
    refused = next(row for row in tsnb.survey().rows if row.reason)
    assert refused.reason[:20] in str(tsnb.survey(refused.name))
    assert "<table" in found._repr_html_()
