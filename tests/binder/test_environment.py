"""The conda environment, Binder's copy of it, and the package agree."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def _packages() -> list[str]:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    [listed] = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    return [line for line in listed if not line.startswith("--")]


def test_binder_uses_the_same_environment() -> None:
    assert (ROOT / "binder/environment.yml").read_bytes() == (ROOT / "environment.yml").read_bytes()


def test_the_pins_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(_packages()) == sorted(project["dependencies"])


def test_every_line_that_names_a_package_says_why() -> None:
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "==" in line and " # " not in line] == []


def test_no_local_path_switches_off_the_cached_layer() -> None:
    assert not [package for package in _packages() if not re.fullmatch(r"[\w-]+==[\w.]+", package)]


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_the_scripts_can_be_executed_and_stop_at_the_first_error(name: str) -> None:
    script = ROOT / "binder" / name
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").splitlines()[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")


def test_start_hands_over_to_the_command_it_is_given() -> None:
    assert (ROOT / "binder/start").read_text(encoding="utf-8").splitlines()[-1] == 'exec "$@"'
