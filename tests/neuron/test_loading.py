"""Loading what a Neuron compiler made, against stand-ins in processes of their own."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tests.neuron.stand_ins import BEGIN, TRACING, WORKING, environment, install
from tsnb.artifacts.archive import Archive, look
from tsnb.neuron.loading import holds_neuron, neuron_operators
from tsnb.neuron.targets import TARGETS, target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAKE = (
    BEGIN
    + """
import torch, tsnb
model, tokenizer = tsnb.load("tiny-bert")
inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
converted = tsnb.neuron.convert(model, inputs, sys.argv[2])
folder = pathlib.Path(sys.argv[1])
tsnb.save(converted, folder / "tsnb.pt")
torch.jit.save(converted.module, folder / "foreign.pt")
torch.save((dict(inputs), converted(**inputs)["logits"]), folder / "numbers.pt")
"""
)
# What is installed where a file is loaded, in an order in which the operator becomes known last.
MACHINES = {
    "nothing": "",
    "import-error": "raise ImportError('libnrt.so')",
    "exits": "raise SystemExit('libnrt.so')",
    "no-operator": TRACING,
    "working": "",  # of both generations
}
LOADS = [
    ("nothing", "foreign.pt"),
    *((name, "tsnb.pt") for name in MACHINES),
    ("working", "foreign.pt"),
]
LOAD = """
import json, pathlib, sys, torch, tsnb

root, files = map(pathlib.Path, sys.argv[1:3])
inputs, expected = torch.load(files / "numbers.pt")

def load(path):
    try:
        loaded = tsnb.load_traced(path)
    except tsnb.TsnbError as error:
        return {"key": error.key, "error": str(error)}
    known = loaded.contract.known
    found = loaded(**inputs)["logits"] if known else loaded.module(*inputs.values())[0]
    return {"known": known, "equal": torch.equal(found, expected)}

told = {}
for machine, file in json.loads(sys.argv[3]):
    for package in ("torch_neuron", "torch_neuronx"):
        sys.modules.pop(package, None)
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(root))]
    sys.path.insert(0, str(root / machine))
    told[f"{machine} {file}"] = load(files / file) | {
        "loaded": [name for name in ("torch_neuron", "torch_neuronx") if name in sys.modules]
    }
print(json.dumps(told))
"""
BARE = """
import sys, torch
try:
    torch.jit.load(sys.argv[1])
except RuntimeError as error:
    print(str(error))
"""


@pytest.fixture(scope="module")
def made(python: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Convert tiny-bert for each generation; return the folders with the files."""
    folders = {}
    for item in TARGETS:
        folder = folders[item.name] = tmp_path_factory.mktemp(item.name)
        install(folder, item.package)
        python(MAKE, folder, item.name, **environment(folder))
    return folders


@pytest.fixture(scope="module")
def loads(
    python: Callable[..., str], made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Load each generation's files where this and that is installed, in a fresh Python each."""
    told = {}
    for item in TARGETS:
        root = tmp_path_factory.mktemp("machines")
        for machine, source in MACHINES.items():
            (root / machine).mkdir()
            for package in WORKING if machine == "working" else [item.package] if source else []:
                install(root / machine, package, source)
        asked = json.dumps(LOADS)
        told[item.name] = json.loads(python(LOAD, root, made[item.name], asked, **environment(root)))
    return told


@pytest.mark.parametrize("name", ["inf1", "inf2"])
class TestEachGeneration:
    def test_the_package_is_imported_first(self, name: str, loads: dict[str, Any]) -> None:
        told = loads[name]["working tsnb.pt"]
        assert told == {"known": True, "equal": True, "loaded": [target(name).package]}

    def test_without_the_package_it_says_why_it_cannot_load(self, name: str, loads: dict[str, Any]) -> None:
        told = loads[name]["nothing tsnb.pt"]
        assert told["key"] == "neuron.no-package"
        assert f"No module named '{target(name).package}'" in told["error"]
        assert f"({name})" in told["error"]
        assert "Unknown builtin op: neuron::forward_1" in told["error"]

    @pytest.mark.parametrize("machine", ["import-error", "exits"])
    def test_a_package_whose_import_fails(self, name: str, machine: str, loads: dict[str, Any]) -> None:
        told = loads[name][f"{machine} tsnb.pt"]
        assert told["key"] == "neuron.no-package"
        assert "libnrt.so" in told["error"]

    def test_a_package_that_does_not_know_the_operator(self, name: str, loads: dict[str, Any]) -> None:
        told = loads[name]["no-operator tsnb.pt"]
        assert told["key"] == "neuron.no-runtime"
        assert "neuron::forward_1" in told["error"]
        assert target(name).package in told["error"]

    def test_somebody_else_s_file_loads_with_whichever_package_is_there(
        self, name: str, loads: dict[str, Any]
    ) -> None:
        told = loads[name]["working foreign.pt"]
        assert told == {"known": False, "equal": True, "loaded": list(WORKING)}

    def test_somebody_else_s_file_without_any_package(self, name: str, loads: dict[str, Any]) -> None:
        told = loads[name]["nothing foreign.pt"]
        assert told["key"] == "neuron.no-package"
        for part in ("target not recorded", "torch_neuron: ", "torch_neuronx: "):
            assert part in told["error"]

    def test_the_contract_names_the_target(self, name: str, made: dict[str, Path]) -> None:
        with zipfile.ZipFile(made[name] / "tsnb.pt") as archive:
            [member] = [held for held in archive.namelist() if held.endswith("contract.json")]
            assert json.loads(archive.read(member))["target"] == name
        assert holds_neuron(look(made[name] / "tsnb.pt"))
        assert holds_neuron(look(made[name] / "foreign.pt"))


def test_plain_torch_says_what_is_quoted(made: dict[str, Path], python: Callable[..., str]) -> None:
    assert "Unknown builtin op: neuron::forward_1" in python(BARE, made["inf1"] / "tsnb.pt")


def test_any_other_file_is_left_alone(
    traced: Callable[..., tsnb.Traced], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tsnb.save(traced(), tmp_path / "bert.pt")
    monkeypatch.setattr("importlib.import_module", None)
    assert not holds_neuron(look(path))
    with neuron_operators(look(path)):
        torch.jit.load(path)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 half of one"])
def test_a_file_that_is_no_archive_holds_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(tsnb.ArtifactError, match="not a TorchScript file"):
        tsnb.load_traced(tmp_path / "x.pt")


def test_an_error_within_the_block_is_the_block_s_own_where_no_operator_is_neuron_s(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        neuron_operators(Archive(tmp_path / "missing.pt", "", {})),
    ):
        1 / 0  # noqa: B018, raises


def test_a_file_that_names_no_target_is_somebody_else_s(tmp_path: Path) -> None:
    path, code = tmp_path / "x.pt", "return ops.neuron.forward_1([x])"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/code/__torch__.py", code)
    held = Archive(path, "x", {"code/__torch__.py": len(code)})
    with pytest.raises(tsnb.NeuronError, match="target not recorded"), neuron_operators(held):
        pytest.fail("loaded without the package")
