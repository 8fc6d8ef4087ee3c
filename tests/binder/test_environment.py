"""The conda environment, Binder's copy of it, and the package agree."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def test_the_pins_are_those_of_the_package_and_nothing_else_is_installed() -> None:
    """A local path among them would switch off the cached layer of the dependencies."""
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert (ROOT / "binder/environment.yml").read_text(encoding="utf-8") == text
    [listed] = [item["pip"] for item in yaml.safe_load(text)["dependencies"] if isinstance(item, dict)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(line for line in listed if not line.startswith("--")) == sorted(project["dependencies"])
    assert [line for line in text.splitlines() if "==" in line and " # " not in line] == [], "say why"


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_the_scripts_can_be_executed_and_stop_at_the_first_error(name: str) -> None:
    script = ROOT / "binder" / name
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert name != "start" or lines[-1] == 'exec "$@"', "start hands over to the command it gets"
