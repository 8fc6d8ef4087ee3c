"""AWS Neuron: what is installed, what a compiler would make of a trace, a plan, a conversion, the code.

Taught in notebook 05. What AWS says is data, with its date and sources: `facts.toml`, `inf1_operators.toml`.
Begin with `preflight_checks.preflight`; then `planning.plan` and `conversion.convert`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
