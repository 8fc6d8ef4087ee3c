"""The artefact viewer: its state without a browser, and lists that follow it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tsnb.artifacts.archive import EXTRA, MEMBER, TOKENIZER
from tsnb.base.words import say
from tsnb.tracing.traced import quiet_jit
from tsnb.widgets.artifact_viewer import LISTS, ArtifactViewer
from tsnb.widgets.artifact_viewer_state import CELLS, PARTS, SHOWN, ArtifactState, _labels, _short

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORDS, OUT = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
CONTRACT = EXTRA + MEMBER


@pytest.fixture
def path(traced: Callable[..., tsnb.Traced], load: Callable[..., Any], tmp_path: Path) -> Path:
    return tsnb.save(traced(), tmp_path / "bert.pt", load()[1])


@pytest.fixture
def state(path: Path) -> ArtifactState:
    return ArtifactState(path)


@pytest.fixture
def viewer(path: Path) -> ArtifactViewer:
    return ArtifactViewer(path)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    with quiet_jit() as jit:
        jit.save(jit.script(nn.Bilinear(2, 3, 4)), str(tmp_path / "foreign.pt"))
    return tmp_path / "foreign.pt"


def tamper(path: Path, member: str) -> None:
    """Change a byte in the middle of a member, packed or not."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as held:
        found = next(info for info in held.infolist() if info.filename.endswith("/" + member))
    names = content[found.header_offset + 26 : found.header_offset + 30]
    before = 30 + int.from_bytes(names[:2], "little") + int.from_bytes(names[2:], "little")
    content[found.header_offset + before + found.compress_size // 2] ^= 1
    path.write_bytes(content)


def shown(viewer: ArtifactViewer) -> Any:
    """The list of members that is seen now."""
    return viewer.members.children[viewer.members.selected_index]


def test_the_state_needs_no_ipywidgets_and_no_torch(python: Callable[..., str], path: Path) -> None:
    code = """if True:
        import sys
        from tsnb.widgets.artifact_viewer_state import ArtifactState
        ArtifactState(sys.argv[1]).content()
        print([name for name in ("ipywidgets", "torch") if name in sys.modules])"""
    assert python(code, path) == "[]\n"


def test_the_text_is_that_of_inspect(path: Path, viewer: ArtifactViewer) -> None:
    assert str(viewer) == repr(viewer) == str(ArtifactState(path)) == str(tsnb.inspect(path))
    assert viewer._repr_mimebundle_()["text/plain"] == str(tsnb.inspect(path))


def test_every_member_is_in_one_part(state: ArtifactState) -> None:
    members = [member for part in PARTS for member in state.members(part)]
    assert sorted(members) == sorted(state.artifact.members)
    assert sum(node.size for nodes in state.parts.values() for node in nodes) == sum(
        state.artifact.members.values()
    )


def test_the_largest_comes_first(state: ArtifactState) -> None:
    for nodes in state.parts.values():
        sizes = [node.size for node in nodes]
        assert sizes == sorted(sizes, reverse=True)
    assert state.parts["weights"][0].name == f"623 × 128  {WORDS} = {OUT}"


def test_the_contract_is_chosen_first_and_is_a_table(state: ArtifactState) -> None:
    assert (state.chosen, state.part) == (CONTRACT, "contract")
    assert dict(state.content().rows)["length"] == "24"


def test_a_tied_weight_tells_both_names_and_its_share(state: ArtifactState) -> None:
    state.chosen = state.first("weights")
    found = state.content()
    assert found.note == say("artifact-viewer.of-weights-tied", count=2)
    rows = dict(found.rows)
    assert (rows["names"], rows["dtype"], rows["shape"]) == (f"{WORDS} = {OUT}", "float32",
                                                             "623 × 128")  # fmt: skip
    share = 100 * 318_976 / state.artifact.size  # the file holds paths of sources, long or short
    assert rows["bytes"].startswith(f"318,976 ({share:.1f} %")


def test_code_is_shown_as_source_and_tokenizer_files_as_text(state: ArtifactState) -> None:
    state.chosen = state.first("code")
    assert state.content().text == state.artifact.read(state.chosen)
    assert "def forward" in state.content().text
    state.chosen = TOKENIZER + "vocab.txt"
    assert (state.part, state.content().text[:5]) == ("tokenizer", "[PAD]")


def test_only_the_beginning_of_a_long_text_is_shown(
    traced: Callable[..., tsnb.Traced], tmp_path: Path
) -> None:
    path = tsnb.save(traced(), tmp_path / "bert.pt")
    with zipfile.ZipFile(path, "a") as held:
        held.writestr("bert/extra/long.txt", "a" * (SHOWN + 1))
    state = ArtifactState(path)
    state.chosen = "extra/long.txt"
    assert len(state.content().text) == SHOWN
    assert f"{SHOWN + 1:,} characters" in state.content().note


@pytest.mark.parametrize(("member", "key"), [("data.pkl", "pickle"), ("traced_inputs/0", "empty")])
def test_a_pickle_is_not_opened_and_an_empty_member_says_so(
    state: ArtifactState, member: str, key: str
) -> None:
    state.chosen = member
    assert (state.part, state.content().text) == ("rest", "")
    assert state.content().note == say(f"artifact-viewer.{key}")


def test_bytes_that_are_no_text_are_not_shown(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as held:
        held.writestr("bert/extra/bytes", b"a\0b")
    state = ArtifactState(path)
    state.chosen = "extra/bytes"
    assert (state.content().text, state.content().note) == ("", say("artifact-viewer.no-text"))


def test_what_is_not_in_the_file_cannot_be_chosen(viewer: ArtifactViewer) -> None:
    for held in (viewer, viewer.state):
        with pytest.raises(tsnb.ArtifactError, match="no readable member data/none"):
            held.chosen = "data/none"
    assert viewer.chosen == viewer.state.chosen == CONTRACT


def test_a_file_of_somebody_else_says_what_it_lacks(foreign: Path) -> None:
    state = ArtifactState(foreign)
    assert (state.chosen, state.damaged) == ("contract", "")
    assert state.content().note == say("inspection.no-contract")
    assert state.heads()[1].startswith("– digest: none")  # noqa: RUF001
    state.chosen = "tokenizer"
    assert state.content().note == say("artifact-viewer.no-tokenizer")
    assert state.part_labels()[PARTS.index("tokenizer")].endswith("tokenizer: none")


def test_a_changed_weight_is_found_and_marked(path: Path) -> None:
    tamper(path, "data/0")
    state = ArtifactState(path)
    assert state.damaged == "data/0"
    assert state.heads()[1].startswith("✗ digest: DIFFERS")
    assert state.heads()[2].endswith(f"data/0 = {state.artifact.storages['data/0'][0].name}")
    marked = [line for line in state.labels("weights") if "✗" in line]
    assert marked == [state.labels("weights")[state.members("weights").index("data/0")]]
    assert ["✗" in line for line in state.part_labels()] == [False, True, False, False, False]


def test_a_changed_code_file_says_so_instead_of_raising(path: Path) -> None:
    member = next(iter(tsnb.inspect(path).code))
    tamper(path, member)
    viewer = ArtifactViewer(path)
    viewer.chosen = member
    assert say("artifact-viewer.unreadable") in viewer.detail.value
    assert "✗" in viewer.head.value


def test_a_whole_file_has_no_mark(state: ArtifactState) -> None:
    assert state.heads()[1].startswith("✓ digest: matches")
    assert "✗" not in "".join([*state.heads(), *state.part_labels(), *state.labels("weights")])


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_has_changed_since_is_not_read(path: Path, *, gone: bool) -> None:
    state = ArtifactState(path)
    if gone:
        path.unlink()
    else:
        path.write_bytes(b"something else")
    state.chosen = state.first("code")
    assert state.content().note == say(f"artifact-viewer.{'gone' if gone else 'changed'}")


def test_what_is_no_torchscript_raises(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(tsnb.ArtifactError, match="looks like a pickle"):
        ArtifactViewer(tmp_path / "weights.pt")


def test_bars_are_to_scale() -> None:
    found = _labels([(1000, False, "a"), (500, True, "b"), (60, False, "c"), (0, False, "d")])
    assert found == [
        f"1,000 {'━' * CELLS}   a",
        f"  500 {'━' * (CELLS // 2)}     ✗ b",
        f"   60 ╸{' ' * CELLS}  c",
        f"    0 {' ' * CELLS}   d",
    ]
    assert _labels([]) == []


def test_the_end_of_a_long_name_stays() -> None:
    assert _short("a" * 50 + ".weight").endswith("aaa.weight")
    assert (len(_short("a" * 50)), _short("a" * 42)) == (42, "a" * 42)


def test_a_part_shows_its_first_member(viewer: ArtifactViewer) -> None:
    viewer.parts.value = "code"
    assert viewer.chosen == viewer.state.first("code") == shown(viewer).value
    assert "def forward" in viewer.detail.value


def test_lists_and_trait_follow_each_other(viewer: ArtifactViewer) -> None:
    viewer.chosen = "data/1"
    assert (viewer.parts.value, shown(viewer).value) == ("weights", "data/1")
    shown(viewer).value = "data/0"
    assert viewer.chosen == viewer.state.chosen == "data/0"
    assert viewer.state.content().heading in viewer.detail.value


def test_an_empty_part_has_no_list(foreign: Path) -> None:
    viewer = ArtifactViewer(foreign)
    viewer.parts.value = "tokenizer"
    assert (viewer.chosen, shown(viewer).value) == ("tokenizer", None)
    assert shown(viewer).layout.display == "none"


def test_lists_have_names_and_more_than_one_line(viewer: ArtifactViewer) -> None:
    for held in (viewer.parts, *viewer.members.children):
        assert held.tooltip
        assert held.rows >= 2


def test_without_controls_the_parts_are_text(viewer: ArtifactViewer) -> None:
    html = viewer._repr_mimebundle_()["text/html"]
    assert "weights and constants (" in html
    assert "max_positions" in html
    assert f".{LISTS} select" in html


def test_what_the_file_says_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "bare.pt"
    members = {"code/a.py": "<script>x</script>", "constants.pkl": "", "data.pkl": "?",
               "data/<b>": "1234"}  # fmt: skip
    with zipfile.ZipFile(path, "w") as held:
        for name, text in members.items():
            held.writestr(f"bare/{name}", text)
    viewer = ArtifactViewer(path)
    for chosen in ("code/a.py", "data/<b>"):
        viewer.chosen = chosen
        assert not [tag for tag in ("<script>", "data/<b>") if tag in viewer.detail.value]
