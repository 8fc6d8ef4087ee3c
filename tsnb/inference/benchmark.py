"""Compare ways to run a model on texts, side by side in one run. Taught in notebook 04."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from tsnb.base.errors import InputError, TraceError, TsnbError, suggest
from tsnb.base.machine import return_memory
from tsnb.base.tables import TableReport
from tsnb.inference.backends import BACKENDS, BenchmarkConfig, MissingPeerError, eager_alone
from tsnb.inference.costs import matmul_peak
from tsnb.inference.latency import timed
from tsnb.inference.runner import is_dynamic
from tsnb.lengths.batching import MAX_TOKENS, plan_dynamic
from tsnb.lengths.lengths import Geometry, flops, token_lengths
from tsnb.tracing.compare import TOLERANCE, no_warnings
from tsnb.tracing.contract import versions
from tsnb.tracing.inputs import checked_texts, dummy_inputs, max_positions, positive_int
from tsnb.tracing.outputs import agree, largest_difference
from tsnb.tracing.trace import trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tsnb.inference.backends import Run
    from tsnb.tracing.traced import Traced

BASELINE = "trace-padded"
NUMBERS = ("median s", "spread s", "first s", "× usual", "real / computed", "of the limit", "difference")
BEGINNING, WIDTH = 40, 200  # characters of a text, and of somebody else's error, in a sentence


@dataclass(frozen=True)
class Row:
    """What one backend took for all texts.

    Attributes
    ----------
    name, label
        Its key, and its name for readers.
    seconds
        Of each round, from text to result.
    first
        Seconds of the first pass, which is not counted: memory, compilation.
    computed
        Tokens that were computed, padding included.
    difference
        Largest absolute difference to the model, one text at a time.
    exact
        Whether it must agree; an 8-bit model does not.
    """

    name: str
    label: str
    seconds: tuple[float, ...]
    first: float
    computed: int
    difference: float
    exact: bool = True

    @property
    def median(self) -> float:
        """The middle of the rounds, in seconds."""
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """From the quickest round to the slowest, in seconds."""
        return max(self.seconds) - min(self.seconds)


@dataclass(frozen=True, repr=False)
class Benchmark(TableReport):
    """All backends of one run; prints as a table.

    Attributes
    ----------
    rows
        In the order asked for.
    left_out
        Backends that could not run here, and why.
    texts, real
        How many texts, and their tokens.
    flops, peak
        Floating-point operations of the texts without padding, and the most a second that matrix
        products reached in this run; both NaN where the configuration does not say a size, or the
        model does not run in float32 on the CPU.
    planning
        Seconds that planning the batches takes.
    threads
        Of torch.
    versions
        Of Python and the packages.
    """

    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    texts: int
    real: int
    flops: float
    peak: float
    planning: float
    threads: int
    versions: Mapping[str, str] = field(default_factory=versions)

    def __getitem__(self, name: str) -> Row:
        """Return a backend's row by its key."""
        return next(row for row in self.rows if row.name == name)

    @property
    def limit(self) -> float:
        """Seconds that nothing in 32 bits can beat here: all operations at the peak, or NaN."""
        return self.flops / self.peak

    def ratio(self, name: str, to: str = BASELINE) -> float:
        """Return how many times as fast a backend is as another, by their medians."""
        return self[to].median / self[name].median

    def to_csv(self) -> str:
        """Return one line a backend and round, numbers not rounded; round 0 is the first pass."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("backend", "round", "seconds", "computed", "real", "difference", "exact"))
        for row in self.rows:
            for number, seconds in enumerate((row.first, *row.seconds)):
                writer.writerow((row.name, number, seconds, row.computed, self.real, row.difference, row.exact))
        return text.getvalue()

    def table(self) -> list[list[str]]:
        """Return a line of text for each backend, after the heads of its columns."""
        has_baseline = any(row.name == BASELINE for row in self.rows)
        has_limit = not np.isnan(self.limit)
        lines = [
            [
                row.label,
                f"{row.median:.2f}",
                f"{row.spread:.2f}",
                f"{row.first:.1f}",
                f"{self.ratio(row.name):.2f}" if has_baseline else "-",
                f"{self.real / row.computed:.2f}",
                f"{self.limit / row.median:.0%}" if row.exact and has_limit else "-",
                f"{row.difference:.1e}",
            ]
            for row in self.rows
        ]
        return [["backend", *NUMBERS], *lines]

    def notes(self) -> list[str]:
        """Return what is below the table."""
        limit = "The least time is unknown, but for float32 on a CPU and a configuration that says all sizes."
        if not np.isnan(self.limit):
            limit = (
                f"Nothing in 32 bits can take less than {self.limit:.2f} s: the texts' operations without "
                f"padding, at {self.peak / 1e9:,.0f} GFLOP/s, the quickest matrix product of the run."
            )
        packages = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        note = (
            f"{self.texts:,} texts, {self.real:,} tokens. {limit} Planning the batches takes "
            f"{1000 * self.planning:.1f} ms. Threads: {self.threads}; {packages}."
        )
        notes = [note, *_reasons(self.left_out)]
        if not all(row.exact for row in self.rows):
            notes.insert(1, "8 bits give other numbers: compare the difference before the time.")
        return notes


def benchmark(  # noqa: PLR0913, each is a thing that a reader may want to change
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    *,
    backends: Iterable[str] = tuple(BACKENDS),
    rounds: int = 5,
    batch_size: int = 8,
    max_tokens: int = MAX_TOKENS,
    progress: bool = True,
) -> Benchmark:
    """Run backends on the same texts, in turns, and compare what they take.

    Each backend first goes through all texts once. Its results must equal those of the model, one
    text at a time, before any time counts. Then come the rounds: in each, every backend takes its
    turn, and the one that begins changes from round to round.

    Parameters
    ----------
    model
        In eval mode; its first output has a row for each token.
    tokenizer
        The one that belongs to it.
    texts
        At least one: a list, an iterator, a column such as `df["review"]`.
    backends
        `eager-padded`, `eager-longest`, `pipeline`, `trace-padded`, `runner`, `compiled`,
        `onnx-runtime` and `int8`, or some of them; those that cannot run here, or fail with this
        model, are left out, and the table says why.
    rounds
        How often each is timed.
    batch_size
        Of the backends that do not plan.
    max_tokens
        Tokens in a batch, padding included, of those that do.
    progress
        Whether a bar appears.

    Raises
    ------
    InputError
        No texts, one that is too long for the model, a backend that does not exist, a number
        below 1, or no backend that runs.
    TraceError
        The model itself cannot run the texts, its trace takes no other shape, or a backend's
        results differ by more than 1e-4, or than four roundings of their dtype; no time is
        reported then.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> texts = ["who was jim henson ?", "a poet"]
    >>> report = benchmark(
    ...     model, tokenizer, texts, backends=["trace-padded", "runner"], rounds=2, progress=False
    ... )
    >>> [row.name for row in report.rows], report.real, report["trace-padded"].computed
    (['trace-padded', 'runner'], 11, 14)

    Taught in notebook 04.
    """
    import torch
    from tqdm.auto import tqdm

    names, rounds, texts = _known(backends), positive_int("rounds", rounds), list(checked_texts(texts))
    batch_size, max_tokens = positive_int("batch_size", batch_size), positive_int("max_tokens", max_tokens)
    lengths = token_lengths(tokenizer, texts, progress=False)
    traced = _dynamic_trace(model, tokenizer, texts, lengths)
    config = BenchmarkConfig(model, tokenizer, traced, int(lengths.max()), batch_size, max_tokens)
    runs: dict[str, Run] = {}
    first: list[Row] = []
    left_out: dict[str, str] = {}
    with tqdm(total=1 + len(names) * (1 + rounds), unit="pass", disable=not progress) as bar:
        try:
            expected = eager_alone(config)(texts).tensors
        except Exception as error:
            raise TraceError(
                f"The model itself cannot run these texts ({_first_line(error)}). Try it on one text first: "
                'model(**tokenizer(text, return_tensors="pt")).'
            ) from error
        bar.update()
        for name in names:
            bar.set_postfix_str(name)
            try:
                with no_warnings():
                    runs[name] = BACKENDS[name].make(config)
                    first.append(_first_pass(name, runs[name], config, texts, expected))
            except MissingPeerError as error:
                left_out[name] = str(error)
            except TsnbError:
                raise
            except Exception as error:  # noqa: BLE001, a model may be too much for a peer in any way
                left_out[name] = f"left out, because it failed with this model ({_first_line(error)})"
            return_memory()
            bar.update()
        if not first:
            raise InputError(f"No backend that was named can run. {' '.join(_reasons(left_out))}")
        bar.total = bar.n + len(first) * rounds
        operations, peak = _limit(model, lengths)
        seconds: dict[str, list[float]] = {row.name: [] for row in first}
        for name in take_turns(list(seconds), rounds):
            bar.set_postfix_str(name)
            seconds[name].append(timed(partial(runs[name], texts)))
            bar.update()
    return Benchmark(
        rows=tuple(replace(row, seconds=tuple(seconds[row.name])) for row in first),
        left_out=left_out,
        texts=len(texts),
        real=int(lengths.sum()),
        flops=operations,
        peak=max(peak, _limit(model, lengths)[1]),
        planning=timed(partial(plan_dynamic, lengths.tolist(), max_tokens)),
        threads=torch.get_num_threads(),
    )


def take_turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield every name once a round; the one that begins changes.

    >>> "".join(take_turns("abc", 3))
    'abcbcacab'
    """
    for number in range(rounds):
        begin = number % len(names)
        yield from names[begin:]
        yield from names[:begin]


def _known(backends: Iterable[str]) -> list[str]:
    """Return the names as a list; an InputError names one that is no backend."""
    names = list(backends)
    for name in names:
        if name not in BACKENDS:
            raise InputError(f"There is no backend called {name}. {suggest(str(name), BACKENDS)}")
    return names


def _dynamic_trace(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], lengths: NDArray[np.int64]
) -> Traced:
    """Trace the model with its longest text; the trace takes other shapes, or an error says why not."""
    index, limit = int(lengths.argmax()), max_positions(model)
    if limit is not None and lengths[index] > limit:
        raise InputError(
            f"Text {index} ({str(texts[index])[:BEGINNING]} …) makes {lengths[index]} tokens, and the model "
            f"has positions for {limit}. Shorten it, or take a model for longer texts; nothing is cut."
        )
    traced = trace(model, dummy_inputs(tokenizer, model, texts[index], int(lengths[index])))
    if not is_dynamic(traced.contract):
        raise TraceError(
            "The trace of this model equals it at its traced shape only, as tsnb.probe(traced, model) shows. "
            "Benchmark a model whose trace takes other shapes."
        )
    return traced


def _first_pass(
    name: str, run: Run, config: BenchmarkConfig, texts: Sequence[str], expected: list[torch.Tensor]
) -> Row:
    """Run a backend for the first time, and compare its results before any time counts."""
    start = perf_counter()
    outputs = run(texts)
    seconds = perf_counter() - start
    difference, (_, label, exact) = largest_difference(outputs.tensors, expected), BACKENDS[name]
    if exact and not agree(expected, outputs.tensors, TOLERANCE):
        raise TraceError(
            f"The results of {name} differ from the model's by {difference:.2g}, more than {TOLERANCE}, so "
            "no time is reported."
        )
    label = label.format(length=config.max_length, size=config.batch_size)
    return Row(name, label, (), seconds, outputs.computed, difference, exact)


def _limit(model: PreTrainedModel, lengths: NDArray[np.int64]) -> tuple[float, float]:
    """Return the texts' operations and the quickest matrix product; NaN where a size or that is not known."""
    with suppress(InputError):
        if (model.device.type, str(model.dtype)) == ("cpu", "torch.float32"):
            geometry = Geometry.of(model)
            return float(flops(lengths, geometry).sum()), matmul_peak(geometry)
    return np.nan, np.nan


def _reasons(left_out: Mapping[str, str]) -> list[str]:
    return [f"{name}: {why}" for name, why in left_out.items()]


def _first_line(error: Exception) -> str:
    """Return how an error begins; some exporters go on for pages."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:WIDTH]}" if lines else type(error).__name__
