"""AWS Neuron: what this machine has, what a compiler would make of a trace, and the conversion.

Taught in notebook 05. What AWS says is data, with its date and sources: `facts.toml` and
`inf1_operators.toml`. The public names are listed in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
