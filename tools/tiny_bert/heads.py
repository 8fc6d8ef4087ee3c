"""Train heads on the embedded model, from its weights: `python -m tools.tiny_bert.heads`."""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import transformers

from tools.tiny_bert import tasks, train
from tsnb.models.load import CLASSES, quiet_transformers
from tsnb.tiny_bert import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import BertTokenizerFast, PreTrainedModel

Batch = dict[str, torch.Tensor]
FEWEST, SHORT, LONG = 9, 20, 40  # pieces of a text
EASY = 0.3  # share of the steps with short texts only, at the beginning
LABELS = ("labels", "start_positions", "end_positions")


class Task(NamedTuple):
    """How to draw an example and make tensors of some, steps and batch size, names of labels."""

    draw: Callable[..., Any]
    encode: Callable[..., Batch]
    steps: int
    size: int
    names: tuple[str, ...] = ()

    def batch(
        self, tokenizer: BertTokenizerFast, rng: random.Random, size: int, most: int = LONG, *, unseen: bool = False
    ) -> Batch:
        """Draw examples with texts of about one length, as tensors with labels.

        Parameters
        ----------
        size
            How many.
        most
            At most so many pieces in a text; how many is drawn once for all of them.
        unseen
            Take names from the held-out pairs.
        """
        room = rng.randint(FEWEST, most)
        return self.encode(tokenizer, [self.draw(rng, room, unseen=unseen) for _ in range(size)])


def encode_asked(tokenizer: BertTokenizerFast, examples: list[tasks.Asked]) -> Batch:
    """Return questions and texts as tensors, and the first and the last piece of each answer."""
    columns = [example.question for example in examples], [example.text for example in examples]
    encoded = tokenizer(*columns, padding=True, return_tensors="pt")
    starts = [encoded.char_to_token(row, example.start, 1) for row, example in enumerate(examples)]
    ends = [encoded.char_to_token(row, example.end - 1, 1) for row, example in enumerate(examples)]
    return {**encoded, "start_positions": torch.tensor(starts), "end_positions": torch.tensor(ends)}


def encode_paired(tokenizer: BertTokenizerFast, examples: list[tasks.Paired]) -> Batch:
    """Return questions and texts as tensors, and the label of each pair."""
    columns = [example.question for example in examples], [example.text for example in examples]
    encoded = tokenizer(*columns, padding=True, return_tensors="pt")
    return {**encoded, "labels": torch.tensor([example.label for example in examples])}


def encode_tagged(tokenizer: BertTokenizerFast, examples: list[tasks.Tagged]) -> Batch:
    """Return texts as tensors, and the tag of each piece but special and padding ones."""
    encoded = tokenizer([example.text for example in examples], padding=True, return_tensors="pt")
    labels = [
        [train.IGNORED if word is None else example.tags[word] for word in encoded.word_ids(row)]
        for row, example in enumerate(examples)
    ]
    return {**encoded, "labels": torch.tensor(labels)}


TASKS = {
    "question-answering": Task(tasks.asked, encode_asked, 1000, 32),
    "sequence-classification": Task(tasks.paired, encode_paired, 1000, 32, tasks.ANSWERS),
    "token-classification": Task(tasks.tagged, encode_tagged, 400, 32, tasks.TAGS),
}


def right(model: PreTrainedModel, inputs: Batch) -> torch.Tensor:
    """Tell for each row of a batch whether every best guess is its label, bool, `(batch,)`."""
    labels = [inputs[name] for name in LABELS if name in inputs]
    with torch.inference_mode():
        output = model(**{name: tensor for name, tensor in inputs.items() if name not in LABELS})
    hits = [
        (scores.argmax(-1) == label) | (label == train.IGNORED)
        for scores, label in zip(output.to_tuple(), labels, strict=True)
    ]
    return torch.stack([hit.reshape(len(hit), -1).all(-1) for hit in hits]).all(0)


def build_model(head: str, seed: int) -> PreTrainedModel:
    """Return the embedded model without dropout, with a head whose weights come from `seed`."""
    names = dict(enumerate(TASKS[head].names))
    labels = {"id2label": names, "label2id": {name: index for index, name in names.items()}}
    options = dict.fromkeys(train.DROPOUT, 0.0) | (labels if names else {})
    torch.manual_seed(seed)
    with quiet_transformers():
        return getattr(transformers, CLASSES[head]).from_pretrained(FOLDER, **options)


def fine_tune(head: str, steps: int, size: int, seed: int = 0) -> PreTrainedModel:
    """Train the embedded model and a new head for `steps` batches of `size` examples.

    The first steps have short texts only.
    """
    task, tokenizer, rng = TASKS[head], train.build_tokenizer(), random.Random(seed)

    def draw(step: int) -> Batch:
        return task.batch(tokenizer, rng, size, SHORT if step < EASY * steps else LONG)

    return train.fit(build_model(head, seed), draw, steps)


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write weights, in half precision to keep the repository small, and configuration."""
    model.config.update(dict.fromkeys(train.DROPOUT, 0.1))  # as BERT has it
    halves = {name: weight.half() for name, weight in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=halves)


def main() -> None:
    """Train the heads one by one, and write each to a folder of its name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", choices=TASKS, action="append")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--output", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the same sums, bit for bit, on any number of cores
    for head in options.head or TASKS:
        task = TASKS[head]
        model = fine_tune(head, options.steps or task.steps, task.size)
        save(model, options.output / head)


if __name__ == "__main__":
    main()
