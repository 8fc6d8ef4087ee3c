"""The command `tsnb`: one function a subcommand, each returning the exit code."""

from __future__ import annotations

import argparse
import io
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tsnb.candidates import CANDIDATES
from tsnb.errors import ArtifactError, TsnbError
from tsnb.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsnb.benchmarking import Benchmark

    Options = argparse.Namespace

FOLDER = "notebooks"
FAILED, MISUSED, INTERRUPTED = 1, 2, 130  # 130 is 128 + SIGINT, as a shell reports it


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code.

    Parameters
    ----------
    argv
        Arguments without the command's own name; those of the process by default.

    Returns
    -------
    int
        0, or 1 where the machine has a problem or a notebook failed, 2 for what cannot be done
        (said in one sentence on stderr), 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ✓ gets ?, not a traceback
    options = _parser().parse_args(argv)
    try:
        return int(options.command(options))
    except TsnbError as error:
        sys.stderr.write(f"{error}\n")
        return MISUSED
    except KeyboardInterrupt:
        sys.stderr.write(say("cli.interrupted") + "\n")
        return INTERRUPTED


def doctor(_: Options) -> int:
    """Print what `tsnb.doctor` finds."""
    from tsnb.checkup import doctor as look

    report = look()
    sys.stdout.write(f"{report}\n")
    return 0 if report.ok else FAILED


def run(options: Options) -> int:
    """Run notebooks and print a table of what they took."""
    from tsnb import execute

    paths = options.notebooks or [find_notebooks(Path.cwd())]
    results = execute.run(paths, options.output, timeout=options.timeout)
    sys.stdout.write(execute.table(results))
    return FAILED if any(result.error for result in results) else 0


def bench(options: Options) -> int:
    """Compare candidates on texts; print a table, write CSV and a figure."""
    from tsnb.benchmarking import benchmark
    from tsnb.models import load
    from tsnb.texts import read_texts
    from tsnb.tiny_bert import corpus

    texts = read_texts(options.file) if options.file else corpus.texts(options.texts)
    if options.output:
        _made(options.output)  # before minutes of measuring, not after
    model, tokenizer = load(options.model, head="encoder")
    report = benchmark(
        model,
        tokenizer,
        texts,
        candidates=options.candidates,
        rounds=options.rounds,
        batch_size=options.batch_size,
        budget=options.budget,
    )
    sys.stdout.write(f"{report}\n")
    if options.output:
        _write_benchmark(report, options.output)
    return 0


def _made(folder: Path) -> None:
    """Make a folder, or say why it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError("cli.not-written", path=folder, why=error.strerror) from error


def _write_benchmark(report: Benchmark, folder: Path) -> None:
    """Write a benchmark as CSV and as a figure."""
    from tsnb.cost_plots import benchmark_bars

    table, figure = folder / "benchmark.csv", folder / "benchmark.svg"
    table.write_text(report.to_csv(), encoding="utf-8")
    benchmark_bars(report).savefig(figure, facecolor="white")
    sys.stdout.write(say("cli.bench-written", paths=f"{table}, {figure}") + "\n")


def find_notebooks(start: Path) -> Path:
    """Return the nearest folder `notebooks` that holds some, from `start` upward.

    Failing that, the one beside the package, where it is a checkout.

    Raises
    ------
    NotebookError
        There is none.
    """
    from tsnb.execute import NotebookError, notebooks_in

    beside = Path(__file__).resolve().parent.parent
    for folder in (start, *start.parents, beside):
        if notebooks_in(folder / FOLDER):
            return folder / FOLDER
    raise NotebookError("cli.no-notebooks", start=start)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsnb", description=say("cli.about"))
    parser.add_argument("--version", action="version", version=f"tsnb {version('tsnb')}")
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("doctor", help=say("cli.doctor"), description=say("cli.doctor"))
    command.set_defaults(command=doctor)

    command = commands.add_parser("run", help=say("cli.run"), description=say("cli.run"))
    command.add_argument("notebooks", nargs="*", type=Path, help=say("cli.notebooks"))
    command.add_argument("--output", type=Path, metavar="DIR", help=say("cli.output"))
    command.add_argument("--timeout", type=int, default=120, metavar="S", help=say("cli.timeout"))
    command.set_defaults(command=run)

    command = commands.add_parser("bench", help=say("cli.bench"), description=say("cli.bench"))
    _bench_options(command)
    command.set_defaults(command=bench)
    return parser


def _bench_options(command: argparse.ArgumentParser) -> None:
    add, known = command.add_argument, say("cli.bench-candidates", known=", ".join(CANDIDATES))
    add("model", nargs="?", default="bert-mini", help=say("cli.bench-model"))
    add("--texts", type=int, default=1000, metavar="N", help=say("cli.bench-texts"))
    add("--file", type=Path, metavar="FILE", help=say("cli.bench-file"))
    add("--rounds", type=int, default=5, metavar="N", help=say("cli.bench-rounds"))
    add("--batch-size", type=int, default=8, metavar="N", help=say("cli.bench-batch"))
    add("--budget", type=int, default=512, metavar="N", help=say("cli.bench-budget"))
    add(
        "--candidates",
        nargs="+",
        default=CANDIDATES,
        metavar="NAME",
        help=say("cli.bench-candidates", known=known),
    )
    add("--output", type=Path, metavar="DIR", help=say("cli.bench-output"))


if __name__ == "__main__":
    sys.exit(main())
