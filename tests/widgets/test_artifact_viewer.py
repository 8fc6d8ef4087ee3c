"""The artefact viewer: its content without a browser, and lists that follow it."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import tsnb
from tests.kinds import Load, Traces
from tsnb.artifacts.archive import EXTRA, MEMBER, TOKENIZER
from tsnb.practice.exercises.stories import blank
from tsnb.tracing.traced import quiet_jit
from tsnb.widgets.artifact_viewer import PARTS, SHOWN, ArtifactViewer

CONTRACT = EXTRA + MEMBER


@pytest.fixture
def path(traced: Traces, load: Load, tmp_path: Path) -> Path:
    return tsnb.save(traced(), tmp_path / "bert.pt", load()[1])


@pytest.fixture
def viewer(path: Path) -> ArtifactViewer:
    return ArtifactViewer(path)


def shown(viewer: ArtifactViewer) -> Any:
    """Return the list of members that is seen now."""
    return viewer.member_lists.children[viewer.member_lists.selected_index]


def test_without_controls_it_is_text(viewer: ArtifactViewer, path: Path) -> None:
    bundle = viewer._repr_mimebundle_()
    assert str(tsnb.inspect(path)) == repr(viewer) == bundle["text/plain"]
    for words in ("✓</b> digest: matches", "weights and constants (", "max_positions"):
        assert words in bundle["text/html"]
    assert "✗" not in bundle["text/html"]


def test_every_member_is_in_one_part_the_largest_first(viewer: ArtifactViewer) -> None:
    sizes = viewer.artifact.members
    assert sorted(member for part in viewer.parts.values() for member in part) == sorted(sizes)
    for members in viewer.parts.values():
        assert sorted(members, key=lambda member: -sizes[member]) == list(members)


def test_contract_tied_weight_code_and_tokenizer(viewer: ArtifactViewer) -> None:
    assert viewer.chosen == CONTRACT
    assert viewer.content()[2] == str(viewer.artifact.contract)
    viewer.chosen = viewer.first("weights")
    _, note, text = viewer.content()
    assert "2 names: the weights are tied" in note
    for words in ("word_embeddings.weight = ", "float32", "623 × 128", "318,976 ("):
        assert words in text
    viewer.chosen = viewer.first("code")
    assert "def forward" in viewer.content()[2] == viewer.artifact.read(viewer.chosen)
    viewer.chosen = TOKENIZER + "vocab.txt"
    assert (viewer.part, viewer.content()[2][:5]) == ("tokenizer", "[PAD]")


def test_what_is_not_shown_as_text_says_why_and_what_is_shown_is_escaped(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("bert/extra/long.txt", "a" * (SHOWN + 1))
        archive.writestr("bert/extra/bytes", b"a\0b")
        archive.writestr("bert/extra/<b>", "<script>x</script>")
    viewer = ArtifactViewer(path)
    notes = {"data.pkl": "unpickling runs", "traced_inputs/0": "is empty", "extra/bytes": "not text"}
    for member, words in notes.items():
        viewer.chosen = member
        assert words in viewer.detail.value
        assert viewer.content()[2] == ""
    viewer.chosen = "extra/long.txt"
    assert len(viewer.content()[2]) == SHOWN
    assert f"{SHOWN + 1:,} characters" in viewer.detail.value
    viewer.chosen = "extra/<b>"
    assert not [tag for tag in ("<script>", "extra/<b>") if tag in viewer.detail.value]


def test_a_file_of_somebody_else_says_what_it_lacks(tmp_path: Path) -> None:
    with quiet_jit() as jit:
        jit.save(jit.script(nn.Bilinear(2, 3, 4)), str(tmp_path / "foreign.pt"))
    viewer = ArtifactViewer(tmp_path / "foreign.pt")
    assert "tsnb did not write this file" in viewer.detail.value
    assert "digest: none" in viewer.head.value
    viewer.part_list.value = "tokenizer"
    assert (viewer.chosen, shown(viewer).value, shown(viewer).layout.display) == ("tokenizer", None, "none")
    assert "There is no tokenizer in this file" in viewer.detail.value


@pytest.mark.parametrize("part", ["weights", "code"])
def test_what_was_changed_is_found_and_marked(path: Path, part: str) -> None:
    member = ArtifactViewer(path).first(part)
    blank(path, member)
    viewer = ArtifactViewer(path)
    assert viewer.damaged == member
    assert "digest: DIFFERS" in viewer.head.value
    marked = [name for name, line in zip(PARTS, viewer.part_lines, strict=True) if "✗" in line]
    assert marked == [part]
    assert [name for name, line in viewer.parts[part].items() if "✗" in line] == [member]


def test_a_file_that_has_changed_since_is_not_read(viewer: ArtifactViewer, path: Path, traced: Traces) -> None:
    tsnb.save(traced(), path)
    viewer.part_list.value = "code"
    assert "changed or deleted since" in viewer.detail.value


def test_lists_and_choice_follow_each_other_and_what_is_not_in_the_file_changes_nothing(
    viewer: ArtifactViewer,
) -> None:
    with pytest.raises(tsnb.ArtifactError, match="no member data/none"):
        viewer.chosen = "data/none"
    assert viewer.chosen == CONTRACT
    viewer.part_list.value = "code"
    assert viewer.chosen == viewer.first("code") == shown(viewer).value
    viewer.chosen = "data/1"
    assert (viewer.part_list.value, shown(viewer).value) == ("weights", "data/1")
    shown(viewer).value = "data/0"
    assert viewer.chosen == "data/0"
    assert viewer.content()[0] in viewer.detail.value
