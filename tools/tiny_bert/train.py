"""Train the embedded model from nothing but a seed: `python -m tools.tiny_bert.train`."""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from tqdm.auto import tqdm
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast, PreTrainedModel

from tsnb.tiny_bert import FOLDER, corpus

if TYPE_CHECKING:
    from collections.abc import Callable

Model = TypeVar("Model", bound=PreTrainedModel)

GEOMETRY = {
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": 512,
}
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")
PURE = 0.6  # share of the steps with pairs only; mixed from the start, copying is not learnt
ALONE, UNTYPED = 0.2, 0.4  # limits of the draw: answers alone, then pairs without token types
PEAK = 1.5e-3  # the largest learning rate
IGNORED = -100  # the label that PyTorch's cross-entropy leaves out


def build_tokenizer() -> BertTokenizerFast:
    """Return an uncased WordPiece tokenizer over the grammar's vocabulary."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(corpus.vocabulary()) + "\n", encoding="utf-8")
        return BertTokenizerFast(str(path), do_lower_case=True, model_max_length=512)


def build_model(seed: int, vocabulary: int) -> BertForMaskedLM:
    """Return the untrained model, its weights drawn from `seed`."""
    torch.manual_seed(seed)
    no_dropout = dict.fromkeys(DROPOUT, 0.0)
    return BertForMaskedLM(BertConfig(vocab_size=vocabulary, **GEOMETRY, **no_dropout))


def mask(
    ids: torch.Tensor, names: torch.Tensor, generator: torch.Generator, mask_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide pieces of a batch and return `(masked_ids, labels)`.

    A piece of a name is hidden three times in ten, any other piece of a text one time in ten.

    Parameters
    ----------
    ids
        Token ids, int64, `(batch, length)`.
    names
        1.0 where a piece belongs to a name, 0.0 at other pieces, -1.0 at special and padding ones.
    """
    rate = torch.where(names > 0, 0.3, 0.1).masked_fill(names < 0, 0.0)
    hidden = torch.rand(ids.shape, generator=generator) < rate
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(~hidden, IGNORED)


def batch(
    tokenizer: BertTokenizerFast, rng: random.Random, size: int, *, mixed: bool = False
) -> dict[str, torch.Tensor]:
    """Draw `size` question-and-answer pairs as tensors; `names` marks the pieces of names.

    If `mixed`, one batch in five comes without token types and one without the questions, so that
    the model learns to do without them.
    """
    way = rng.random() if mixed else 1.0
    pairs = [corpus.pair(rng) for _ in range(size)]
    answers = [drawn.answer for drawn in pairs]
    encoded = tokenizer(
        *([answers] if way < ALONE else [[drawn.question for drawn in pairs], answers]),
        padding=True,
        return_tensors="pt",
        return_special_tokens_mask=True,
    )
    special = encoded.pop("special_tokens_mask").bool()
    if way < UNTYPED:
        encoded["token_type_ids"].zero_()
    person = torch.tensor([tokenizer.convert_tokens_to_ids([drawn.first, drawn.last]) for drawn in pairs])
    named = (encoded["input_ids"].unsqueeze(-1) == person.unsqueeze(1)).any(-1).float()
    return {**encoded, "names": named.masked_fill(special, -1.0)}


def fit(model: Model, draw: Callable[[int], dict[str, torch.Tensor]], steps: int, peak: float = PEAK) -> Model:
    """Train for `steps` batches and return the model in eval mode.

    One-cycle AdamW (Smith and Topin, 2017, arXiv:1708.07120).

    Parameters
    ----------
    model
        A model that returns a loss.
    draw
        Given the number of the step, what the model is called with, labels included.
    peak
        The largest learning rate.
    """
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps)
    for step in (bar := tqdm(range(steps), unit="step", mininterval=5)):
        loss = model(**draw(step)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.2f}", refresh=False)
    model.eval()
    return model


def train(steps: int, size: int = 64, seed: int = 0, peak: float = PEAK) -> BertForMaskedLM:
    """Train from nothing for `steps` batches of `size` pairs and return the model in eval mode.

    Without dropout; with it the model does not learn to copy in this time.
    """
    tokenizer = build_tokenizer()
    model = build_model(seed, len(tokenizer))
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)

    def draw(step: int) -> dict[str, torch.Tensor]:
        inputs = batch(tokenizer, rng, size, mixed=step >= PURE * steps)
        ids, names = inputs.pop("input_ids"), inputs.pop("names")
        masked, labels = mask(ids, names, generator, tokenizer.mask_token_id)
        return {"input_ids": masked, "labels": labels, **inputs}

    return fit(model, draw, steps, peak)


def main() -> None:
    """Train and write weights, configuration and tokenizer to a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--output", type=Path, default=FOLDER)
    options = parser.parse_args()
    model = train(options.steps)
    model.config.update(dict.fromkeys(DROPOUT, 0.1))  # as BERT has it: what a reader trains further
    model.save_pretrained(options.output)
    build_tokenizer().save_pretrained(options.output)


if __name__ == "__main__":
    main()
