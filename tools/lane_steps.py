"""Take every step of the package once, with the torch and transformers that are here, and print a table."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from textwrap import shorten

STEPS = {  # each goes on from what those before it made
    "doctor": "[line for line in tsnb.doctor(progress=False).checks if line.status == 'problem'] == [] or 1 / 0",
    "load": "model, tokenizer = tsnb.load('tiny-bert'); inputs = tsnb.dummy_inputs(tokenizer, model, max_length=24)",
    "load with the flag, trace": "flagged, _ = tsnb.load('tiny-bert', torchscript=True); tsnb.trace(flagged, inputs)",
    "heads, traced": "[tsnb.trace(tsnb.load('tiny-bert', head)[0], inputs) for head in get_args(Head)]",
    "tying, untie": "tsnb.tying(tsnb.untie(tsnb.load('tiny-bert')[0]))",
    "trace, verified": "traced = tsnb.trace(model, inputs, verify=[(1, 16), (4, 64)])",
    "probe, drawn": "shapes = tsnb.probe(traced, model, lengths=[8, 24, 513]); tsnb.figures.shape_map(shapes)",
    "probe of Funnel": "odd = tsnb.subjects.funnel(); tsnb.probe(odd.traced, odd.model, odd.lengths)",
    "probe of Longformer": "odd = tsnb.subjects.longformer(); tsnb.probe(odd.traced, odd.model, odd.lengths)",
    "lengths, buckets": "texts = tsnb.corpus.texts(64); lengths = tsnb.token_lengths(tokenizer, texts); "
    "print(tsnb.length_report(lengths, 64, buckets=tsnb.plan_buckets(lengths)), tsnb.padding_cost(lengths))",
    "save": "path = tsnb.save(traced, 'model.pt', tokenizer)",
    "load_traced, inspect": "again = tsnb.load_traced(path); tsnb.load_tokenizer(path); tsnb.inspect(path)",
    "C++ loader": "tsnb.cpp.run(tsnb.cpp.build('cpp'), path, inputs)",
    "Runner": "tsnb.Runner(again, tokenizer, truncate=True)(texts)",
    "benchmark": "print(tsnb.benchmark(model, tokenizer, texts, rounds=1))",
    "export": "from tsnb.artifacts.export import export; export('tiny-bert', 'exported.pt', 'token-classification')",
    "widgets": "[view._repr_mimebundle_() for view in (tsnb.widgets.ArtifactViewer(path), "
    "tsnb.widgets.NeuronPlanner(), tsnb.widgets.PaddingCostView.from_texts(texts, tokenizer))]",
    "Neuron: preflight": "eager, _ = tsnb.load('tiny-bert', attn_implementation='eager'); "
    "[tsnb.neuron.preflight(tsnb.trace(eager, inputs), target.name, eager) for target in tsnb.neuron.TARGETS]",
    "Neuron: code": "[tsnb.neuron.code(list(inputs), target.name) for target in tsnb.neuron.TARGETS]",
    "Neuron: fixed shape": "tsnb.Runner(tsnb.neuron.fixed_shape(traced), tokenizer, truncate=True)(texts)",
    "Neuron: generation": "ids = torch.arange(3, 9).reshape(2, 3); "
    "source = {'input_ids': ids, 'attention_mask': ids > 0}; "
    "tsnb.neuron.trace_seq2seq(tsnb.subjects.marian(), source, max_length=12).generate(**source)",
}


def main() -> int:
    """Take the steps and print a table; return 1 where one failed."""
    warnings.simplefilter("ignore")
    names: dict[str, object] = {}
    exec("from typing import get_args; import torch; import tsnb; from tsnb.models.load import Head", names)  # noqa: S102
    lines = ["", f"torch {version('torch')}, transformers {version('transformers')}, Python {sys.version.split()[0]}"]
    lines += ["", "| step | result | seconds |", "|---|---|---|"]
    os.chdir(tempfile.mkdtemp())
    for step, code in STEPS.items():
        start, result = time.perf_counter(), "ok"
        try:
            exec(code, names)  # noqa: S102
        except Exception as error:  # noqa: BLE001, the table tells it, and the next step is taken
            result = shorten(f"FAILED: {type(error).__name__}: {error}", 300)
        lines.append(f"| {step} | {result} | {time.perf_counter() - start:.1f} |")
    sys.stdout.write("\n".join([*lines, "", ""]))
    return int(any("FAILED" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main())
