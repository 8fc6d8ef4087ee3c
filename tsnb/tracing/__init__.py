"""From a model to a trace with its contract, and what can be trusted of it. Taught in notebook 02.

`inputs` come by name, `trace` prepares, records, compares and writes the `contract`; `exported` does so by
torch.export; `probe` compares trace and model at many shapes, `explain` takes an error apart. Begin with `trace`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["subjects", "traps"])
