"""Measure the embedded model on names it has not met: `python -m tsnb.tiny_bert.evaluate`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from tsnb.machine import MIB
from tsnb.models import load
from tsnb.tiny_bert import FOLDER, corpus

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SENTENCES = 1000
SEED = 2026


def henson(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """Return the probability of `henson` at position 8 of the seed's sentence."""
    encoded = tokenizer("who was jim henson ?", "jim [MASK] was a puppeteer", return_tensors="pt")
    with torch.inference_mode():
        scores = model(**encoded)[0][0, 8]
    return float(scores.softmax(-1)[tokenizer.convert_tokens_to_ids("henson")])


def copied(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentences: int = SENTENCES,
    *,
    typed: bool = True,
) -> float:
    """Return the share of masked names that the model copies from the other sentence.

    Each generated pair names a person whose first and last name were never together in training.
    Every piece of a name is masked in turn; it stands in the other sentence too.

    Parameters
    ----------
    sentences
        How many pairs to draw.
    typed
        Whether the model is told which piece belongs to which sentence.
    """
    rng = random.Random(SEED)
    drawn = (corpus.pair(rng, unseen=True) for _ in range(sentences))
    hits = [
        hit
        for pair in tqdm(drawn, total=sentences, unit="sentence")
        for hit in _hits(model, tokenizer, pair, typed=typed)
    ]
    return sum(hits) / len(hits)


def _hits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pair: corpus.Pair, *, typed: bool
) -> list[bool]:
    """Mask each piece of the name in turn, as one batch, and say where the best guess is right."""
    encoded = tokenizer(pair.question, pair.answer, return_tensors="pt")
    ids = encoded["input_ids"][0]
    names = torch.tensor(tokenizer.convert_tokens_to_ids([pair.first, pair.last]))
    places = torch.isin(ids, names).nonzero().squeeze(-1)
    batch = ids.repeat(len(places), 1)
    batch[torch.arange(len(places)), places] = tokenizer.mask_token_id or 0
    types = encoded["token_type_ids"] if typed else torch.zeros_like(encoded["token_type_ids"])
    with torch.inference_mode():
        scores = model(input_ids=batch, token_type_ids=types.expand_as(batch))[0]
    best = scores[torch.arange(len(places)), places].argmax(-1)
    return [bool(hit) for hit in best == ids[places]]


def main() -> None:
    """Print the figures of the model card as a Markdown table."""
    model, tokenizer = load("tiny-bert")
    size = (FOLDER / "model.safetensors").stat().st_size / MIB
    rows = {
        "`henson` at position 8 of the seed's sentence": f"{henson(model, tokenizer):.3f}",
        f"names copied, {SENTENCES:,} held-out pairs": f"{copied(model, tokenizer):.3f}",
        "the same without token types": f"{copied(model, tokenizer, typed=False):.3f}",
        "weights, safetensors": f"{size:.1f} MiB",
    }
    print("| measured | |\n|---|---|")  # noqa: T201, what the script is for
    print("\n".join(f"| {name} | {value} |" for name, value in rows.items()))  # noqa: T201


if __name__ == "__main__":
    main()
