import json
import re
import shutil
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import BertForPreTraining, GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

import tsnb
from tests.kinds import Load, MonkeyPatch, Python
from tsnb import tiny_bert
from tsnb.models import load as models

HEADS = get_args(models.Head)
POOLER = "bert.pooler.dense.bias, bert.pooler.dense.weight"
NEW = {
    "encoder": POOLER.replace("bert.", ""),
    "sequence-classification": f"{POOLER}, classifier.bias, classifier.weight",
    "token-classification": "classifier.bias, classifier.weight",
    "question-answering": "qa_outputs.bias, qa_outputs.weight",
}
TRAINED = ("masked-lm", *tsnb.neuron.SUITED)
FSDP = "_fsdp_wrapped_module"
BERT = {"model_type": "bert"}
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
def test_every_head_loads_and_the_flag_changes_no_result(load: Load, name: str, head: str) -> None:
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
def test_what_other_heads_need_is_no_loss(folder: Path, load: Load, head: Any) -> None:
    BertForPreTraining(load()[0].config).save_pretrained(folder)  # a pooler, and two heads
    path = folder / "model.safetensors"
    old = load_file(path) | {"bert.embeddings.position_ids": torch.arange(512)[None]}
    save_file(old, path, {"format": "pt"})
    tsnb.load(folder, head)


def rename(folder: Path, change: Callable[[str], str], form: str = "safetensors") -> dict[str, bytes]:
    """Write the embedded model's weights to a folder by other names; return the bytes of every file there."""
    weights = {change(key): weight for key, weight in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    name = "pytorch_model.bin" if form in {"bin", "nested"} else "model.safetensors"
    if form == "shards":
        shards = {key: f"model-0000{number % 2 + 1}-of-00002.safetensors" for number, key in enumerate(weights)}
        for shard in set(shards.values()):
            save_file({key: weights[key] for key in weights if shards[key] == shard}, folder / shard, {"format": "pt"})
        (folder / f"{name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    elif form == "safetensors":
        save_file(weights, folder / name, {"format": "pt"})
    else:
        torch.save({"epoch": 3, "state_dict": weights} if form == "nested" else weights, folder / name)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("change", "form", "example"),
    [
        (lambda key: f"module.{key}", "bin", "module.bert."),
        (lambda key: f"module.{key}", "shards", "module.bert."),
        (lambda key: f"module._orig_mod.{key}", "safetensors", "module._orig_mod.bert."),
        (lambda key: f"model.{key}", "nested", "model.bert."),
        (lambda key: f"net.0.{key}", "safetensors", "net.0.bert."),
        pytest.param(lambda key: f"bert.{key}", "bin", "bert.bert.", marks=pytest.mark.line(4)),  # 5 reads it so
        (lambda key: key.replace("layer.1.", "layer.1._orig_mod."), "safetensors", "bert.encoder.layer.1._orig_mod."),
        (lambda key: f"{FSDP}." + re.sub(r"(layer\.\d)", rf"\1.{FSDP}", key), "bin", f"{FSDP}.bert.encoder.layer.0."),
    ],
)
def test_weights_whose_names_a_wrapper_changed_are_read_by_the_models_own(
    folder: Path, load: Load, change: Callable[[str], str], form: str, example: str
) -> None:
    before = rename(folder, change, form)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", models.CheckpointWarning)
        model, _ = tsnb.load(folder)
        encoder, _ = tsnb.load(folder, "encoder")
    kinds = [models.RenamedWeightsWarning, models.RenamedWeightsWarning, models.NewWeightsWarning]  # the pooler
    assert [warning.category for warning in caught] == kinds
    assert (caught[0].filename, f": {example}" in str(caught[0].message)) == (__file__, True)
    expected = load()[0].state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in model.state_dict().items())
    inner = {name: weight for name, weight in encoder.state_dict().items() if "pooler" not in name}
    assert all(torch.equal(weight, expected[f"bert.{name}"]) for name, weight in inner.items())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.filterwarnings("ignore::tsnb.models.load.NewWeightsWarning")
def test_an_encoder_in_a_module_of_ones_own_and_its_head(folder: Path, load: Load) -> None:
    head = {"classifier.weight": torch.ones(2, 128), "classifier.bias": torch.zeros(2)}
    inner = {f"net.{key.removeprefix('bert.')}": weight for key, weight in load()[0].bert.state_dict().items()}
    save_file(inner | head, folder / "model.safetensors", {"format": "pt"})
    with pytest.warns(models.RenamedWeightsWarning, match="names of 53 weights"):
        model, _ = tsnb.load(folder, "sequence-classification")
    assert torch.equal(model.classifier.weight, head["classifier.weight"])
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, inner["net.embeddings.word_embeddings.weight"])


@pytest.mark.parametrize("head", ["masked-lm", "encoder"])
@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}, "look like state, param_groups"),
        ({}, "look like nothing"),
        ("roberta.", "roberta.encoder"),
        ("net.roberta.", "net.roberta.encoder"),
        (("query.", "passage."), "query."),
        ([1], "cannot be loaded"),
    ],
)
def test_weights_that_fit_nothing_are_refused_by_what_they_look_like(
    folder: Path, load: Load, weights: Any, words: str, head: Any
) -> None:
    (folder / "model.safetensors").unlink()
    if isinstance(weights, (str, tuple)):
        prefixes = (weights,) if isinstance(weights, str) else weights
        inside = load()[0].bert.state_dict().items()
        weights = {prefix + key: weight for key, weight in inside for prefix in prefixes}
    torch.save(weights, folder / "pytorch_model.bin")
    assert words in refused(str(folder), folder, head=head)


def test_a_folder_of_an_optimizer_alone_and_embeddings_that_are_missing(folder: Path) -> None:
    path = folder / "model.safetensors"
    old = load_file(path)
    save_file({key: old[key] for key in old if "word_embeddings" not in key and "decoder.w" not in key}, path)
    with pytest.warns(models.NewWeightsWarning, match=r"bert\.embeddings\.word_embeddings\.weight, cls"):
        tsnb.load(folder)
    path.rename(folder / "optimizer.bin")
    refused("neither model.safetensors nor pytorch_model.bin", folder)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("ViTForImageClassification", {}, "type vit, not a text model: its forward takes pixel_values. Load it with"),
        ("CLIPModel", {}, "transformers.CLIPModel.from_pretrained"),
        ("WhisperForConditionalGeneration", {}, "takes input_features. Load it with transformers.Whisper"),
        ("Wav2Vec2ForCTC", {}, "takes input_values"),
        ("LayoutLMv3Model", {}, "takes pixel_values"),
        ("TimeSeriesTransformerModel", {"prediction_length": 2}, "takes past_values"),
        ("EncoderDecoderModel", {"encoder": BERT, "decoder": {**BERT}}, "It can have: none. Load it with"),
    ],
)
@pytest.mark.parametrize("head", ["masked-lm", "encoder"])
def test_a_model_that_is_not_of_texts_says_so(
    folder: Path, kind: str, settings: dict[str, Any], words: str, head: Any
) -> None:
    config = getattr(transformers, kind).config_class(**deepcopy(settings), architectures=[kind])
    config.save_pretrained(folder)
    assert words in refused("tsnb.trace its tensors by name", folder, head=head)


def test_what_sentence_transformers_put_after_the_model_is_left_out_with_a_word(folder: Path) -> None:
    types = ("Transformer", "Pooling", "Normalize")
    modules = [{"path": kind, "type": f"sentence_transformers.models.{kind}"} for kind in types]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.warns(models.UnusedModulesWarning, match=r"\(Pooling, Normalize\) is not part of what") as caught:
        tsnb.load(folder)
    assert (len(caught), caught[0].filename) == (1, __file__)


@pytest.mark.parametrize("head", TRAINED)
@pytest.mark.filterwarnings("error::tsnb.models.load.NewWeightsWarning")
def test_a_head_that_was_trained_warns_of_nothing(head: Any) -> None:
    model, _ = tsnb.load("tiny-bert", head, torchscript=True, attn_implementation="eager")
    assert model.name_or_path == "tiny-bert"
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_loading_opens_no_socket(python: Python, folder: Path) -> None:
    variables = {"HF_HOME": folder / "cache", "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert python(SOCKETS, folder, **variables).splitlines() == ["[]", "True"]


def test_a_folder_loads_like_the_embedded_model_with_weights_pickled_by_torch_too(load: Load, folder: Path) -> None:
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
        pytest.param(  # 5 reads the tokenizer without the code
            "tokenizer_config.json",
            {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", None]}},
            marks=pytest.mark.line(4),
        ),
    ],
)
def test_code_in_the_folder_is_neither_run_nor_asked_about(
    folder: Path, monkeypatch: MonkeyPatch, file: str, settings: dict[str, Any]
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
