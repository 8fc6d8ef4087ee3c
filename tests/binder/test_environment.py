"""The ranges of the package, the course's exact versions, both environments and what installs them agree."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tsnb.base.versions import TRIED

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
OWN_IMPORTS = {"tsnb", *sys.stdlib_module_names}
ELSEWHERE = {
    "torch_neuron",
    "torch_neuronx",
    "neuronxcc",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "ctranslate2",
}  # used only where they are


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


EXACT, OTHER_LINE = pins("constraints.txt"), pins("constraints-transformers5.txt")


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *EXTRAS])
def test_the_exact_versions_lie_in_the_ranges_and_are_installed(line: str) -> None:
    needed = Requirement(line)
    name = canonicalize_name(needed.name)
    assert needed.specifier.contains(EXACT[name])
    assert name not in OTHER_LINE or needed.specifier.contains(OTHER_LINE[name])
    assert re.fullmatch(r">=[\d.]+(,<6)?", line.removeprefix(needed.name)), "no upper end but transformers'"
    assert metadata.version(name).partition("+")[0] == EXACT[name]


def test_what_was_tried_begins_with_the_ranges_and_has_both_lines() -> None:
    ranges = {needed.name: needed.specifier for needed in map(Requirement, PROJECT["dependencies"])}
    for name, (first, last) in TRIED.items():
        oldest = min(Version(item.version) for item in ranges[name])
        assert oldest.release[:2] == Version(first).release
        for versions in (EXACT, OTHER_LINE):
            assert name not in versions or Version(first) <= Version(versions[name]) < Version(f"{last}.99")


def test_what_the_package_imports_it_names_itself() -> None:
    """What only comes along with another package may stay away one day."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tsnb").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    imported = {name.partition(".")[0] for name in names} - OWN_IMPORTS - ELSEWHERE
    distributions = metadata.packages_distributions()
    needed = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert {name for name in imported if canonicalize_name(distributions[name][0]) not in needed} == set()


def test_both_environments_are_the_exact_versions_and_nothing_else_is_installed() -> None:
    """A local path among them would switch off the cached layer of the dependencies."""
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert (ROOT / "binder/environment.yml").read_text(encoding="utf-8") == text
    [listed] = [item["pip"] for item in yaml.safe_load(text)["dependencies"] if isinstance(item, dict)]
    names = [Requirement(line).name for line in PROJECT["dependencies"]]
    assert [line for line in listed if not line.startswith("--")] == [f"{name}=={EXACT[name]}" for name in names]
    assert [line for line in text.splitlines() if "==" in line and " # " not in line] == [], "say why"


@pytest.mark.parametrize("target", ["lab", "run", "bench", "wheelhouse", "test"])
def test_every_install_of_make_is_of_the_exact_versions(target: str) -> None:
    make = ["make", "--dry-run", "--always-make", target, "PYTHON=python3"]
    commands = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    installs = [line for line in commands if "-m pip " in line]
    exact = ("--constraint constraints.txt", "constraints-transformers5.txt")
    assert installs
    assert [line for line in installs if not any(option in line for option in exact)] == []


@pytest.mark.parametrize("name", ["README.md", "binder/postBuild"])
def test_every_install_that_is_written_down_is_exact_or_keeps_what_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    installs = re.findall(r"^.*pip (?:install|wheel) .*$", text, flags=re.MULTILINE)
    assert installs
    allowed = ("--constraint constraints.txt", "--no-index", "  # keeps the torch and the transformers")
    assert [line for line in installs if not any(option in line for option in allowed)] == []


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_the_scripts_can_be_executed_and_stop_at_the_first_error(name: str) -> None:
    script = ROOT / "binder" / name
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert name != "start" or lines[-1] == 'exec "$@"', "start hands over to the command it gets"
