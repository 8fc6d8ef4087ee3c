"""Load a model and its tokenizer: an embedded one, a folder, or a hub id."""

from __future__ import annotations

import inspect
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from tsnb import tiny_bert
from tsnb.base.errors import ModelError, suggest
from tsnb.base.versions import has_flag, return_tuples, say_by_hand
from tsnb.models import hub
from tsnb.models.checkpoint import WRAPPERS, fits, own_names, read_weights
from tsnb.models.tying import embeddings, untie

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Head = Literal["encoder", "masked-lm", "sequence-classification", "token-classification", "question-answering"]
Attention = Literal["eager", "sdpa"]
CLASSES = {
    "encoder": "AutoModel",
    "masked-lm": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
}
EMBEDDED = "tiny-bert"
MINI = "bert-mini"
MINI_GEOMETRY = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
SEED = 0
MEDIA = ("pixel_values", "input_features", "input_values", "image", "visual_feats")  # arguments of forward


class CheckpointWarning(UserWarning):
    """A checkpoint and the model made from it do not have the same weights."""


class NewWeightsWarning(CheckpointWarning):
    """Weights that the head needs are not in the checkpoint, so they are random."""


class UnusedWeightsWarning(CheckpointWarning):
    """Weights of the checkpoint for which the configuration leaves no place are left out."""


class RenamedWeightsWarning(CheckpointWarning):
    """Weights of the checkpoint went by other names than the model's, and were read by the model's."""


class UnusedModulesWarning(CheckpointWarning):
    """A folder of sentence-transformers holds modules that work on the model's outputs; they are left out."""


def load(
    name: str | Path,
    head: Head = "masked-lm",
    *,
    torchscript: bool = False,
    attn_implementation: Attention | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model in eval mode, and its tokenizer.

    Opens no socket unless `name` is a hub id that is not in the local cache, and never runs code
    that a folder brings along.

    Parameters
    ----------
    name
        `"tiny-bert"` (embedded; all of its heads are trained), `"bert-mini"` (6 layers, 384 wide,
        seeded random weights, for timings), a folder, or a hub id `owner/name`.
    head
        What stands on the encoder. What the checkpoint lacks gets seeded random weights and a
        `NewWeightsWarning`; what it has and the configuration does not, an `UnusedWeightsWarning`.
        Names that a wrapper has changed, as DataParallel or a LightningModule do, are read by the
        model's own, with a `RenamedWeightsWarning`; the pooling of sentence-transformers is left
        out, with an `UnusedModulesWarning`.
    torchscript
        Set the flag of transformers 4: unties the embeddings and returns tuples. Transformers 5 has
        none, so the same is done by hand there, with a `FlagWarning` once. That it took effect is checked.
    attn_implementation
        `"eager"` writes attention out in single operators, `"sdpa"` is one operator for all of it;
        by default what transformers chooses.

    Returns
    -------
    tuple
        Model and tokenizer.

    Raises
    ------
    ModelError
        Unknown name or head, folder without weights or with code of its own, weights that do not
        fit the configuration, a model of pictures or sound, no way to the hub, a head or a kind of
        attention that the model cannot have, or a flag that did nothing.

    Examples
    --------
    >>> model, tokenizer = load("tiny-bert", head="masked-lm", torchscript=True)
    >>> model.config.vocab_size == len(tokenizer)
    True

    Taught in notebooks 00 and 01.
    """
    if head not in get_args(Head):
        raise ModelError(f"There is no head called {head}. {suggest(str(head), get_args(Head))}")
    if attn_implementation not in (None, *get_args(Attention)):
        near = suggest(str(attn_implementation), get_args(Attention))
        raise ModelError(f"There is no attn_implementation called {attn_implementation}. {near}")
    options = {"torchscript": torchscript and has_flag(), "attn_implementation": attn_implementation}
    folder = _folder(EMBEDDED if name == MINI else name)
    if (modules := folder / "modules.json").is_file():
        names = [module["type"].rpartition(".")[2] for module in json.loads(modules.read_bytes())[1:]]
        message = (
            f"The folder {folder} is one of sentence-transformers: what comes after the model there "
            f"({', '.join(names)}) is not part of what is loaded, nor of a file made from it. Apply it to the outputs."
        )
        warnings.warn(message, UnusedModulesWarning, stacklevel=2)
    trained = tiny_bert.FOLDER / head  # heads trained on the embedded model have weights of their own
    with quiet_transformers():
        if name == MINI:
            from transformers import BertConfig

            vocabulary = _config(folder).vocab_size
            config = BertConfig(vocab_size=vocabulary, **options, **MINI_GEOMETRY)
            with seeded():
                model = _factory(config, head).from_config(config)
        else:
            weights = trained if name == EMBEDDED and trained.is_dir() else folder
            model = _from_folder(weights, head, options)
        tokenizer = read_tokenizer(folder)
    model.name_or_path = str(name)
    if torchscript:
        if not has_flag():
            untie(model)
            say_by_hand()
        return_tuples(model)
        verify_flag(model)
    return model.eval(), tokenizer


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer whose files are in a folder; opens no socket.

    Raises
    ------
    ModelError
        There is none that transformers can load.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
        if tokenizer.vocab_files_names and not any((folder / file).is_file() for file in files):
            raise FileNotFoundError(files)  # noqa: TRY301, transformers 5 makes up a tokenizer that knows no word
    except Exception as error:  # a missing file may end in an ImportError, a broken one in any
        _refuse_code(folder, error)
        raise ModelError(
            f"The folder {folder} holds no tokenizer that transformers can load. Save it there with "
            "tokenizer.save_pretrained(folder)."
        ) from error
    return tokenizer


def verify_flag(model: PreTrainedModel) -> None:
    """Check that the flag, or what was done by hand, took the embeddings apart.

    Raises
    ------
    ModelError
        It did not.
    """
    ends = [getattr(embeddings(model, side), "weight", None) for side in ("input", "output")]
    if ends[0] is not None and ends[1] is not None and ends[0].data_ptr() == ends[1].data_ptr():
        raise ModelError(
            f"torchscript=True did nothing: transformers {version('transformers')} still ties the embeddings. Leave "
            "it out: tsnb.untie(model) takes weights apart, and tsnb.trace takes dicts."
        )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the log of transformers, whose remarks on loading are better said by ours."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _folder(name: object) -> Path:
    """Return the folder that holds a model, fetching it from the hub where `name` is a hub id."""
    if name == EMBEDDED:
        return tiny_bert.FOLDER
    if not isinstance(name, (str, Path)):
        raise ModelError(f'Expected "tiny-bert", "bert-mini", a folder or a hub id; got {type(name).__name__}.')
    folder = Path(os.path.expanduser(name))  # noqa: PTH111, Path's own raises where ~ has no home
    if os.path.isdir(folder):  # noqa: PTH112, as above, where a folder may not be looked into
        if not any(any(folder.glob(pattern)) for pattern in (hub.SAFE, hub.PICKLED)):
            raise ModelError(
                f"The folder {folder} holds no weights that can be read. Expected *.safetensors or *.bin "
                "beside config.json."
            )
        return folder
    if isinstance(name, Path) or name.startswith((".", "/", "~")):
        raise ModelError(
            f"There is no folder {name}, or it may not be looked into. It should hold config.json, weights "
            "and a tokenizer."
        )
    if name.count("/") != 1:
        raise ModelError(
            f"There is no embedded model called {name}. {suggest(name, (EMBEDDED, MINI))} A folder works "
            "too, and so does a hub id with its owner, such as google-bert/bert-base-uncased."
        )
    return hub.fetch(name)


def _from_folder(folder: Path, head: str, options: dict[str, Any]) -> PreTrainedModel:
    """Load a checkpoint; warn of what differs between it and the model, and of weights drawn from `SEED`.

    Another head's weights, and a part that this head does without, such as a pooler, are no loss.
    """
    config = _config(folder, **options)
    with suppress(ImportError):  # where the kind of model needs another package, loading it says so
        _check_text(folder, config)
    factory = _factory(config, head)

    options = {"config": config, "local_files_only": True, "output_loading_info": True}
    try:
        with seeded():
            model, report = factory.from_pretrained(folder, **options)
        fitting = fits(model, report["missing_keys"]) and not any(map(WRAPPERS.search, report["unexpected_keys"]))
    except Exception:  # noqa: BLE001, also of transformers 4 where only the head's names fit; else it is raised again
        fitting = False
    if not fitting:
        with _loading(folder):
            model, state = factory.from_config(config), read_weights(folder)
        names, own = own_names(folder, state, model), model.state_dict()
        pairs = {name: (weight.shape, own[name].shape) for key, weight in state.items() if (name := names[key]) in own}
        wrong = [
            f"{name} is {[*has]}, and the model's {[*needs]}" for name, (has, needs) in pairs.items() if has != needs
        ]
        if wrong:
            raise ModelError(
                f"The weights in {folder} cannot be loaded: size mismatch in {len(wrong)} of them; {wrong[0]}. Check "
                "that config.json belongs to them."
            )
        renamed = {names[key]: weight for key, weight in state.items()}
        with _loading(folder):
            model, report = type(model).from_pretrained(None, state_dict=renamed, **options)
        if changed := [key for key in state if key != names[key]]:
            longest = max(changed, key=lambda key: len(key) - len(names[key]))
            message = (
                f"The names of {len(changed)} weights in {folder} are not the model's own: {longest} was read as "
                f"{names[longest]}, and the others likewise. The folder stays as it is."
            )
            warnings.warn(message, RenamedWeightsWarning, stacklevel=3)
    missing = {name: model.get_parameter_or_buffer(name) for name in sorted(report["missing_keys"])}
    loaded = [weight for name, weight in model.state_dict(keep_vars=True).items() if name not in missing]
    new = [name for name, weight in missing.items() if not any(_is_copy(weight, other) for other in loaded)]
    if new:
        message = (
            f"The checkpoint lacks these weights, so they were drawn at random (seed {SEED}): "
            f"{', '.join(new)}. Results that depend on them mean nothing until they are trained."
        )
        warnings.warn(message, NewWeightsWarning, stacklevel=3)
    prefix = model.base_model_prefix
    base = getattr(model, prefix, model)
    parts = {name: name.removeprefix(f"{prefix}.").partition(".")[0] for name in report["unexpected_keys"]}
    unused = sorted(name for name, part in parts.items() if getattr(base, part, None) is not None)
    if unused:
        message = (
            f"The checkpoint has {len(unused)} weights for which its config.json leaves no place, so that "
            f"they were left out; the first is {unused[0]}. Check that config.json belongs to it."
        )
        warnings.warn(message, UnusedWeightsWarning, stacklevel=3)
    return model


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Draw what is missing from `SEED`; say of which folder an error is, whose kind each file format chooses."""
    try:
        with seeded():
            yield
    except Exception as error:
        raise ModelError(
            f"The weights in {folder} cannot be loaded: {error}. Check that they are whole, and that "
            "config.json belongs to them."
        ) from error


def _is_copy(weight: torch.Tensor, other: torch.Tensor) -> bool:
    """True if two weights are tied, or one is the copy of the other that the flag makes."""
    alike = weight.ndim > 1 and (weight.shape, weight.dtype) == (other.shape, other.dtype)
    return weight is other or (alike and weight.equal(other))


def _check_text(folder: Path, config: Any) -> None:
    """Raise a ModelError where the model takes pictures, sound or something else than token ids."""
    import transformers

    saved = getattr(transformers, (config.architectures or [""])[0], None)
    kind = saved or transformers.AutoModel._model_mapping.get(type(config), None)  # noqa: SLF001
    kind = kind[0] if isinstance(kind, tuple) else kind
    takes = inspect.signature(kind.forward).parameters if kind else {"input_ids": None}
    other = [name for name in takes if name in MEDIA] or [[*takes][1]] * ("input_ids" not in takes)
    if other:
        raise ModelError(
            f"The folder {folder} holds a model of type {config.model_type}, not a text model: its forward takes "
            f"{other[0]}. Load it with transformers.{kind.__name__}.from_pretrained(folder), and give tsnb.trace "
            "its tensors by name."
        )


def _config(folder: Path, **options: Any) -> Any:
    """Read a folder's configuration; code that it brings along is not run."""
    import transformers

    try:
        return transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except Exception as error:  # each kind of model checks its settings in its own way
        _refuse_code(folder, error)
        reason = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")  # lists and advice follow
        raise ModelError(
            f"The folder {folder} holds no config.json that transformers {transformers.__version__} can "
            f"read: {reason}. Expected what model.save_pretrained(folder) writes."
        ) from error


def _refuse_code(folder: Path, error: Exception) -> None:
    """Raise a ModelError where transformers would have gone on with code that a folder brings along."""
    if "trust_remote_code" in str(error):
        raise ModelError(
            f"The folder {folder} brings Python code of its own (auto_map), which tsnb does not run. If you "
            "trust it, load the model with transformers, and give it to tsnb.trace."
        ) from error


def _factory(config: Any, head: str) -> Any:
    """Return the Auto class for a head, if this kind of model can have it."""
    import transformers

    fitting = {
        known: getattr(transformers, name)
        for known, name in CLASSES.items()
        if type(config) in getattr(transformers, name)._model_mapping  # noqa: SLF001
    }
    if head not in fitting:
        raise ModelError(
            f"A {config.model_type} model cannot have the head {head}. It can have: {', '.join(fitting) or 'none'}."
            + " Load it with transformers, and give tsnb.trace its tensors by name." * (not fitting)
        )
    return fitting[head]


@contextmanager
def seeded(seed: int = SEED) -> Iterator[None]:
    """Draw from a seed within the block; the reader's own random state is put back after it."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
