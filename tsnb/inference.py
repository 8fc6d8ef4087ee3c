"""Run a trace on texts: pad, mask, run, un-pad. Taught in notebook 04."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsnb.errors import InputError
from tsnb.machine import respect_quota

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from transformers import PreTrainedTokenizerBase

    from tsnb.contract import Contract
    from tsnb.inputs import Text
    from tsnb.tracing import Traced

    Result = dict[str, torch.Tensor]


class Runner:
    """Run a trace on texts and give the results in the order of the texts, padding removed.

    Every batch has the traced shape, the one that is sure to work: texts are padded to the traced
    length, and the last batch is filled up with copies of its last text.

    Parameters
    ----------
    traced
        A trace with a known contract.
    tokenizer
        The tokenizer of the model that was traced.

    Raises
    ------
    InputError
        A contract that is not known, or a tokenizer that makes other inputs or cannot pad.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> [result] = tsnb.Runner(traced, tokenizer)(["jim [MASK] was a poet"])
    >>> tuple(result["logits"].shape) == (7, len(tokenizer))
    True

    Taught in notebook 04.
    """

    def __init__(self, traced: Traced, tokenizer: PreTrainedTokenizerBase) -> None:
        if not traced.contract.known or traced.contract.length is None:
            raise InputError("inference.unknown-contract")
        _check_tokenizer(tokenizer, traced.contract)
        self.traced = traced
        self.tokenizer = tokenizer
        respect_quota()

    def __call__(self, texts: Sequence[Text]) -> list[Result]:
        """Return a dict of outputs for each text.

        Parameters
        ----------
        texts
            Texts, or pairs of texts; an empty list gives an empty list.

        Returns
        -------
        list of dict
            Outputs by name; a dimension that follows the sequence length is cut to the text's own.

        Raises
        ------
        InputError
            A text that is empty, no text, or longer than the traced length; its index is named.
        """
        if isinstance(texts, str):
            raise InputError("inference.one-text")
        for index, text in enumerate(texts):
            _check(index, text)
        size = self.traced.contract.batch_size or 1
        batches = (texts[start : start + size] for start in range(0, len(texts), size))
        return [result for batch in batches for result in self._batch(batch, texts)]

    def _batch(self, batch: Sequence[Text], texts: Sequence[Text]) -> list[Result]:
        """Run one batch, filled up to the traced size, and cut the results apart."""
        contract = self.traced.contract
        filled = [*batch, *[batch[-1]] * ((contract.batch_size or 1) - len(batch))]
        encoded = self.tokenizer(
            filled,
            padding="max_length",
            max_length=contract.length,
            return_tensors=None,
            verbose=False,
        )
        lengths = [sum(row) for row in encoded["attention_mask"]]
        for text, length in zip(batch, lengths, strict=False):
            if length > (contract.length or 0):
                raise InputError(
                    "inference.too-long",
                    index=texts.index(text),
                    tokens=length,
                    length=contract.length,
                )
        kept = [self._kept(length) for length in lengths]
        tensors = encoded.convert_to_tensors("pt")
        outputs = self.traced(**{name: tensors[name] for name in contract.input_names})
        return [_cut(outputs, contract, row, kept[row]) for row in range(len(batch))]

    def _kept(self, length: int) -> slice:
        """Return where in its row a text of `length` tokens stands; some tokenizers pad before."""
        if self.tokenizer.padding_side == "left":
            return slice((self.traced.contract.length or 0) - length, None)
        return slice(length)


def _check_tokenizer(tokenizer: PreTrainedTokenizerBase, contract: Contract) -> None:
    made = tokenizer.model_input_names
    missing = [name for name in contract.input_names if name not in made]
    if missing:
        raise InputError("inference.other-inputs", missing=", ".join(missing), made=", ".join(made))
    if tokenizer.pad_token is None:
        raise InputError("inference.no-pad-token", length=contract.length)


def _check(index: int, text: object) -> None:
    parts = text if isinstance(text, tuple) else (text,)
    if len(parts) not in (1, 2) or not all(isinstance(part, str) for part in parts):
        raise InputError("inference.not-text", index=index, given=type(text).__name__)
    if not all(str(part).strip() for part in parts):
        raise InputError("inference.empty-text", index=index)


def _cut(outputs: Result, contract: Contract, row: int, kept: slice) -> Result:
    """Take one row out of a batch of outputs and remove its padding."""
    cut = {}
    for (name, tensor), axes in zip(outputs.items(), contract.output_axes, strict=True):
        window = [
            row if axis == "batch" else kept if axis == "length" else slice(None) for axis in axes
        ]
        cut[name] = tensor[tuple(window)]
    return cut
