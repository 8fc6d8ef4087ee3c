from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForPreTraining, GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

import tsnb
from tsnb import tiny_bert
from tsnb.models import load as models

if TYPE_CHECKING:
    from collections.abc import Callable

HEADS = get_args(models.Head)
NEW = {
    "encoder": "pooler.dense.bias, pooler.dense.weight",
    "sequence-classification": (
        "bert.pooler.dense.bias, bert.pooler.dense.weight, classifier.bias, classifier.weight"
    ),
    "token-classification": "classifier.bias, classifier.weight",
    "question-answering": "qa_outputs.bias, qa_outputs.weight",
}
TRAINED = ("masked-lm", *tsnb.neuron.SUITED)
SOCKETS = """
import sys
opened = []
def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        opened.append(event)
sys.addaudithook(note)
import tsnb
for name in ("tiny-bert", "bert-mini", sys.argv[1]):
    tsnb.load(name)
print(opened)
try:
    tsnb.load("someone/tiny")  # the hook would have noticed
except tsnb.ModelError:
    print(bool(opened))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the embedded model to a folder of the reader's own."""
    for file in tiny_bert.FOLDER.iterdir():
        if file.suffix in {".json", ".txt", ".safetensors"}:
            shutil.copy(file, tmp_path)
    return tmp_path


def change(folder: Path, file: str = "config.json", **settings: Any) -> Path:
    """Change settings in a JSON file of a folder."""
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_bytes()) | settings), encoding="utf-8")
    return folder


def refused(message: str, name: Any, **choices: Any) -> str:
    with pytest.raises(tsnb.ModelError, match=message) as caught:
        tsnb.load(name, **choices)
    return str(caught.value)


@pytest.mark.parametrize("name", ["tiny-bert", "bert-mini"])
@pytest.mark.parametrize("head", HEADS)
def test_every_head_loads_and_the_flag_changes_no_result(load: Callable[..., Any], name: str, head: str) -> None:
    (plain, tokenizer), (flagged, _) = load(name, head), load(name, head, torchscript=True)
    inputs = tokenizer("jim henson was a puppeteer", return_tensors="pt")
    with torch.no_grad():
        pairs = zip(plain(**inputs).to_tuple(), flagged(**inputs), strict=True)
        assert all(torch.equal(first, second) for first, second in pairs)
    assert not any(part.training for part in flagged.modules())
    assert (name, plain.config.num_hidden_layers) in {("tiny-bert", 3), ("bert-mini", 6)}


@pytest.mark.parametrize("head", NEW)
def test_new_weights_are_named_to_the_caller_and_are_the_same_each_time(folder: Path, head: Any) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with pytest.warns(models.NewWeightsWarning) as caught:
        first, second = (tsnb.load(folder, head)[0].state_dict() for _ in range(2))
    assert f"(seed 0): {NEW[head]}. Results" in str(caught[0].message)
    assert (len(caught), caught[0].filename) == (2, __file__)
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_the_configuration_leaves_no_place_for_are_told(folder: Path) -> None:
    message = r"has 32 weights for which .*the first is bert\.encoder\.layer\.1\.a"
    with pytest.warns(models.UnusedWeightsWarning, match=message) as caught:
        tsnb.load(change(folder, num_hidden_layers=1))
    assert caught.pop(models.UnusedWeightsWarning).filename == __file__


@pytest.mark.filterwarnings("error::tsnb.models.load.UnusedWeightsWarning")
@pytest.mark.filterwarnings("ignore::tsnb.models.load.NewWeightsWarning")
@pytest.mark.parametrize("head", HEADS)
def test_what_other_heads_need_is_no_loss(folder: Path, load: Callable[..., Any], head: Any) -> None:
    BertForPreTraining(load()[0].config).save_pretrained(folder)  # a pooler, and two heads
    path = folder / "model.safetensors"
    old = load_file(path) | {"bert.embeddings.position_ids": torch.arange(512)[None]}
    save_file(old, path, {"format": "pt"})
    tsnb.load(folder, head)


@pytest.mark.parametrize("head", TRAINED)
@pytest.mark.filterwarnings("error::tsnb.models.load.NewWeightsWarning")
def test_a_head_that_was_trained_warns_of_nothing(head: Any) -> None:
    model, _ = tsnb.load("tiny-bert", head, torchscript=True, attn_implementation="eager")
    assert model.name_or_path == "tiny-bert"
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_loading_opens_no_socket(python: Callable[..., str], folder: Path) -> None:
    variables = {"HF_HOME": folder / "cache", "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert python(SOCKETS, folder, **variables).splitlines() == ["[]", "True"]


def test_a_folder_loads_like_the_embedded_model_with_weights_pickled_by_torch_too(
    load: Callable[..., Any], folder: Path
) -> None:
    model, tokenizer = tsnb.load(folder)
    assert (model.name_or_path, len(tokenizer)) == (str(folder), 623)
    (folder / "model.safetensors").unlink()
    expected = load()[0].state_dict()
    torch.save(expected, folder / "pytorch_model.bin")
    for again in (model, tsnb.load(str(folder))[0]):
        assert all(torch.equal(weight, expected[name]) for name, weight in again.state_dict().items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny-brt", "no embedded model called tiny-brt. Did you mean tiny-bert"),
        ("resnet50", "Known: bert-mini, tiny-bert."),
        (None, "got NoneType"),
        ("./nowhere", "There is no folder ./nowhere"),
        (Path("nowhere/x"), "There is no folder nowhere/x"),
        ("~no-such-user/model", "There is no folder"),
        ("/" + 300 * "x", "or it may not be looked into"),
    ],
)
def test_what_is_no_name_of_a_model(name: Any, message: str) -> None:
    refused(message, name)


def test_an_unknown_head_or_attention_suggests_a_known_one() -> None:
    refused("no head called maskedlm. Did you mean masked-lm", "tiny-bert", head="maskedlm")
    refused("no head called None. Known", "tiny-bert", head=None)
    refused("Did you mean eager", "tiny-bert", attn_implementation="eagre")


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("config.json", {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}),
        ("tokenizer_config.json", {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", None]}}),
    ],
)
def test_code_in_the_folder_is_neither_run_nor_asked_about(
    folder: Path, monkeypatch: pytest.MonkeyPatch, file: str, settings: dict[str, Any]
) -> None:
    (folder / "mine.py").write_text("raise AssertionError", encoding="utf-8")
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
    message = refused("brings Python code of its own", change(folder, file, **settings))
    assert "trust_remote_code" not in message


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "holds no config.json that transformers"),
        ("config.json", b"[]", "holds no config.json that transformers"),
        ("config.json", b'{"model_type": "no-such-model"}', "`no-such-model`"),
        ("model.safetensors", None, "holds no weights"),
        ("model.safetensors", b"version https://git-lfs.example/v1\n", "cannot be loaded"),
        ("tokenizer.json", b"{", "holds no tokenizer"),
    ],
)
def test_a_folder_with_a_file_that_is_missing_or_broken(
    folder: Path, file: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    shown = refused(message, folder)
    assert str(folder) in shown
    assert not [word for word in ("pip install", "albert") if word in shown]
    assert len(shown) < 350 + len(str(folder))


def test_weights_that_do_not_fit_and_a_folder_without_a_tokenizer(folder: Path) -> None:
    for file in ("tokenizer.json", "vocab.txt"):
        (folder / file).unlink()
    refused("holds no tokenizer", folder)
    assert "size mismatch" in refused("cannot be loaded", change(folder, hidden_size=64))


def test_a_head_that_the_model_cannot_have(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    message = refused("A gpt2 model cannot have the head masked-lm", tmp_path, head="masked-lm")
    assert message.endswith("encoder, sequence-classification, token-classification, question-answering.")


@pytest.mark.parametrize(("name", "kind"), [("tiny-bert", None), ("tiny-bert", "eager"), ("bert-mini", "eager")])
def test_the_kind_of_attention_is_passed_on_and_verbosity_and_threads_stay(name: str, kind: Any) -> None:
    before = (logging.get_verbosity(), torch.get_num_threads())
    model, tokenizer = tsnb.load(name, attn_implementation=kind)
    assert (logging.get_verbosity(), torch.get_num_threads()) == before
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    assert ("scaled_dot_product_attention" in str(traced.module.inlined_graph)) == (kind is None)
