"""Run a trace on texts without computing more padding than need be. Taught in notebook 04."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import InputError
from tsnb.base.machine import respect_quota
from tsnb.inference.freezing import freeze
from tsnb.lengths.batching import MAX_TOKENS, WINDOW, Batch, check_max_tokens, plan_dynamic, plan_static
from tsnb.tracing.compare import TOLERANCE
from tsnb.tracing.graphs import holds
from tsnb.tracing.inputs import checked_text, positive_int
from tsnb.tracing.outputs import relative_difference
from tsnb.tracing.traced import Traced, checked_traced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch
    from transformers import PreTrainedTokenizerBase

    from tsnb.tracing.contract import Contract
    from tsnb.tracing.inputs import Text

    Result = dict[str, torch.Tensor]
    Tokens = Mapping[str, Sequence[Sequence[int]]]

MASK = "attention_mask"
SAMPLE = "a"  # shows what padding does
PADDING = 4  # tokens of it
ROUNDINGS = 4  # of the dtype: what padding may change, as a part of the largest number


class BrokenOffError(InputError):
    """The texts ended in an error; what was done before it is in `results`.

    Attributes
    ----------
    results
        The results of all texts before the error, in their order.
    """

    results: list[Result]


@dataclass(frozen=True)
class Work:
    """How much a Runner computed: real tokens against places, padding included."""

    real: int = 0
    computed: int = 0

    def plus(self, lengths: Sequence[int], batches: Sequence[Batch]) -> Work:
        """Return the sum with the texts and batches of one window."""
        computed = sum(batch.tokens for batch in batches)
        return Work(self.real + sum(lengths), self.computed + computed)

    @property
    def share(self) -> float:
        """Real tokens / computed places; 1.0 means that no padding was computed."""
        return self.real / self.computed if self.computed else 1.0


class Runner:
    """Run a trace on texts and give the results in the order of the texts, padding removed.

    A trace that was verified at another length and batch size is dynamic: texts of like length run
    together, padded to the longest of their batch, if padding does not change their numbers: one
    short text is run with and without. Any other trace has its traced shape only: give
    several, and each text runs in the shortest that holds it.

    Parameters
    ----------
    traced
        A trace with a known contract, or several of one model at different lengths.
    tokenizer
        The tokenizer of the model that was traced.
    max_tokens
        Most places, rows × length, of a batch of a dynamic trace.
    truncate
        Cut texts that are too long; otherwise they are refused.

    Attributes
    ----------
    work
        What the last call computed.

    Raises
    ------
    InputError
        A contract that is not known, a tokenizer that makes other inputs or cannot pad, a trace
        without the tokenizer's mask, or a model to which padding makes a difference.

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

    def __init__(
        self,
        traced: Traced | Sequence[Traced],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_tokens: int = MAX_TOKENS,
        truncate: bool = False,
    ) -> None:
        traces = _checked_traces(traced, tokenizer)
        self.dynamic = len(traces) == 1 and is_dynamic(traces[0].contract)
        self.traces = {_shape(one.contract): one for one in traces}
        self.tokenizer, self.max_tokens, self.truncate = (
            tokenizer,
            positive_int("max_tokens", max_tokens),
            truncate,
        )
        self.work = Work()
        respect_quota()
        if self.dynamic and _is_exact(traces[0].module):
            self._check_padding()
        self.traces = {shape: _frozen(one) for shape, one in self.traces.items()}

    @property
    def longest(self) -> int:
        """The longest text that fits, in tokens."""
        if not self.dynamic:
            return max(length for _, length in self.traces)
        [traced] = self.traces.values()
        return traced.contract.max_positions or sys.maxsize

    def __call__(self, texts: Iterable[Text]) -> list[Result]:
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
            A text that is empty, no text, or too long; its index is named.
        BrokenOffError
            The iterator of texts raised; the results before that are in `results`.
        """
        results: list[Result] = []
        try:
            results.extend(self.stream(texts))
        except BrokenOffError as error:
            error.results = results
            raise
        return results

    def stream(self, texts: Iterable[Text]) -> Iterator[Result]:
        """Yield the results one at a time, with at most 2,048 texts held at once.

        Raises what a call raises, when it comes to it.
        """
        if isinstance(texts, str):
            raise InputError("Expected a list of texts, got one text. Put it in a list: runner([text]).")
        if not isinstance(texts, Iterable):
            raise InputError(f"Expected a list of texts, got {type(texts).__name__}.")
        self.work = Work()
        source, first = iter(texts), 0
        while True:
            window, broken = _take(source, WINDOW)
            yield from self._window(window, first)
            first += len(window)
            if broken is not None:
                raise BrokenOffError(
                    f"The texts broke off after {first}: their iterator raised {broken}. The results "
                    "until there are in the error's attribute results."
                ) from broken
            if len(window) < WINDOW:
                return

    def _window(self, texts: list[Text], first: int) -> list[Result]:
        """Run some texts, planned together; `first` is the index of the first one."""
        if not texts:
            return []
        for index, text in enumerate(texts, first):
            _check(index, text)
        tokens = self.tokenizer(
            texts,
            truncation=self.truncate,
            max_length=self.longest if self.truncate else None,
            verbose=False,
        )
        lengths = [len(row) for row in tokens["input_ids"]]
        self._check_lengths(lengths, first)
        batches = self._plan(lengths)
        self.work = self.work.plus(lengths, batches)
        done = chain.from_iterable(self._run(batch, tokens, lengths) for batch in batches)
        results = dict(done)
        return [results[index] for index in range(len(texts))]

    def _check_lengths(self, lengths: Sequence[int], first: int) -> None:
        for index, length in enumerate(lengths, first):
            if length > self.longest:
                gaps = {"index": index, "tokens": length, "length": self.longest}
                raise InputError("inference.too-long", **gaps)
        if self.dynamic:
            check_max_tokens(lengths, self.max_tokens, first)

    def _check_padding(self) -> None:
        """Raise an InputError where padding beside a text changes its numbers."""
        tokens = self.tokenizer([SAMPLE], verbose=False)
        [length] = map(len, tokens["input_ids"])
        alone, padded = (
            list(self._one(tokens, length, least).values())
            for least in (length, min(length + PADDING, self.longest))
        )
        part = relative_difference(alone, padded)
        if not part <= max(TOLERANCE, *map(_rounding, alone)):
            raise InputError(
                "This model gives a text other numbers where padding stands beside it (by "
                f"{part:.1%} of its largest), so texts cannot share a batch. Call the trace with "
                'one text at a time: traced(**tokenizer(text, return_tensors="pt")).'
            )

    def _one(self, tokens: Tokens, length: int, padded: int) -> Result:
        """Run a single text, padded to a length."""
        [(_, result)] = self._run(Batch((0,), 1, padded), tokens, [length])
        return result

    def _plan(self, lengths: Sequence[int]) -> list[Batch]:
        if self.dynamic:
            return plan_dynamic(lengths, self.max_tokens)
        return plan_static(lengths, self.traces)

    def _run(self, batch: Batch, tokens: Tokens, lengths: Sequence[int]) -> Iterator[tuple[int, Result]]:
        """Run one batch and yield each text's index and its outputs."""
        shape = next(iter(self.traces)) if self.dynamic else (batch.rows, batch.length)
        traced = self.traces[shape]
        contract = traced.contract
        outputs = traced(
            **{name: self._padded(name, tokens[name], batch, contract) for name in contract.input_names}
        )
        for row, index in enumerate(batch.indices):
            yield index, _cut(outputs, contract, row, self._kept(lengths[index], batch.length))

    def _padded(
        self, name: str, rows: Sequence[Sequence[int]], batch: Batch, contract: Contract
    ) -> torch.Tensor:
        """Return one input of a batch: rows of one length, the last one repeated as a filler."""
        import torch

        filler = {
            "input_ids": self.tokenizer.pad_token_id,
            "token_type_ids": self.tokenizer.pad_token_type_id,
        }
        dtype = getattr(torch, contract.dtypes.get(name, "int64"))
        padded = torch.full((batch.rows, batch.length), filler.get(name) or 0, dtype=dtype)
        indices = batch.indices + batch.indices[-1:] * (batch.rows - len(batch.indices))
        for place, index in enumerate(indices):
            held = torch.tensor(rows[index], dtype=dtype)
            padded[place, self._kept(len(held), batch.length)] = held
        return padded

    def _kept(self, length: int, padded: int) -> slice:
        """Return where in its row a text of `length` tokens stands; some tokenizers pad before."""
        if self.tokenizer.padding_side == "left":
            return slice(padded - length, None)
        return slice(length)


def is_dynamic(contract: Contract) -> bool:
    """Tell whether a trace was shown to equal its model at another length and another batch size.

    >>> from tsnb.tracing.contract import Contract
    >>> is_dynamic(Contract(("input_ids",), batch_size=1, length=8, verified=((1, 8), (2, 16))))
    True
    """
    if contract.fixed_shape:
        return False
    batches = {batch for batch, _ in contract.verified}
    lengths = {length for _, length in contract.verified}
    return len(batches) > 1 and len(lengths) > 1


def _shape(contract: Contract) -> tuple[int, int]:
    return contract.batch_size or 1, contract.length or 1


def _frozen(traced: Traced) -> Traced:
    """Make a trace quicker; a compiled graph, and what is no trace, stays."""
    import torch

    trace = isinstance(traced.module, torch.jit.ScriptModule)
    if not trace or traced.contract.fixed_shape or not list(traced.module.parameters()):
        return traced
    return replace(traced, module=freeze(traced.module))


def _is_exact(module: Any) -> bool:
    """Tell whether this is a trace without 8-bit operators, which take the whole batch's scale."""
    import torch

    return isinstance(module, torch.jit.ScriptModule) and not holds(module, "quantized::")


def _rounding(tensor: torch.Tensor) -> float:
    """Return what rounding may make of a number near one, in a tensor's dtype."""
    import torch

    return ROUNDINGS * torch.finfo(tensor.dtype).eps if tensor.is_floating_point() else 0.0


def _take(source: Iterator[Text], count: int) -> tuple[list[Text], Exception | None]:
    """Return up to `count` texts, and the error that the iterator raised, if it did."""
    taken: list[Any] = []
    try:
        taken.extend(islice(source, count))
    except Exception as error:  # noqa: BLE001, whatever the reader's iterator raises
        return taken, error
    return taken, None


def _checked_traces(traced: Traced | Sequence[Traced], tokenizer: PreTrainedTokenizerBase) -> list[Traced]:
    """Return traces as a list, if the tokenizer makes what they take, or raise an InputError."""
    several = isinstance(traced, Iterable) and not isinstance(traced, str)
    traces: list[Traced] = list(traced) if several else [traced]  # type: ignore[arg-type,list-item]
    if not traces:
        raise InputError("The Runner got no trace. Give it one, or one for each length.")
    for one in traces:
        if not checked_traced(one).contract.known or one.contract.length is None:
            raise InputError(
                "The Runner needs a trace with a known contract: its length and batch size "
                "decide how texts are padded. Trace the model with tsnb.trace, and save it with "
                "tsnb.save."
            )
        _check_tokenizer(tokenizer, one.contract)
    return traces


def _check_tokenizer(tokenizer: PreTrainedTokenizerBase, contract: Contract) -> None:
    made = getattr(tokenizer, "model_input_names", None)
    if made is None:
        raise InputError(
            "The Runner takes the tokenizer of the model that was traced, second; got "
            f"{type(tokenizer).__name__}."
        )
    missing = [name for name in contract.input_names if name not in made]
    if missing:
        raise InputError(
            f"The trace takes {', '.join(missing)}, which this tokenizer does not make (it "
            f"makes {', '.join(made)}). Trace the model with the inputs of "
            "tsnb.dummy_inputs, and give the Runner the same tokenizer."
        )
    if MASK in made and MASK not in contract.input_names:
        raise InputError(
            "The trace takes no attention_mask, which this tokenizer makes: padding would "
            "count as text. Trace the model with all inputs of tsnb.dummy_inputs; where the "
            "model takes no mask, call the trace with one text at a time."
        )
    if tokenizer.pad_token is None:
        raise InputError(
            "The tokenizer has no pad token, and texts are padded to the traced length, "
            f"{contract.length}. Set one: tokenizer.pad_token = tokenizer.eos_token."
        )


def _check(index: int, text: Text) -> None:
    checked = checked_text(index, text)
    if not all(part.strip() for part in ([checked] if isinstance(checked, str) else checked)):
        raise InputError(f"Text {index} is empty. Leave it out, or give at least one word.")


def _cut(outputs: Result, contract: Contract, row: int, kept: slice) -> Result:
    """Take one row out of a batch of outputs and remove its padding."""
    cut = {}
    for (name, tensor), axes in zip(outputs.items(), contract.output_axes, strict=True):
        window = [row if axis == "batch" else kept if axis == "length" else slice(None) for axis in axes]
        cut[name] = tensor[tuple(window)]
    return cut
