"""Loading what a Neuron compiler made, against stand-ins in processes of their own."""

import json
from pathlib import Path
from typing import Any

from tests.kinds import Python
from tests.neuron.stand_ins import BEGIN, TRACING, WORKING, environment, install

MAKE = (
    BEGIN
    + """
import torch, tsnb
model, tokenizer = tsnb.load("tiny-bert")
inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
converted = tsnb.neuron.convert(model, inputs, "inf2")
folder = pathlib.Path(sys.argv[1])
tsnb.save(converted, folder / "tsnb.pt")
torch.jit.save(converted.module, folder / "foreign.pt")
torch.save((dict(inputs), converted(**inputs)["logits"]), folder / "numbers.pt")
"""
)
# What is installed where a file is loaded, in an order in which the operator becomes known last.
MACHINES = {
    "nothing": "",
    "exits": "raise SystemExit('libnrt.so')",
    "no-operator": TRACING,
    "working": "",  # of both generations
}
LOADS = [("nothing", "foreign.pt"), *((name, "tsnb.pt") for name in MACHINES), ("working", "foreign.pt")]
LOAD = """
import json, pathlib, sys, torch, tsnb

root, files = map(pathlib.Path, sys.argv[1:3])
inputs, expected = torch.load(files / "numbers.pt")

def load(path):
    try:
        loaded = tsnb.load_traced(path)
    except tsnb.NeuronError as error:
        return {"error": str(error)}
    known = loaded.contract.known
    output = loaded(**inputs)["logits"] if known else loaded.module(*inputs.values())[0]
    return {"known": known, "equal": torch.equal(output, expected)}

results = {}
for machine, file in json.loads(sys.argv[3]):
    for package in ("torch_neuron", "torch_neuronx"):
        sys.modules.pop(package, None)
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(root))]
    sys.path.insert(0, str(root / machine))
    results[f"{machine} {file}"] = load(files / file) | {
        "loaded": [name for name in ("torch_neuron", "torch_neuronx") if name in sys.modules]
    }
print(json.dumps(results))
"""


def test_the_package_that_a_compiled_graph_needs(python: Python, tmp_path: Path) -> None:
    package = "torch_neuronx"
    files, root = tmp_path / "files", tmp_path / "machines"
    files.mkdir()
    install(files, package)
    python(MAKE, files, **environment(files))
    for machine, source in MACHINES.items():
        (root / machine).mkdir(parents=True)
        for each in WORKING if machine == "working" else [package] if source else []:
            install(root / machine, each, source)
    results: dict[str, Any] = json.loads(python(LOAD, root, files, json.dumps(LOADS), **environment(root)))

    assert results["working tsnb.pt"] == {"known": True, "equal": True, "loaded": [package]}
    assert results["working foreign.pt"] == {"known": False, "equal": True, "loaded": list(WORKING)}
    for words in (f"No module named '{package}'", "(inf2)", "Unknown builtin op: neuron::forward_1"):
        assert words in results["nothing tsnb.pt"]["error"]
    for words in ("target not recorded", "torch_neuron: ", "torch_neuronx: "):
        assert words in results["nothing foreign.pt"]["error"]
    for words in ("libnrt.so", "cannot be imported"):
        assert words in results["exits tsnb.pt"]["error"]
    for words in ("torch could not load it", "neuron::forward_1", package):
        assert words in results["no-operator tsnb.pt"]["error"]
