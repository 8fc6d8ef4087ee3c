"""What `import tsnb` brings, how quickly, and where the rooms of the package are explained."""

import ast
from pathlib import Path

import tsnb
from tests.kinds import Python

PACKAGE = Path(tsnb.__file__).parent
HEAVY = ("torch", "transformers", "matplotlib", "numpy", "huggingface_hub", "IPython")
IMPORT = f"""
import sys, time
start = time.perf_counter()
import tsnb
print(time.perf_counter() - start, *(name for name in {HEAVY} if name in sys.modules))
"""


def test_importing_tsnb_is_quick_and_imports_nothing_heavy(python: Python) -> None:
    """The quickest of three: what else the machine does counts for the others."""
    imports = [python(IMPORT).split() for _ in range(3)]
    assert [heavy for _, *heavy in imports] == [[]] * 3
    assert min(float(seconds) for seconds, *_ in imports) <= 0.3


def test_every_public_name_is_there() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    public = [alias.asname or alias.name for node in imports for alias in node.names]
    assert sorted(vars(tsnb)["__all__"]) == sorted(public)
    assert [name for name in public if getattr(tsnb, name) is None or name not in dir(tsnb)] == []


def test_contributing_draws_every_room() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    drawn = {line.split()[1] for line in text.splitlines() if line.startswith("│ ")}
    assert drawn == rooms
