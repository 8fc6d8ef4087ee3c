"""Load a model and its tokenizer: an embedded one, a folder, or a hub id.

What depends on the `torchscript` flag of transformers 4 is kept in this module and `tied_weights`.
"""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from tsnb import tiny_bert
from tsnb.base.errors import ModelError, suggest
from tsnb.base.machine import respect_quota
from tsnb.models import hub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Head = Literal[
    "encoder", "masked-lm", "sequence-classification", "token-classification", "question-answering"
]
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
MINI_GEOMETRY = {
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}
SEED = 0


class CheckpointWarning(UserWarning):
    """A checkpoint and the model made from it do not have the same weights."""


class NewWeightsWarning(CheckpointWarning):
    """Weights that the head needs are not in the checkpoint, so they are random."""


class UnusedWeightsWarning(CheckpointWarning):
    """Weights of the checkpoint for which the configuration leaves no place are left out."""


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
    torchscript
        Set the flag of transformers 4: unties the embeddings and returns tuples. That it took
        effect is checked.
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
        Unknown name or head, folder without weights or with code of its own, no way to the hub, a
        head or a kind of attention that the model cannot have, or a flag that did nothing.

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
        raise ModelError(f"There is no attn_implementation called {attn_implementation} here. {near}")
    respect_quota()
    options = {"torchscript": torchscript, "attn_implementation": attn_implementation}
    with quiet_transformers():
        mini = name == MINI
        model = _mini(head, options) if mini else _from_folder(_weights(name, head), head, options)
        tokenizer = read_tokenizer(_folder(EMBEDDED if name == MINI else name))
    model.name_or_path = str(name)
    if torchscript:
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
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a missing file may end in an ImportError, a broken one in any
        key = "models.custom-code" if _wants_code(error) else "models.no-tokenizer"
        raise ModelError(key, given=folder) from error


def verify_flag(model: PreTrainedModel) -> None:
    """Check that `torchscript=True` did what it says; transformers 5 accepts it and does nothing.

    Raises
    ------
    ModelError
        The embeddings are still tied, or the model still returns a dict.
    """
    import transformers

    ends = [getattr(embeddings(model, side), "weight", None) for side in ("input", "output")]
    places = [weight.data_ptr() for weight in ends if weight is not None]
    if len(set(places)) < len(places) or getattr(model.config, "use_return_dict", True):
        raise ModelError(
            f"torchscript=True did nothing: transformers {transformers.__version__} still "
            "ties the embeddings or returns a dict. Install transformers==4.57.6, or use "
            "tsnb.untie(model) and a wrapper that returns a tuple."
        )


def embeddings(model: nn.Module, side: str) -> Any:
    """Return the embeddings that a model names, if it does; one with two encoders may not.

    Parameters
    ----------
    side
        `"input"` or `"output"`.
    """
    try:
        return getattr(model, f"get_{side}_embeddings", lambda: None)()
    except NotImplementedError:
        return None


@contextmanager
def tuple_outputs(model: nn.Module) -> Iterator[None]:
    """Make a Transformers model return tuples within the block; other modules are left alone.

    `torch.jit.trace` refuses a dict. The flag gives tuples too, but also unties weights.
    """
    config = getattr(model, "config", None)
    before = getattr(config, "return_dict", None)
    if config is None or before is None:
        yield
        return
    config.return_dict = False
    try:
        yield
    finally:
        config.return_dict = before


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the log of transformers, whose remarks on loading are said better by ours."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _folder(name: str | Path) -> Path:
    """Return the folder that holds a model, fetching it from the hub where `name` is a hub id."""
    if name == EMBEDDED:
        return tiny_bert.FOLDER
    if not isinstance(name, (str, Path)):
        raise ModelError(
            "Expected the name of an embedded model, a folder or a hub id, such as "
            f'"tiny-bert"; got {type(name).__name__}.'
        )
    if (folder := _existing(name)) is not None:
        if not hub.has_weights(folder):
            raise ModelError(
                f"The folder {folder} holds no weights. Expected *.safetensors or *.bin beside config.json."
            )
        return folder
    if isinstance(name, Path) or name.startswith((".", "/", "~")):
        raise ModelError(
            f"There is no folder {name}. Check the path; it should hold config.json, weights and a tokenizer."
        )
    if name.count("/") != 1:
        raise ModelError(
            f"There is no embedded model called {name}. {suggest(name, (EMBEDDED, MINI))} A "
            "folder works too, and so does a hub id with its owner, such as "
            "google-bert/bert-base-uncased."
        )
    return hub.fetch(name)


def _existing(name: str | Path) -> Path | None:
    """Return the folder of a path, if there is one."""
    try:
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError) as error:  # a RuntimeError where ~ has no home
        raise ModelError(
            f"The folder {name} cannot be looked into: {_reason(error)}. Check the path, and "
            "your permissions there."
        ) from error


def _weights(name: str | Path, head: str) -> Path:
    """Return the folder of the weights; heads trained on the embedded model have their own."""
    trained = tiny_bert.FOLDER / head
    return trained if name == EMBEDDED and trained.is_dir() else _folder(name)


def _from_folder(folder: Path, head: str, options: dict[str, Any]) -> PreTrainedModel:
    """Load a checkpoint; warn of weights that are drawn from `SEED`, and of those left out."""
    config = _config(folder, **options)
    with seeded():
        factory = _factory(config, head)
        try:
            model, info = factory.from_pretrained(
                folder, config=config, local_files_only=True, output_loading_info=True
            )
        except Exception as error:  # each file format has errors of its own
            raise ModelError(
                f"The weights in {folder} cannot be loaded: {error}. Copy or download them "
                "again, and check that config.json belongs to them."
            ) from error
    _warn_of_new_weights(model, info["missing_keys"])
    _warn_of_unused_weights(model, info["unexpected_keys"])
    return model


def _mini(head: str, options: dict[str, Any]) -> PreTrainedModel:
    """Make the `bert-mini` geometry with random weights from `SEED`."""
    from transformers import BertConfig

    vocabulary = _config(_folder(EMBEDDED)).vocab_size
    config = BertConfig(vocab_size=vocabulary, **options, **MINI_GEOMETRY)
    with seeded():
        return _factory(config, head).from_config(config)


def _config(folder: Path, **options: Any) -> Any:
    """Read a folder's configuration; code that it brings along is not run."""
    import transformers

    try:
        if not isinstance(held := json.loads((folder / "config.json").read_bytes()), dict):
            raise TypeError(f"it holds a value of the type {type(held).__name__}, and no object with names")  # noqa: TRY301
        return transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except Exception as error:  # each kind of model checks its settings in its own way
        key = "models.custom-code" if _wants_code(error) else "models.no-config"
        gaps = {"given": folder, "why": _reason(error), "version": transformers.__version__}
        raise ModelError(key, **gaps) from error


def _wants_code(error: Exception) -> bool:
    """Tell whether transformers would have gone on with the code that a folder brings along."""
    return "trust_remote_code" in str(error)


def _reason(error: Exception) -> str:
    """Return what an error says first; transformers goes on with lists and advice."""
    said = getattr(error, "strerror", None) or str(error)
    return said.partition("\n")[0].partition(". ")[0].rstrip(".")


def _factory(config: Any, head: str) -> Any:
    """Return the Auto class for a head, if this kind of model can have it."""
    import transformers

    fitting = [
        known
        for known, factory in CLASSES.items()
        if type(config) in getattr(transformers, factory)._model_mapping  # noqa: SLF001
    ]
    if head not in fitting:
        raise ModelError(
            f"A {config.model_type} model cannot have the head {head}. It can have: {', '.join(fitting)}."
        )
    return getattr(transformers, CLASSES[head])


def _warn_of_new_weights(model: PreTrainedModel, missing: list[str]) -> None:
    """Name the weights that were not in the checkpoint and are no copy of one that was."""
    output = model.get_output_embeddings()
    copied = getattr(output, "weight", None)
    new = [name for name in sorted(missing) if model.get_parameter_or_buffer(name) is not copied]
    if new:
        text = (
            "The checkpoint lacks these weights, so they were drawn at random (seed "
            f"{SEED}): {', '.join(new)}. Results that depend on them mean nothing until they "
            "are trained."
        )
        warnings.warn(text, NewWeightsWarning, stacklevel=4)


def _warn_of_unused_weights(model: PreTrainedModel, unexpected: list[str]) -> None:
    """Count the weights that the checkpoint has for a part of the base model, and the model not.

    Another head's weights, and a part that this head does without, such as a pooler, are no loss.
    """
    prefix = model.base_model_prefix
    base = getattr(model, prefix, model)
    inner = {name: name.removeprefix(f"{prefix}.").partition(".")[0] for name in sorted(unexpected)}
    unused = [name for name, part in inner.items() if getattr(base, part, None) is not None]
    if unused:
        text = (
            f"The checkpoint has {len(unused)} weights for which its config.json leaves no "
            f"place, so that they were left out; the first is {unused[0]}. Check that "
            "config.json belongs to it, the number of layers above all."
        )
        warnings.warn(text, UnusedWeightsWarning, stacklevel=4)


@contextmanager
def seeded(seed: int = SEED) -> Iterator[None]:
    """Draw from a seed within the block and leave the reader's own random state as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
