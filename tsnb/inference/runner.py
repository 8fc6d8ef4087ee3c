"""Run a trace on texts without computing more padding than need be. Taught in notebook 04."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from tsnb.base.errors import InputError
from tsnb.inference.engines import run_by
from tsnb.lengths.batching import MAX_TOKENS, WINDOW, Batch, check_max_tokens, plan_dynamic, plan_static
from tsnb.tracing.compare import TOLERANCE
from tsnb.tracing.graphs import holds
from tsnb.tracing.inputs import Text, check_token_count, checked_text, checked_texts, positive_int
from tsnb.tracing.outputs import ROUNDINGS, agree, relative_difference
from tsnb.tracing.traced import Traced, checked_traced

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from tsnb.inference.engines import Engine
    from tsnb.inference.freezing import Bits
    from tsnb.tracing.contract import Contract, Shape

    Result = dict[str, torch.Tensor]
    Tokens = Mapping[str, Sequence[list[int]]]

MASK = "attention_mask"
FULL = 32  # bits
COARSE = 0.25  # of the largest number: how far fewer bits may be off before they are another model
SAMPLE = "a"  # a word: some of them show what padding does


@dataclass(frozen=True)
class Work:
    """How much a Runner computed: real tokens, and tokens with padding."""

    real: int = 0
    computed: int = 0

    @property
    def share(self) -> float:
        """Real tokens / computed ones; 1.0 means that no padding was computed."""
        return self.real / self.computed if self.computed else 1.0


class Runner:
    """Run a trace on texts and give the results in the order of the texts, padding removed.

    A trace that was verified at another length and batch size is dynamic: texts of like length run
    together, padded to the longest of their batch. Any other trace has its traced shape only: give
    several, and each text runs in the shortest that it fits into. Padding must not change a text's numbers,
    which is tried on one text, with and without padding or with more and less.

    Parameters
    ----------
    traced
        A trace with a known contract, or several of one model at different lengths.
    tokenizer
        The tokenizer of the model that was traced. The Runner keeps a copy, so that threads and other
        Runners may use the same one: for 30,000 words that takes a tenth of a second and 8 MiB.
    max_tokens
        Most tokens, padding included, in a batch of a dynamic trace.
    truncate
        Cut texts that are too long; otherwise they are refused.
    backend
        What runs the trace: `torch`, `onnxruntime` or `openvino`, which `pip install 'tsnb[bench]'` brings.
    bits
        Of linear layers: 32, or fewer on a CPU: 16 (bfloat16) by torch and OpenVINO, 8 by all. The numbers are
        others then; whether the answers are, only your own texts can tell.

    Attributes
    ----------
    work
        What the last call computed.
    device
        Where the trace is: inputs go there, and results stay there.

    Raises
    ------
    InputError
        A contract that is not known, a tokenizer that makes other inputs or cannot pad, a trace
        without the tokenizer's mask, one that is not verified at its own shape, or a model to which padding
        makes a difference. A backend that is not installed, does not take the model or has not these bits, or whose
        numbers are not the trace's.

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

    def __init__(  # noqa: PLR0913, each is a thing that a reader may want to change
        self,
        traced: Traced | Sequence[Traced],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_tokens: int = MAX_TOKENS,
        truncate: bool = False,
        backend: Engine = "torch",
        bits: Bits = 32,
    ) -> None:
        traces = list(traced) if isinstance(traced, Iterable) else [traced]
        if not traces:
            raise InputError("The Runner got no trace. Give it one, or one for each length.")
        for one in traces:
            _check_trace(one, tokenizer)
        self.tokenizer, self.truncate = copy.deepcopy(tokenizer), truncate
        self.max_tokens = positive_int("max_tokens", max_tokens)
        self.work, self.device = Work(), traces[0].device
        self.dynamic = len(traces) == 1 and is_dynamic(traces[0].contract)
        self.traces = {(one.contract.batch_size or 1, one.contract.length or 1): one for one in traces}
        self._check_padding()
        other = (backend, bits) != ("torch", FULL)
        expected = self._sample() if other else []
        self.traces = {
            shape: replace(one, module=cast("Any", run_by(one, backend, bits))) for shape, one in self.traces.items()
        }
        results = self._sample() if other else []
        apart = relative_difference(expected, results)
        if not (agree(expected, results, TOLERANCE) if bits == FULL else apart <= COARSE):
            raise InputError(
                f"The numbers of {backend} in {bits} bits are off by {apart:.2g} of the trace's largest, more "
                "than rounding. Leave backend and bits out."
            )

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
            Texts, or pairs of texts, also a column such as `df["review"]`; an empty list gives an empty list.

        Returns
        -------
        list of dict
            Outputs by name; a dimension that follows the sequence length is cut to the text's own.

        Raises
        ------
        InputError
            A table instead of its column, or a text that is empty, no text, makes no tokens, or is too
            long; its index is named.
        """
        return list(self.stream(texts))

    def stream(self, texts: Iterable[Text]) -> Iterator[Result]:
        """Yield the results one at a time, with at most 2,048 texts in memory at once.

        Raises what a call raises, when it comes to it, and what the iterator of texts raises.
        """
        iterator, first = iter(checked_texts(texts)), 0
        self.work = Work()
        while window := list(islice(iterator, WINDOW)):
            yield from self._window(window, first)
            first += len(window)

    def _window(self, texts: list[Text], first: int) -> list[Result]:
        """Run some texts, planned together; `first` is the index of the first one."""
        for index, text in enumerate(texts, first):
            checked = checked_text(index, text)
            if not all(part.strip() for part in ([checked] if isinstance(checked, str) else checked)):
                raise InputError(f"Text {index} is empty. Leave it out, or give at least one word.")
        longest = self.longest if self.truncate else None
        tokens = self.tokenizer(texts, truncation=self.truncate, max_length=longest, verbose=False)
        lengths = [len(row) for row in tokens["input_ids"]]
        for index, length in enumerate(lengths, first):
            check_token_count(index, length)
            if length > self.longest:
                raise InputError(
                    f"Text {index} makes {length} tokens, and the trace takes {self.longest} at most. "
                    "Shorten it, trace at a longer length, or pass truncate=True."
                )
        if self.dynamic:
            check_max_tokens(lengths, self.max_tokens, first)
            batches = plan_dynamic(lengths, self.max_tokens)
        else:
            batches = plan_static(lengths, self.traces)
        computed = sum(batch.tokens for batch in batches)
        self.work = Work(self.work.real + sum(lengths), self.work.computed + computed)
        results = dict(chain.from_iterable(self._run(batch, tokens, lengths) for batch in batches))
        return [results[index] for index in range(len(texts))]

    def _sample(self) -> list[torch.Tensor]:
        """Run a text in the shortest trace, padding beside it."""
        rows, length = min(self.traces, key=lambda shape: shape[1])
        tokens, lengths = self._sample_tokens(max(1, length * 3 // 4))
        [(_, result)] = self._run(Batch((0,), rows, length), tokens, lengths)
        return list(result.values())

    def _sample_tokens(self, most: int) -> tuple[Any, list[int]]:
        """Return a text that fills so many tokens, and how many it has."""
        tokens = self.tokenizer([" ".join([SAMPLE] * most)], truncation=True, max_length=most, verbose=False)
        return tokens, [len(row) for row in tokens["input_ids"]]

    def _check_padding(self) -> None:
        """Raise an InputError where padding beside a text changes its numbers.

        A dynamic trace runs a text alone, and padded. Static ones run it padded on the right in every length,
        and with another token as padding, which outputs of each token must not show; a tokenizer that pads on
        the left is tried there. 8-bit operators take one scale for the whole batch: their numbers may differ
        on the left by twice as much as on the right.
        """
        import torch

        shapes: list[Shape] = sorted(self.traces, key=lambda shape: shape[1])
        some = self.traces[shapes[0]].contract
        verified = sorted({length for _, length in some.verified})
        real, padded = verified[:2] if self.dynamic else (shapes[0][1] - (shapes[0][1] + 3) // 4, shapes[0][1])
        if not real:
            return  # one token has no room for padding
        tokens, [length] = self._sample_tokens(real)
        tokenwise = [name for name, axes in zip(some.output_names, some.output_axes, strict=True) if "length" in axes]

        def run(shape: Shape, side: str, filler: int | None = None) -> Result:
            [(_, result)] = self._run(Batch((0,), *shape), tokens, [length], side, filler)
            return result

        def part(result: Result, names: Iterable[str] = some.output_names) -> float:
            return relative_difference([reference[name] for name in names], [result[name] for name in names])

        reference = run((1, length) if self.dynamic else shapes[0], "right")
        shapes = [(1, padded)] if self.dynamic else shapes
        refilled = run(shapes[0], "right", tokens["input_ids"][0][length // 2])
        on_right = [*(part(run(shape, "right")) for shape in shapes), part(refilled, tokenwise)]
        floats = [tensor.dtype for tensor in reference.values() if tensor.is_floating_point()]
        allowed = max([TOLERANCE, *(ROUNDINGS * torch.finfo(dtype).eps for dtype in floats)])
        modules: list[Any] = [one.module for one in self.traces.values()]
        batchwise = any(isinstance(each, torch.jit.ScriptModule) and holds(each, "quantized::") for each in modules)
        if batchwise:
            allowed = max([allowed, *(2 * each for each in (*on_right, part(refilled)) if each < 1)])
        on_left = [part(run(shape, "left")) for shape in shapes] if self.tokenizer.padding_side == "left" else []
        largest = max(on_left or (() if batchwise else on_right), default=0.0)
        if not largest <= allowed:
            side = self.tokenizer.padding_side
            apart = "other shapes" if largest == float("inf") else f"by {largest:.1%} of its largest"
            raise InputError(
                f"This model gives a text other numbers where padding stands beside it, on the {side} ({apart}). "
                "Call the trace with one text at a time: "
                'traced(**tokenizer(text, return_tensors="pt")).'
            )

    def _run(
        self, batch: Batch, tokens: Tokens, lengths: Sequence[int], side: str | None = None, filler: int | None = None
    ) -> Iterator[tuple[int, Result]]:
        """Run one batch and yield each text's index and its outputs, cut to its own length.

        Padding stands where the tokenizer puts it, or on a side; it has the pad token, or a filler.
        """
        import torch

        shape = next(iter(self.traces)) if self.dynamic else (batch.rows, batch.length)
        traced = self.traces[shape]
        left = (side or self.tokenizer.padding_side) == "left"
        names, axes = traced.contract.input_names, traced.contract.output_axes
        fillers = {"input_ids": self.tokenizer.pad_token_id if filler is None else filler}
        fillers["token_type_ids"] = self.tokenizer.pad_token_type_id
        inputs = {}
        for name in names:
            rows = _padded(
                [tokens[name][index] for index in batch.indices], batch, int(fillers.get(name, 0)), left=left
            )
            dtype = getattr(torch, traced.contract.dtypes.get(name, "int64"))
            inputs[name] = torch.tensor(rows, dtype=dtype, device=self.device)
        try:
            outputs = traced(**inputs)
        except RuntimeError as error:
            raise InputError(
                f"The trace raises at {len(batch.indices)} × {batch.length} tokens. It equals its model at "
                f"{', '.join(f'{rows} × {length}' for rows, length in traced.contract.verified)}. It said: "
                f"{str(error).strip().splitlines()[-1]}"
            ) from error
        for row, index in enumerate(batch.indices):
            start = batch.length - lengths[index] if left else 0
            cuts: dict[Any, Any] = {"batch": row, "length": slice(start, start + lengths[index])}
            cut = {}
            for (name, tensor), sizes in zip(outputs.items(), axes, strict=True):
                cut[name] = tensor[tuple(cuts.get(size, slice(None)) for size in sizes)]
            yield index, cut


def _padded(rows: list[list[int]], batch: Batch, filler: int, *, left: bool) -> list[list[int]]:
    """Return rows of one length, the last one repeated to fill a batch; `tokenizer.pad` takes twice the time."""
    padding = [[filler] * (batch.length - len(row)) for row in rows]
    padded = [before + row if left else row + before for row, before in zip(rows, padding, strict=True)]
    return padded + padded[-1:] * (batch.rows - len(padded))


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


def _check_trace(traced: Traced, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise an InputError where a trace cannot be run on what a tokenizer makes."""
    contract = checked_traced(traced).contract
    if not contract.known or contract.length is None:
        raise InputError(
            "The Runner needs a trace with a known contract, whose length and batch size decide how texts "
            "are padded. Trace the model with tsnb.trace, and save it with tsnb.save."
        )
    if contract.unverified:
        raise InputError(f"The Runner takes a trace that is verified at its own shape. {contract.unverified}")
    made = getattr(tokenizer, "model_input_names", None)
    if made is None:
        raise InputError(f"The Runner takes the model's tokenizer, second; got {type(tokenizer).__name__}.")
    missing = [name for name in contract.input_names if name not in made]
    if missing:
        raise InputError(
            f"The trace takes {', '.join(missing)}, which this tokenizer does not make (it makes "
            f"{', '.join(made)}). Use the tokenizer with which tsnb.dummy_inputs made the trace's inputs."
        )
    if MASK in made and MASK not in contract.input_names:
        raise InputError(
            "The trace takes no attention_mask, so padding would count as text. Trace the model with all "
            "inputs of tsnb.dummy_inputs, or, where it takes no mask, call the trace with one text at a time."
        )
    if tokenizer.pad_token is None:
        raise InputError("The tokenizer has no pad token. Set one: tokenizer.pad_token = tokenizer.eos_token.")
