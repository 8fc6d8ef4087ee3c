"""Judge every class on both lines of transformers, in processes that may die: `python -m tools.survey`.

A run that was stopped goes on where it was: rows are kept in `output/survey/` until all are there. With a part of a
class's or a family's name only what has it is judged again, and the other rows stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice, starmap
from pathlib import Path

from tqdm import tqdm

from tools.survey.factories import Candidate
from tools.survey.judge import TRACED, UNMADE, VARIANTS, faults
from tsnb.base.files import write_text
from tsnb.base.tables import as_text
from tsnb.tracing.survey import DATA, Row

ROOT = Path(__file__).parents[2]
LINES = (ROOT, ROOT / ".venv/transformers5")  # what stands first on the path of a process
KEPT = ROOT / "output/survey"
A_PROCESS = 25  # classes that one process judges: what torch traces is never freed
COMMAND = [sys.executable, "-m", "tools.survey.judge"]


def environment(overlay: Path) -> dict[str, str]:
    """Return the environment of a process with one line of transformers and one thread."""
    return {**os.environ, "PYTHONPATH": f"{overlay}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def start(overlay: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that judges."""
    return subprocess.Popen(  # noqa: S603
        [*COMMAND, *arguments], env=environment(overlay), stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True
    )


def ask(process: subprocess.Popen[str], name: str) -> str:
    """Give a process the name of a class and return its row, or nothing where the process has died."""
    try:
        print(name, file=process.stdin, flush=True)
        lines = process.stdout or ()
        return next((line for line in lines if line.startswith("[")), "")  # a library may print
    except BrokenPipeError:
        return ""


def judge_all(overlay: Path, processes: int, part: str) -> tuple[str, list[Row]]:
    """Return the version of torch, and a row for each class of a line with a part in its name, or as its family."""
    torch, transformers, *listed = json.loads(start(overlay, "--list").communicate()[0])
    wanted = {each.name: each for each in starmap(Candidate, listed) if part in each.name or part == each.family}
    kept = KEPT / f"{transformers}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    rows = {row.name: row for row in (Row(*json.loads(line)) for line in lines)}
    families = [each.family for each in wanted.values()]
    before = {name: families[:place].count(each.family) for place, (name, each) in enumerate(wanted.items())}
    names = sorted(wanted.keys() - rows.keys(), key=before.__getitem__)
    shared = iter(names)  # by all threads; one class of each family, then another

    def work() -> None:
        while chunk := list(islice(shared, A_PROCESS)):
            process = start(overlay)
            for name in chunk:
                answer = ask(process, name)
                if not answer:  # it died, of this class or of another program's memory: once more
                    process = start(overlay)
                    answer = ask(process, name)
                died = Row(*wanted[name], transformers, UNMADE, reason="the process died twice")
                rows[name] = Row(*json.loads(answer)) if answer else died
                file.write(json.dumps(rows[name], ensure_ascii=False) + "\n")
                file.flush()
                bar.update()
                process = process if answer else start(overlay)
            process.communicate()

    with (
        kept.open("a", encoding="utf-8") as file,
        tqdm(desc=transformers, total=len(wanted), initial=len(wanted) - len(names), unit="class") as bar,
        ThreadPoolExecutor(processes) as pool,
    ):
        for future in [pool.submit(work) for _ in range(processes)]:
            future.result()
    return torch, [rows[name] for name in wanted]


def text(torch: str, rows: list[Row]) -> str:
    """Return the data file: a row a line, in a stable order."""
    about = (
        f"Small models with random weights, torch {torch.partition('+')[0]}, {datetime.now(UTC):%Y-%m-%d}: "
        "they say what graphs do with shapes and values, not how good answers are."
    )
    head = {"about": about, "shapes": list(VARIANTS)}
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in sorted(rows))
    return json.dumps(head)[:-1] + f', "rows": [\n{lines}\n]}}\n'


def summary(rows: list[Row]) -> str:
    """Return the table of outcomes and faults by line, and what they are."""
    counts = Counter((row.line, name) for row in rows for name in (row.outcome, *faults(row)))
    names = dict.fromkeys(name for _, name in counts)
    table = [
        ["line", *names],
        *([line, *(str(counts[line, name]) for name in names)] for line in dict.fromkeys(row.line for row in rows)),
    ]
    listed = [
        f"{row.line} {row.name}: {', '.join(faults(row)) or row.outcome}: {row.plain} {row.said} {row.reason}"
        for row in rows
        if faults(row) or row.outcome != TRACED
    ]
    return "\n".join([*listed, as_text(table)])


def main() -> None:
    """Judge, write the data file, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", default="")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    old = [Row(*row) for row in json.loads(DATA.read_text(encoding="utf-8"))["rows"]] if DATA.exists() else []
    found = [judge_all(overlay, arguments.processes, arguments.part) for overlay in LINES]
    new = [row for _, rows in found for row in rows]
    judged = {(row.name, row.line) for row in new}
    left = [row for row in old if (row.name, row.line) not in judged] if arguments.part else []
    write_text(DATA, text(found[0][0], new + left))
    for kept in KEPT.glob("*.jsonl"):
        kept.unlink()
    print(summary(new))  # noqa: T201


if __name__ == "__main__":
    main()
