"""Compare ways to run a model on texts, side by side in one run. Taught in notebook 04."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tsnb.base.errors import InputError, TraceError, TsnbError, suggest
from tsnb.base.machine import respect_quota
from tsnb.base.tables import as_html, as_text
from tsnb.base.words import say
from tsnb.inference.backends import CANDIDATES, EXACT, MissingPeerError, Setting, eager_alone, label
from tsnb.inference.costs import matmul_peak
from tsnb.inference.latency import timed
from tsnb.inference.runner import is_dynamic
from tsnb.lengths.batching import MAX_TOKENS, plan_dynamic
from tsnb.lengths.lengths import Geometry, flops, token_lengths
from tsnb.tracing.compare import TOLERANCE, no_warnings
from tsnb.tracing.contract import versions
from tsnb.tracing.inputs import dummy_inputs, max_positions, positive_int
from tsnb.tracing.outputs import largest_difference
from tsnb.tracing.trace import trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import torch
    from numpy.typing import NDArray
    from tqdm import tqdm
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tsnb.inference.backends import Run

BASELINE = "trace-padded"
BATCH_SIZE = 8
ROUNDS = 5
COLUMNS = ("candidate", "round", "seconds", "computed", "real", "difference", "exact")
UNKNOWN = float("nan")
BEGINNING, WIDTH = 40, 200  # characters of a text, and of somebody else's error, in a sentence


@dataclass(frozen=True)
class Row:
    """What one candidate took for all texts.

    Attributes
    ----------
    name, label
        Its key, and its name for readers.
    seconds
        Of each round, from text to result.
    first
        Seconds of the first pass, which is not counted: memory, compilation.
    computed
        Places that were computed, padding included.
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
        return float(np.median(self.seconds))

    @property
    def p95(self) -> float:
        """What 95 % of the rounds stay under, in seconds (interpolated)."""
        return float(np.percentile(self.seconds, 95))

    @property
    def spread(self) -> float:
        """Interquartile range of the rounds, in seconds."""
        return float(np.subtract(*np.percentile(self.seconds, [75, 25])))


@dataclass(frozen=True, repr=False)
class Benchmark:
    """All candidates of one run; prints as a table.

    Attributes
    ----------
    rows
        In the order asked for.
    left_out
        Candidates that could not run here, and why.
    texts, real
        How many texts, and their tokens.
    flops, peak
        Floating-point operations of the texts without padding, and the most a second that matrix
        products reached in this run; both NaN where the configuration does not say a size.
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
        """Return a candidate's row by its key."""
        return next(row for row in self.rows if row.name == name)

    @property
    def limit(self) -> float:
        """Seconds that nothing in 32 bits can beat here: all operations at the peak, or NaN."""
        return self.flops / self.peak

    def ratio(self, name: str, to: str = BASELINE) -> float:
        """Return how many times as fast a candidate is as another, by their medians."""
        return self[to].median / self[name].median

    def table(self) -> list[dict[str, str]]:
        """Return a row of text for each candidate, by column."""
        names = {row.name for row in self.rows}
        return [
            {
                "candidate": row.label,
                "median s": f"{row.median:.2f}",
                "p95 s": f"{row.p95:.2f}",
                "spread s": f"{row.spread:.2f}",
                "first s": f"{row.first:.1f}",
                "× usual": f"{self.ratio(row.name):.2f}" if BASELINE in names else "-",
                "real / computed": f"{self.real / row.computed:.2f}",
                "of the limit": self._of_the_limit(row),
                "difference": f"{row.difference:.1e}",
            }
            for row in self.rows
        ]

    def to_csv(self) -> str:
        """Return one line a candidate and round, numbers not rounded; round 0 is the first pass."""
        held = io.StringIO()
        writer = csv.writer(held, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows:
            for number, seconds in enumerate((row.first, *row.seconds)):
                facts = (row.computed, self.real, row.difference, row.exact)
                writer.writerow((row.name, number, seconds, *facts))
        return held.getvalue()

    def __str__(self) -> str:
        return "\n".join([as_text(self._cells()), "", *self._notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self._cells(), self._notes())

    def _limit(self) -> str:
        """Say what nothing in 32 bits can beat, or that it is unknown."""
        if np.isnan(self.limit):
            return (
                "The least time is unknown, because the model's configuration does not say all of its sizes."
            )
        gaps = {"limit": f"{self.limit:.2f}", "peak": f"{self.peak / 1e9:,.0f}"}
        return say("benchmark.least", **gaps)

    def _of_the_limit(self, row: Row) -> str:
        known = row.exact and not np.isnan(self.limit)
        return f"{self.limit / row.median:.0%}" if known else "-"

    def _cells(self) -> list[list[str]]:
        rows = self.table()
        return [list(rows[0]), *(list(row.values()) for row in rows)]

    def _notes(self) -> list[str]:
        """Return what is below the table."""
        gaps = {
            "texts": f"{self.texts:,}",
            "real": f"{self.real:,}",
            "limit": self._limit(),
            "planning": f"{1000 * self.planning:.1f}",
            "threads": self.threads,
            "versions": ", ".join(f"{name} {held}" for name, held in self.versions.items()),
        }
        notes = [say("benchmark.notes", **gaps)]
        if any(not row.exact for row in self.rows):
            notes.append("8 bits give other numbers: compare the difference before the time.")
        return notes + _reasons(self.left_out)


def benchmark(  # noqa: PLR0913, each is a thing that a reader may want to change
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    candidates: Iterable[str] = tuple(CANDIDATES),
    rounds: int = ROUNDS,
    batch_size: int = BATCH_SIZE,
    max_tokens: int = MAX_TOKENS,
    progress: bool = True,
) -> Benchmark:
    """Run candidates on the same texts, in turns, and compare what they take.

    Each candidate first goes through all texts once. Its results must equal those of the model, one
    text at a time, before any time counts. Then come the rounds: in each, every candidate takes its
    turn, and the one that begins changes from round to round.

    Parameters
    ----------
    model
        In eval mode; its first output has a row for each token.
    tokenizer
        The one that belongs to it.
    texts
        At least one.
    candidates
        `eager-padded`, `eager-longest`, `pipeline`, `trace-padded`, `runner`, `compiled`,
        `onnx-runtime` and `int8`, or some of them; those that cannot run here, or fail with this
        model, are left out, and the table says why.
    rounds
        How often each is timed.
    batch_size
        Of the candidates that do not plan.
    max_tokens
        Places in a batch of those that do.
    progress
        Whether a bar appears.

    Raises
    ------
    InputError
        No texts, one that is too long for the model, a candidate that does not exist, a number
        below 1, or no candidate that runs.
    TraceError
        The model itself cannot run the texts, its trace takes no other shape, or a candidate's
        results differ by more than 1e-4; no time is reported then.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> texts = ["who was jim henson ?", "a poet"]
    >>> report = benchmark(
    ...     model, tokenizer, texts, candidates=["trace-padded", "runner"], rounds=2, progress=False
    ... )
    >>> [row.name for row in report.rows], report.real, report["trace-padded"].computed
    (['trace-padded', 'runner'], 11, 14)

    Taught in notebook 04.
    """
    import torch
    from tqdm.auto import tqdm

    names, rounds = _checked(candidates), positive_int("rounds", rounds)
    size, max_tokens = positive_int("batch_size", batch_size), positive_int("max_tokens", max_tokens)
    lengths = token_lengths(tokenizer, texts, progress=False)
    _check_lengths(model, texts, lengths)
    respect_quota()
    geometry = _geometry(model)
    with _baseline():
        text, longest = texts[int(lengths.argmax())], int(lengths.max())
        traced = trace(model, dummy_inputs(tokenizer, model, text, longest))
    if not is_dynamic(traced.contract):
        raise TraceError(
            "The trace of this model equals it at its traced shape only, so that most "
            "candidates cannot run it. Look at tsnb.probe(traced, model), and benchmark a "
            "model whose trace takes other shapes."
        )
    setting = Setting(model, tokenizer, traced, longest, size, max_tokens)
    runs, left_out = _made(names, setting)
    with tqdm(total=1 + len(runs) * (1 + rounds), unit="pass", disable=not progress) as bar:
        with _baseline():
            expected = eager_alone(setting)(texts).tensors
        bar.update()
        first: list[Row] = []
        for name, run in runs.items():
            bar.set_postfix_str(name)
            with _leaving_out(name, left_out):
                first.append(_first_pass(name, run, setting, texts, expected))
            bar.update()
        if not first:
            raise InputError(
                f"None of the candidates that were named can run. {' '.join(_reasons(left_out))}"
            )
        bar.total = bar.n + len(first) * rounds
        peaks = [_peak(geometry)]
        seconds = _rounds({row.name: runs[row.name] for row in first}, texts, rounds, bar)
        peaks.append(_peak(geometry))
    return Benchmark(
        rows=tuple(replace(row, seconds=tuple(seconds[row.name])) for row in first),
        left_out=left_out,
        texts=len(texts),
        real=int(lengths.sum()),
        flops=UNKNOWN if geometry is None else float(flops(lengths, geometry).sum()),
        peak=max(peaks),
        planning=timed(partial(plan_dynamic, lengths.tolist(), max_tokens)),
        threads=torch.get_num_threads(),
    )


def _checked(candidates: Iterable[str]) -> list[str]:
    """Return the candidates' keys, or say which is none."""
    names = list(candidates)
    for name in names:
        if name not in CANDIDATES:
            raise InputError(f"There is no candidate called {name}. {suggest(str(name), CANDIDATES)}")
    if not names:
        raise InputError(f"No candidate was named. Known: {', '.join(CANDIDATES)}.")
    return names


def _check_lengths(model: PreTrainedModel, texts: Sequence[str], lengths: NDArray[np.int64]) -> None:
    """Name the longest text where the model has no positions for it."""
    limit, index = max_positions(model), int(lengths.argmax())
    if limit is not None and lengths[index] > limit:
        gaps = {"index": index, "begins": str(texts[index])[:BEGINNING], "tokens": lengths[index]}
        raise InputError("benchmark.too-long", limit=limit, **gaps)


def _geometry(model: PreTrainedModel) -> Geometry | None:
    """Return the encoder's sizes, where the configuration says them."""
    try:
        return Geometry.of(model)
    except InputError:
        return None


def _peak(geometry: Geometry | None) -> float:
    return UNKNOWN if geometry is None else matmul_peak(geometry)


def _reasons(left_out: Mapping[str, str]) -> list[str]:
    return [f"{name}: {why}" for name, why in left_out.items()]


@contextmanager
def _baseline() -> Iterator[None]:
    """Say in one sentence that the model itself, to which all is compared, cannot run the texts."""
    try:
        yield
    except TsnbError:
        raise
    except Exception as error:
        raise TraceError(
            "The model itself, to which every candidate is compared, cannot run these texts "
            f"({_first_line(error)}). Try it on one text first: model(**tokenizer(text, "
            'return_tensors="pt")).'
        ) from error


@contextmanager
def _leaving_out(name: str, left_out: dict[str, str]) -> Iterator[None]:
    """Note why a candidate fails, so that the others go on; what was asked wrongly is raised."""
    try:
        with no_warnings():
            yield
    except MissingPeerError as error:
        left_out[name] = str(error)
    except TsnbError:
        raise
    except Exception as error:  # noqa: BLE001, a model may be too much for a peer in any way
        left_out[name] = f"left out, because it failed with this model ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    """Return how an error begins; some exporters go on for pages."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:WIDTH]}" if lines else type(error).__name__


def _made(names: Sequence[str], setting: Setting) -> tuple[dict[str, Run], dict[str, str]]:
    """Return what runs each candidate, and why some cannot run here."""
    runs: dict[str, Run] = {}
    left_out: dict[str, str] = {}
    for name in names:
        with _leaving_out(name, left_out):
            runs[name] = CANDIDATES[name](setting)
    return runs, left_out


def _first_pass(
    name: str, run: Run, setting: Setting, texts: Sequence[str], expected: list[torch.Tensor]
) -> Row:
    """Run a candidate for the first time, and compare its results before any time counts."""
    start = perf_counter()
    answers = run(texts)
    first = perf_counter() - start
    difference, exact = largest_difference(answers.tensors, expected), name in EXACT
    if exact and not difference <= TOLERANCE:
        gaps = {"name": name, "difference": f"{difference:.2g}", "tolerance": TOLERANCE}
        raise TraceError("benchmark.differs", **gaps)
    return Row(name, label(name, setting), (), first, answers.computed, difference, exact)


def _rounds(
    runs: Mapping[str, Run], texts: Sequence[str], rounds: int, bar: tqdm[Any]
) -> dict[str, list[float]]:
    """Time every candidate once a round; the one that begins changes."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(rounds):
        begins = number % len(names)
        for name in names[begins:] + names[:begins]:
            bar.set_postfix_str(name)
            seconds[name].append(timed(partial(runs[name], texts)))
            bar.update()
    return seconds
