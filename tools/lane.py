"""Run the package and every notebook in an environment of its own: `make lane TORCH=2.9.1 TRANSFORMERS=4.57.6`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FREE = {"torch", "transformers", "tokenizers", "huggingface-hub"}  # what the pair decides


def main() -> int:
    """Make the environment, beside the others in `.lanes/`, and run it; return 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("torch", help="a version; empty for the course's own")
    parser.add_argument("transformers", help="a version; empty for the course's own")
    parser.add_argument("pip", nargs="*", help="options for pip, such as an index, after --")
    options = parser.parse_args()
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    exact = dict(line.split("==") for line in lines if "==" in line)
    torch, transformers = (vars(options)[name] or exact[name] for name in ("torch", "transformers"))
    lane = ROOT / ".lanes" / f"torch{torch}-transformers{transformers}"
    subprocess.run([sys.executable, "-m", "venv", lane], check=True)
    constraints = lane / "constraints.txt"
    others = "".join(f"{name}=={version}\n" for name, version in exact.items() if name not in FREE)
    constraints.write_text(others, encoding="utf-8")
    pair = [f"torch=={torch}", f"transformers=={transformers}"]
    python = lane / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints, *options.pip]
    subprocess.run([*install, *pair, "--editable", f"{ROOT}[bench]"], check=True)
    steps = subprocess.run([python, "-m", "tools.lane_steps"], cwd=ROOT, check=False)
    command: list[str | Path] = [python, "-m", "tsnb.cli.main", "run", "--timeout", "600", "notebooks"]
    notebooks = subprocess.run(command, cwd=ROOT, check=False)
    return int(bool(steps.returncode or notebooks.returncode))


if __name__ == "__main__":
    sys.exit(main())
