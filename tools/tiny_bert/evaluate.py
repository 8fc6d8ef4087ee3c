"""Measure the embedded model on names it has not met: `python -m tools.tiny_bert.evaluate`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from tools.tiny_bert import heads
from tsnb.base.machine import MIB
from tsnb.models.load import Head, load
from tsnb.tiny_bert import FOLDER, corpus

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SENTENCES = 1000
ROWS = 10  # examples of one length
SEED = 2026
MEASURED: dict[Head, str] = {
    "question-answering": "answers found",
    "sequence-classification": "pairs told apart",
    "token-classification": "texts with every tag right",
}


def henson(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """Return the probability of `henson` at position 8 of the seed's sentence."""
    encoded = tokenizer("who was jim henson ?", "jim [MASK] was a puppeteer", return_tensors="pt")
    with torch.inference_mode():
        scores = model(**encoded)[0][0, 8]
    return float(scores.softmax(-1)[tokenizer.convert_tokens_to_ids("henson")])


def copied(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sentences: int = SENTENCES, *, typed: bool = True
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


def _hits(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pair: corpus.Pair, *, typed: bool) -> list[bool]:
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


def solved(head: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: int = SENTENCES) -> float:
    """Return the share of held-out examples that a head gets right from end to end.

    For a question that is the first and the last piece of the answer, for tags every one of a text.

    Parameters
    ----------
    head
        A task of `heads.TASKS`.
    examples
        How many to draw, ten of about each length.
    """
    rng = random.Random(SEED)
    hits = [
        heads.right(model, heads.TASKS[head].batch(tokenizer, rng, ROWS, unseen=True))
        for _ in tqdm(range(examples // ROWS), unit="batch", desc=head)
    ]
    return torch.cat(hits).float().mean().item()


def main() -> None:
    """Print the figures of the model card as a Markdown table."""
    model, tokenizer = load("tiny-bert")
    rows = {
        "`henson` at position 8 of the seed's sentence": f"{henson(model, tokenizer):.3f}",
        f"names copied, {SENTENCES:,} held-out pairs": f"{copied(model, tokenizer):.3f}",
        "the same without token types": f"{copied(model, tokenizer, typed=False):.3f}",
        "weights, safetensors": _size(FOLDER),
    }
    for head, measured in MEASURED.items():
        trained, _ = load("tiny-bert", head)
        share = solved(head, trained, tokenizer)
        rows[f"{head}: {measured}, {SENTENCES:,} held-out examples"] = f"{share:.3f}"
        rows[f"{head}: weights"] = _size(FOLDER / head)
    print("| measured | |\n|---|---|")  # noqa: T201, what the script is for
    print("\n".join(f"| {name} | {value} |" for name, value in rows.items()))  # noqa: T201


def _size(folder: Path) -> str:
    return f"{(folder / 'model.safetensors').stat().st_size / MIB:.1f} MiB"


if __name__ == "__main__":
    main()
