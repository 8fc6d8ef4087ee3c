"""Loading what a Neuron compiler made, against stand-ins in processes of their own."""

from pathlib import Path
from tempfile import mkdtemp

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
LOAD = """
import pathlib, sys, torch, tsnb
files = pathlib.Path(sys.argv[1])
inputs, expected = torch.load(files / "numbers.pt")
for name in ("tsnb.pt", "foreign.pt"):
    try:
        loaded = tsnb.load_traced(files / name)
        output = loaded.module(*inputs.values())[0]
        imported = [package for package in ("torch_neuron", "torch_neuronx") if package in sys.modules]
        print(loaded.contract.known, torch.equal(output, expected), *imported)
    except tsnb.NeuronError as error:
        print(*str(error).split())
"""


def test_the_package_that_a_compiled_graph_needs(python: Python, tmp_path: Path) -> None:
    package = "torch_neuronx"
    (tmp_path / "files").mkdir()
    install(tmp_path / "files", package)
    python(MAKE, tmp_path / "files", **environment(tmp_path / "files"))

    def answers(*packages: str, source: str = "") -> list[str]:
        """Return what becomes of both files on a machine with some packages."""
        machine = Path(mkdtemp(dir=tmp_path))
        for name in packages:
            install(machine, name, source)
        return python(LOAD, tmp_path / "files", **environment(machine)).splitlines()

    assert answers(*WORKING) == [f"True True {package}", f"False True {' '.join(WORKING)}"]
    own, foreign = answers()
    assert all(words in own for words in (f"No module named '{package}'", "(inf2)", "builtin op: neuron::forward_1"))
    assert all(words in foreign for words in ("target not recorded", "torch_neuron: ", "torch_neuronx: "))
    own, _ = answers(package, source="raise SystemExit('libnrt.so')")
    assert all(words in own for words in ("libnrt.so", "cannot be imported"))
    own, _ = answers(package, source=TRACING)
    assert all(words in own for words in ("torch could not load it", "neuron::forward_1", package))
