"""`tsnb export`: what it writes, what it refuses, and that others can load the file."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import FunnelConfig, FunnelModel, PreTrainedTokenizerFast

import tsnb
from tests.kinds import Capture, Load
from tsnb import tiny_bert
from tsnb.artifacts.export import export
from tsnb.cli import main as cli
from tsnb.models.load import quiet_transformers, seeded


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the command itself once; return the file, and what was printed."""
    path = tmp_path_factory.mktemp("exported") / "some" / "where" / "bert.pt"
    command = [sys.executable, "-m", "tsnb.cli.main", "export", "tiny-bert"]
    options = ["--max-length", "16", "--batch-size", "2", "--verify", "24", "3x8", "-o", str(path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "5/5" in done.stderr  # the bar: load, trace, two shapes, save
    return path, done.stdout


@pytest.fixture(scope="module")
def funnel(tmp_path_factory: pytest.TempPathFactory, load: Load) -> Path:
    """Write a Funnel with random weights, whose trace is wrong or raises at other lengths."""
    folder = tmp_path_factory.mktemp("funnel")
    sizes: dict[str, Any] = {"block_sizes": [1, 1], "num_decoder_layers": 1, "d_model": 32}
    with quiet_transformers(), seeded():
        config = FunnelConfig(vocab_size=623, n_head=2, d_head=16, d_inner=37, **sizes)
        FunnelModel(config).save_pretrained(folder)
    load()[1].save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def padless(tmp_path_factory: pytest.TempPathFactory, load: Load) -> Path:
    """Write the embedded model with a tokenizer that has no pad token, as GPT-2's."""
    folder = tmp_path_factory.mktemp("padless")
    with quiet_transformers():
        load()[0].save_pretrained(folder)
        file = str(tiny_bert.FOLDER / "tokenizer.json")
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, unk_token="[UNK]", eos_token="[SEP]")
        tokenizer.save_pretrained(folder)
    return folder


def run(*arguments: object) -> int:
    return cli.main(["export", *map(str, arguments)])


def test_a_file_with_contract_verified_shapes_and_tokenizer(exported: tuple[Path, str], load: Load) -> None:
    path, printed = exported
    contract = tsnb.load_traced(path).contract
    assert (contract.batch_size, contract.length, contract.model_id) == (2, 16, "tiny-bert")
    assert contract.verified == ((2, 16), (2, 24), (3, 8))
    assert tsnb.load_tokenizer(path)("Jim") == load()[1]("Jim")
    assert printed.startswith("2 × 24: same as the model")
    assert printed.endswith(f"{tsnb.inspect(path)}\nWritten, and read again.\n")


def test_a_file_is_written_or_replaced_only_where_the_trace_agrees_at_every_shape_to_verify(
    funnel: Path, tmp_path: Path, capsys: Capture
) -> None:
    old, new = tmp_path / "model.pt", tmp_path / "new" / "model.pt"
    old.write_bytes(b"older")
    arguments = (funnel, "--head", "encoder", "--max-length", 16)
    for path, shape in ((new, "1x600"), (old, "32")):
        assert run(*arguments, "--verify", "16", shape, "-o", path) == 1
        out, err = capsys.readouterr()
        assert "does not agree with the model at every shape to verify: 1 ×" in err.splitlines()[-1]
        assert err.endswith("No file was written.\n")
        assert (out, list(tmp_path.iterdir()), old.read_bytes()) == ("", [old], b"older")
    assert run(*arguments, "-o", old) == 0  # nothing to verify: neighbours are tried, and disagreements shown
    assert (1, 32) not in tsnb.load_traced(old).contract.verified
    out = capsys.readouterr().out
    assert "1 × 32: runs, and differs from the model by" in out
    assert "2 × 16: same as the model" in out
    assert out.endswith("it replaces an older file.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tiny-brt"], "Did you mean tiny-bert?"),
        (["tiny-bert", "--max-length", "600"], "over the model's position limit"),
        (["tiny-bert", "--verify", "0"], "verify takes shapes"),
        (["tiny-bert", "-o", "{tmp_path}"], "{tmp_path} is a folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    tmp_path: Path, capsys: Capture, arguments: list[str], words: str
) -> None:
    given = [argument.format(tmp_path=tmp_path) for argument in arguments]
    assert run("-o", tmp_path / "model.pt", *given) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words.format(tmp_path=tmp_path) in err.splitlines()[-1]
    assert "-o" not in arguments or len(err.splitlines()) == 1  # before the work, and no bar
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_without_a_pad_token_gets_one_and_keeps_it(padless: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "model.pt"
    for arguments, words in (
        ([padless], "--pad-token"),
        ([padless, "--pad-token", "[pad]"], "[pad] cannot be set: it is not in the tokenizer's vocabulary of 623"),
        ([padless, "--pad-token", ""], "such as [SEP]."),
        (["tiny-bert", "--pad-token", "[SEP]"], "the tokenizer pads with [PAD] already"),
    ):
        assert run(*arguments, "-o", path) == 2
        assert words in capsys.readouterr().err.splitlines()[-1]
    assert not path.exists()
    assert run(padless, "--pad-token", "[SEP]", "--max-length", 16, "--verify", "2x24", "-o", path) == 0
    tokenizer, contract = tsnb.load_tokenizer(path), tsnb.load_traced(path).contract
    assert tokenizer.pad_token == "[SEP]"
    assert contract.pad_token_id == tokenizer.pad_token_id == tokenizer.convert_tokens_to_ids("[SEP]")


@pytest.mark.parametrize("shape", ["", "2x", "1x2x3", "-4", "1.5"])
def test_a_shape_that_is_none_is_misuse(tmp_path: Path, capsys: Capture, shape: str) -> None:
    with pytest.raises(SystemExit) as stop:
        run("tiny-bert", "-o", tmp_path / "model.pt", f"--verify={shape}")
    assert stop.value.code == 2
    assert "usage: tsnb export" in capsys.readouterr().err


def test_tied_weights_stay_tied_unless_asked(exported: tuple[Path, str], tmp_path: Path) -> None:
    untied = export("tiny-bert", tmp_path / "bert.pt", max_length=16, untie=True).artifact
    tied, apart = (
        sorted(weights[0].size for weights in artifact.storages.values())
        for artifact in (tsnb.inspect(exported[0]), untied)
    )
    assert sorted([*tied, 623 * 128 * 4]) == apart
