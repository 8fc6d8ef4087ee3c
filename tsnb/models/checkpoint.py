"""A checkpoint whose weights go by other names than the model's: which of its names fit, and how."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import ModelError
from tsnb.models.hub import WEIGHTS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# what DataParallel, torch.compile, FSDP, activation checkpointing and DeepSpeed put into names
WRAPPERS = re.compile(r"(?<![^.])(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")


def fits(model: PreTrainedModel, missing: Collection[str]) -> bool:
    """True if a checkpoint has at least half of the weights of the model below its head."""
    prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
    base = {name for name in model.state_dict() if name.startswith(prefix)}
    return 2 * len(base.intersection(missing)) <= len(base)


def read_weights(folder: Path) -> dict[str, Any]:
    """Return the weights in a folder by name, of all shards, and out of a dict that holds other things too."""
    import torch
    from transformers.modeling_utils import load_state_dict

    candidates = (folder / f"{name}{ending}" for name in WEIGHTS for ending in ("", ".index.json"))
    path = next(filter(type(folder).is_file, candidates), None)
    if path is None:
        raise FileNotFoundError(f"there is neither {' nor '.join(WEIGHTS)}, nor an index of their shards")
    shards = json.loads(path.read_bytes())["weight_map"].values() if path.suffix == ".json" else [path.name]
    content: dict[str, Any] = {}
    for shard in sorted(set(shards)):
        content |= load_state_dict(str(folder / shard))
    parts = [content, *(value for value in content.values() if isinstance(value, Mapping))]
    tensors = [{key: value for key, value in part.items() if isinstance(value, torch.Tensor)} for part in parts]
    return {str(key): value for key, value in (max(tensors, key=len) or content).items()}


def own_names(folder: Path, keys: Collection[str], model: PreTrainedModel) -> dict[str, str]:
    """Return the model's name for each key of a checkpoint, or the key itself where it has none.

    What wrappers put into keys is taken out; then one prefix is replaced, the one that makes most of them fit.

    Raises
    ------
    ModelError
        Most of the model's weights have no key, or the keys fit as well under two prefixes.
    """
    from transformers import CONFIG_MAPPING

    names, kind, base = model.state_dict(), model.config.model_type, f"{model.base_model_prefix}."
    bare = {key: WRAPPERS.sub("", key) for key in keys}
    fitting = Counter(
        (key[:cut], new)
        for key in bare.values()
        for cut in (0, *(dot.end() for dot in re.finditer(r"\.", key)))
        for new in ("", base)
        if new + key[cut:] in names
    )
    best = [pair for pair in fitting if fitting[pair] == max(fitting.values())]
    old, new = min(best, key=lambda pair: len(pair[0]), default=("", ""))
    foreign = any(part in CONFIG_MAPPING and part not in (kind, base[:-1]) for part in old.split("."))
    if foreign or not all(other.startswith(old) for other, _ in best):  # another kind of model, or two models
        old, new = "", ""
    rest = base if model.base_model is model else ""  # by which transformers 4 would take the others for a base's
    moved = {key: new * name.startswith(old) + name.removeprefix(old) for key, name in bare.items()}
    renamed = {key: name.removeprefix(rest) for key, name in moved.items()}
    if not fits(model, names.keys() - renamed.values()):
        shown = list({key.partition(".")[0]: key for key in keys}.values())[:3]
        raise ModelError(
            f"The weights in {folder} do not fit the {kind} model that its config.json describes: their names look "
            f"like {', '.join(shown) or 'nothing'}; the model's like {next(iter(names))}. Load them with the code "
            "that wrote them, and write that model with its save_pretrained(folder)."
        )
    return renamed
