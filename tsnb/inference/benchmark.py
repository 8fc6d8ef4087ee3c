"""Compare ways to run a model on texts, side by side in one run. Taught in notebook 04."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from tsnb.base.errors import InputError, TraceError, TsnbError, suggest
from tsnb.base.machine import MIB, processor_name, return_memory
from tsnb.base.tables import TableReport
from tsnb.inference.answers import Answers, answers
from tsnb.inference.backends import BACKENDS, BenchmarkConfig, eager_alone
from tsnb.inference.costs import matmul_peak
from tsnb.inference.engines import instructions
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
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tsnb.inference.backends import Run
    from tsnb.tracing.traced import Traced

BASELINE = "trace-padded"
NUMBERS = ("median s", "spread s", "build s", "× usual", "real / computed", "of the limit", "difference", "answers")
MIN_TEXTS = 8
REST = 0.1  # seconds before a turn: threads of the one before wait for work, and take the cores meanwhile
FEW, BRIEF = 20, 0.05  # texts, and seconds of a pass, below which a time says little
ROW = ("label", "computed", "difference", "exact", "build", "answers")  # columns, as is each of RUN
RUN = ("texts", "real", "flops", "peak", "planning", "threads", "processor", "instructions", "stopped", "versions")
STRINGS = {"backend", "label", "processor"}  # the other columns are JSON
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
        Whether it must agree; with fewer bits it does not.
    build
        Seconds that making it took: compiling, converting.
    answers
        What its engine and bits do to the answers of a small trained model, where that was asked for.
    """

    name: str
    label: str
    seconds: tuple[float, ...]
    first: float
    computed: int
    difference: float
    exact: bool = True
    build: float = 0.0
    answers: Answers | None = None

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
    processor, instructions
        Its name, and which of those for fewer bits it has.
    stopped
        Whether somebody stopped it before the last round.
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
    processor: str = ""
    instructions: Mapping[str, bool] = field(default_factory=instructions)
    stopped: bool = False
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
        """Return one line a backend and round, numbers not rounded; round 0 is the first pass.

        What holds for the whole run stands in each line, so that `read_benchmark` gives the report again.
        """
        run = {name: getattr(self, name) for name in RUN}
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            line = {"backend": row.name, "round": 0, "seconds": row.first}
            line |= {name: getattr(row, name) for name in ROW} | run
            lines += [line, *(line | {"round": 1 + n, "seconds": taken} for n, taken in enumerate(row.seconds))]
        text = io.StringIO()
        writer = csv.DictWriter(text, lines[0], lineterminator="\n")
        writer.writeheader()
        for line in lines:
            writer.writerow({name: value if name in STRINGS else json.dumps(value) for name, value in line.items()})
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
                f"{row.build:.1f}",
                f"{self.ratio(row.name):.2f}" if has_baseline else "-",
                f"{self.real / row.computed:.2f}",
                f"{self.limit / row.median:.0%}" if row.exact and has_limit else "-",
                f"{row.difference:.1e}",
                f"{row.answers.changed} of {row.answers.questions:,} change" if row.answers else "-",
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
        if self.texts < FEW or min(row.median for row in self.rows) < BRIEF:
            notes.append("Too few texts to measure: a pass is so short that chance decides. Give more.")
        if not all(row.exact for row in self.rows):
            notes.append("Fewer bits give other numbers: compare difference and answers before the time.")
            uses = {"16": ("AVX512-BF16", "AMX"), "8": ("VNNI",)}
            lacks = [
                f"{' and '.join(names)}, for {bits} bits"
                for bits, names in uses.items()
                if not any(self.instructions[name] for name in names)
            ]
            if lacks:
                notes.append(f"This processor lacks {'; '.join(lacks)}: do not blame the bits for a slow result.")
            notes += [f"{row.label}: {row.answers}." for row in self.rows if row.answers]
        if self.stopped:
            notes.append("Stopped before the last round; what was measured until then is above.")
        return [*notes, self.conclusion()] if len(self.rows) > 1 else notes

    def conclusion(self) -> str:
        """Say which backend won here, by how much, and what it costs to ship."""
        first, second = sorted(self.rows, key=lambda row: row.median)[:2]
        gap, spread = second.median - first.median, max(first.spread, second.spread)
        surely = "more than" if gap > spread else "which is within"
        exact = min((row for row in self.rows if row.exact), key=lambda row: row.median, default=first)
        sentence = (
            f"Quickest here: “{first.label}”, {second.median / first.median:.2f} × as fast as the next, "
            f"“{second.label}” ({gap:.2f} s, {surely} the spread of {spread:.2f} s)."
        )
        if exact is not first:
            sentence += (
                f" With the model's own numbers: “{exact.label}”, {exact.median / first.median:.2f} × its time."
            )
        backend = BACKENDS.get(first.name)
        if backend:
            needs = [f"{name}{_size(name)}" for name in backend.packages] or ["no package but torch"]
            sentence += f" To ship it: {backend.ships}, {', '.join(needs)}; it was built in {first.build:.0f} s."
        return sentence


def read_benchmark(file: str | Path | None = None) -> Benchmark:
    """Read what `make bench` wrote; by default the run that came with the course.

    Parameters
    ----------
    file
        A `benchmark.csv`.

    Raises
    ------
    InputError
        A file that is missing, or that no benchmark wrote.

    Examples
    --------
    >>> read_benchmark()["runner"].exact
    True

    Taught in notebook 04.
    """
    path = files("tsnb.inference") / "measured.csv" if file is None else Path(file)
    rows: dict[str, Row] = {}
    try:
        lines: list[dict[str, Any]] = [
            {name: value if name in STRINGS else json.loads(value) for name, value in line.items()}
            for line in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        ]
        for line in lines:
            name, seconds, each = line["backend"], line["seconds"], {name: line[name] for name in ROW}
            if each["answers"]:
                each["answers"] = Answers(*each["answers"])
            row = rows.setdefault(name, Row(name, seconds=(), first=seconds, **each))
            rows[name] = replace(row, seconds=(*row.seconds, seconds) if line["round"] else ())
        return Benchmark(tuple(rows.values()), {}, **{name: lines[0][name] for name in RUN})
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no benchmark.csv that tsnb bench wrote ({_first_line(error)}).") from error


def benchmark(  # noqa: C901, PLR0913, PLR0915, each is a thing that a reader may want to change
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    *,
    backends: Iterable[str] = tuple(BACKENDS),
    rounds: int = 5,
    batch_size: int = 8,
    max_tokens: int = MAX_TOKENS,
    minutes: float | None = None,
    questions: bool = False,
    progress: bool = True,
) -> Benchmark:
    """Run backends on the same texts, in turns, and compare what they take.

    Each backend first goes through all texts once. Its results must equal those of the model, one text at a time, to
    1e-4 or four roundings of their dtype, or it is left out. Then come the rounds: in each, every backend takes its
    turn, after a rest, and the one that begins changes from round to round. Stopped between them, it reports what it
    has.

    Parameters
    ----------
    model
        In eval mode; its first output has a row for each token.
    tokenizer
        The one that belongs to it.
    texts
        At least one: a list, an iterator, a column such as `df["review"]`.
    backends
        Names of `tsnb bench --help`; one that cannot run here, fails with this model or gives other numbers is
        left out, and the table says why.
    rounds
        How often each is timed.
    batch_size
        Of the backends that do not plan.
    max_tokens
        Tokens in a batch, padding included, of those that do.
    minutes
        About how long it may take: as many of the texts as fit are taken, of all lengths, and the table says how many.
    questions
        Whether each way to have fewer bits is also asked 1,000 questions, by a small trained model.
    progress
        Whether a bar appears; it counts seconds.

    Raises
    ------
    InputError
        No texts, one that is too long for the model, a backend that does not exist, a number
        below 1, or no backend that runs.
    TraceError
        The model itself cannot run the texts, or its trace takes no other shape.

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
    if minutes is not None and not minutes > 0:
        raise InputError(f"minutes must be a number above 0; got {minutes}.")
    lengths = token_lengths(tokenizer, texts, progress=False)
    traced = _dynamic_trace(model, tokenizer, texts, lengths)
    config = BenchmarkConfig(model, tokenizer, traced, int(lengths.max()), batch_size, max_tokens)
    worst = config.max_length / float(lengths.mean())
    shares = {name: worst if "padded" in name else 1.0 for name in names}  # of the time of one text at a time
    if minutes is not None:
        chosen = _fitting(config, texts, 60 * minutes, names, 1 + sum(shares.values()) * (1 + rounds))
        texts, lengths = [texts[index] for index in chosen], lengths[chosen]
    runs: dict[str, Run] = {}
    first: list[Row] = []
    left_out: dict[str, str] = {}
    seconds: dict[str, list[float]] = {}
    start, stopped = perf_counter(), False
    layout = "{desc}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=1.0, bar_format=layout, disable=not progress) as bar:

        def tell(name: str, left: float) -> None:
            """Show how many seconds are left, as far as they are known."""
            bar.n = perf_counter() - start
            bar.total = bar.n + left
            bar.set_postfix_str(name)

        try:
            expected = eager_alone(config)(texts).tensors
        except Exception as error:
            raise TraceError(
                f"The model itself cannot run these texts ({_first_line(error)}). Try it on one text first: "
                'model(**tokenizer(text, return_tensors="pt")).'
            ) from error
        alone = perf_counter() - start
        for number, name in enumerate(names):
            guess = sum(BACKENDS[later].build + alone * shares[later] * (1 + rounds) for later in names[number:])
            tell(name, guess + rounds * sum(row.first for row in first))
            try:
                with no_warnings():
                    runs[name], row = _made(name, config, texts, expected, questions=questions)
                first.append(row)
            except TsnbError as error:
                left_out[name] = str(error)
            except Exception as error:  # noqa: BLE001, a model may be too much for a backend in any way
                left_out[name] = f"left out, because it failed with this model ({_first_line(error)})"
            return_memory()
        if not first:
            raise InputError(f"No backend that was named can run. {' '.join(_reasons(left_out))}")
        operations, peak = _limit(model, lengths)
        seconds = {row.name: [] for row in first}
        turns = [*take_turns(list(seconds), rounds)]
        taken = {row.name: row.first for row in first}
        try:
            for number, name in enumerate(turns):
                tell(name, sum(taken[later] + REST for later in turns[number:]))
                sleep(REST)
                seconds[name].append(timed(partial(runs[name], texts)))
                taken[name] = median(seconds[name])
        except KeyboardInterrupt:
            if not any(seconds.values()):
                raise
            stopped = True
        tell("", 0.0)
    report = Benchmark(
        rows=tuple(replace(row, seconds=tuple(seconds[row.name])) for row in first if seconds[row.name]),
        left_out=left_out,
        texts=len(texts),
        real=int(lengths.sum()),
        flops=operations,
        peak=peak if stopped else max(peak, _limit(model, lengths)[1]),
        planning=timed(partial(plan_dynamic, lengths.tolist(), max_tokens)),
        threads=torch.get_num_threads(),
        processor=processor_name(),
        stopped=stopped,
    )
    del runs, config, traced, expected
    return_memory()
    return report


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


def _fitting(
    config: BenchmarkConfig, texts: Sequence[str], seconds: float, names: Sequence[str], passes: float
) -> NDArray[np.int64]:
    """Return indices of as many texts, from first to last, as fit into the time; a few of them tell."""
    run, some = eager_alone(config), [texts[index] for index in _spread(len(texts), MIN_TEXTS)]
    each = min(timed(partial(run, some)) for _ in range(3)) / len(some)
    room = seconds - sum(BACKENDS[name].build for name in names)
    return _spread(len(texts), max(MIN_TEXTS, int(room / each / passes)))


def _spread(count: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def _size(name: str) -> str:
    """Return how much an installed package takes, in words."""
    try:
        packed = distribution(name).files or []
    except PackageNotFoundError:
        return ""
    return f" ({sum(file.size or 0 for file in packed) / MIB:,.0f} MiB)"


def _made(
    name: str, config: BenchmarkConfig, texts: Sequence[str], expected: list[torch.Tensor], *, questions: bool
) -> tuple[Run, Row]:
    """Make a backend and run it for the first time; its results are compared before any time counts."""
    backend, start = BACKENDS[name], perf_counter()
    run = backend.make(config)
    made = perf_counter()
    outputs = run(texts)
    row = Row(
        name,
        backend.label.format(length=config.max_length, size=config.batch_size),
        seconds=(),
        first=perf_counter() - made,
        computed=outputs.computed,
        difference=largest_difference(outputs.tensors, expected),
        exact=backend.exact,
        build=made - start,
    )
    if row.exact and not agree(expected, outputs.tensors, TOLERANCE):
        raise TraceError(
            f"its results differ from the model's by {row.difference:.2g}, so its time counts for nothing"
        )
    if questions and backend.engine and not row.exact:
        row = replace(row, answers=answers(backend.engine, backend.bits))
    return run, row


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
