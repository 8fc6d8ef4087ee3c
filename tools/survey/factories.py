"""Classes of transformers with small random weights, and example inputs. Begin with `candidates` and `make`."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from transformers.models.auto import modeling_auto

from tsnb.models.load import quiet_transformers, seeded

DATA = tomllib.loads(Path(__file__).with_name("families.toml").read_text(encoding="utf-8"))
LENGTH, IMAGE, SAMPLES, FRAMES, MELS = 16, 64, 8000, 64, 16
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 2, "decoder_start_token_id": 2}
FIRST = 10  # ids below may be special


class Candidate(NamedTuple):
    """A class of transformers: the kind of its inputs, its family (a `model_type`) and its name."""

    kind: str
    family: str
    name: str


class Shape(NamedTuple):
    """What to make inputs of: rows, and the part of the own length (of a text, a picture's side, a sound)."""

    batch: int = 1
    part: float = 1.0
    padded: bool = True
    seed: int = 0


OWN = Shape()


def candidates() -> list[Candidate]:
    """Return every class of the families that this transformers has, in a stable order."""
    found: dict[str, Candidate] = {}
    for kind, families in DATA["families"].items():
        for family in families.split():
            for task in ("", *(f"FOR_{name}_" for name in DATA["tasks"][kind].split())):
                names = getattr(modeling_auto, f"MODEL_{task}MAPPING_NAMES").get(family, ())
                for name in (names,) if isinstance(names, str) else names:
                    found.setdefault(name, Candidate(kind, family, name))
    return sorted(found.values())


def sizes(kind: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that make a configuration of a class small, and those of the configurations within it."""
    default, known = kind(), DATA["sizes"]
    values: dict[str, Any] = {}
    for name in dict.fromkeys([*default.to_dict(), *kind.attribute_map.values()]):
        value = getattr(default, name, None)
        if isinstance(value, transformers.PretrainedConfig):
            values[name] = {"model_type": value.model_type, **sizes(type(value), changes.get(name, {}))}
        elif isinstance(value, (list, tuple)) and name in DATA["stages"]:
            values[name] = DATA["stages"][name][: len(value)]
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and name in known:
            values[name] = known[name]
        elif name in SPECIAL and isinstance(value, int) and value >= known["vocab_size"]:
            values[name] = SPECIAL[name]
    pad = getattr(default, "pad_token_id", None)
    if hasattr(default, "vocab_size") and (pad is None or not 0 <= pad < known["vocab_size"]):
        values["pad_token_id"] = 0
    return {
        **values,
        **{
            name: None if change == "none" else change
            for name, change in changes.items()
            if not isinstance(values.get(name), dict)
        },
    }


def make(candidate: Candidate) -> Any:
    """Return a small model of a class, in eval mode, with seeded weights of which none is constant."""
    kind = getattr(transformers, candidate.name)
    changes = DATA["changes"].get(DATA["same"].get(candidate.family, candidate.family), {})
    with quiet_transformers(), seeded():
        model = kind(kind.config_class(**sizes(kind.config_class, changes))).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.numel() > 1 and weight.is_floating_point() and not weight.std() > 0:
                    weight.add_(torch.randn_like(weight) * 0.1)
    return model


def example(candidate: Candidate, model: Any, shape: Shape = OWN) -> dict[str, torch.Tensor]:
    """Draw inputs for a model: ids, masks, types and boxes of texts; a picture; a sound."""
    generator = torch.Generator().manual_seed(shape.seed)
    drawn = texts(candidate, model, shape, generator)
    if candidate.kind == "two modalities":
        drawn |= pictures(candidate, shape, generator)
    elif candidate.kind == "pictures" and candidate.family != "imagegpt":  # which takes colours as ids
        drawn = pictures(candidate, shape, generator)
    elif candidate.kind == "sound":
        drawn = {"decoder_input_ids": drawn["decoder_input_ids"], **sounds(candidate, model, shape, generator)}
    return {name: drawn[name] for name in inspect.signature(model.forward).parameters if name in drawn}


def texts(candidate: Candidate, model: Any, shape: Shape, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Draw ids that end with the end-of-text token, masks, types, boxes, and ids for a decoder."""
    text, length = model.config.get_text_config(), round(LENGTH * shape.part)
    choices = (2,) if candidate.name.endswith("MultipleChoice") else ()
    sizes = (shape.batch, *choices, length)
    tokens = torch.full(sizes[:-1], length)
    if shape.padded:
        tokens = torch.randint(length // 2, length, sizes[:-1], generator=generator)
        tokens[1:2] = length
    tokens = tokens.unsqueeze(-1)
    mask = torch.arange(length).expand(sizes) < tokens
    vocabulary = getattr(text, "vocab_size", None) or DATA["sizes"]["vocab_size"]
    ids, decoder_ids = torch.randint(FIRST, vocabulary, (2, *sizes), generator=generator)
    if candidate.family in DATA["marked"]:
        ids[..., 1:3] = DATA["marked"][candidate.family]
    if isinstance(getattr(text, "eos_token_id", None), int):
        ids = ids.scatter(-1, tokens - 1, text.eos_token_id)
    corners = torch.randint(30, (2, *sizes, 2), generator=generator)
    types = torch.randint(2, sizes, generator=generator)
    return {
        "input_ids": ids.masked_fill(~mask, getattr(text, "pad_token_id", None) or 0),
        "attention_mask": mask.to(torch.int64),
        "decoder_input_ids": decoder_ids,
        "bbox": torch.cat([corners[0], corners.sum(0)], -1),
        **({"token_type_ids": types} if (getattr(text, "type_vocab_size", None) or 0) > 1 else {}),
    }


def pictures(candidate: Candidate, shape: Shape, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Draw a picture; beside a text it keeps its size, and some classes take numbers of their own."""
    side = IMAGE if candidate.kind == "two modalities" else round(IMAGE * shape.part)
    if candidate.family == "siglip2":  # takes a picture in patches
        patches = torch.randn(shape.batch, 16, 768, generator=generator)
        mask, sides = torch.ones(shape.batch, 16, dtype=torch.int64), torch.full((shape.batch, 2), 4)
        return {"pixel_values": patches, "pixel_attention_mask": mask, "spatial_shapes": sides}
    sizes: tuple[int, ...] = (shape.batch, 3, side, side)
    if candidate.name == "PerceiverModel":
        sizes = (shape.batch, round(LENGTH * shape.part), 32)
    elif candidate.name in {"PerceiverForImageClassificationFourier", "PerceiverForImageClassificationConvProcessing"}:
        sizes = (shape.batch, 3, round(224 * shape.part), round(224 * shape.part))
    picture = torch.randn(sizes, generator=generator)
    return {"inputs" if candidate.name == "PerceiverModel" else "pixel_values": picture}


def sounds(candidate: Candidate, model: Any, shape: Shape, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Draw a sound, or its features in frames, and a mask."""
    features = "input_features" in inspect.signature(model.forward).parameters
    if candidate.family == "audio-spectrogram-transformer":
        return {"input_values": torch.randn(shape.batch, round(FRAMES * shape.part), MELS, generator=generator)}
    length = round((2 * FRAMES if features else SAMPLES) * shape.part)
    mask = torch.ones(shape.batch, length, dtype=torch.int64)
    if shape.padded:
        mask[0, length - length // 4 :] = 0
    sizes = (MELS, length) if candidate.family == "whisper" else (length, MELS)
    return {
        "input_features": torch.randn(shape.batch, *sizes, generator=generator),
        "input_values": torch.randn(shape.batch, length, generator=generator) * mask,
        "attention_mask": mask,
    }
