"""Inference: texts in, results out, without computing more padding than need be, and what that costs here.

The Runner, engines and fewer bits, freezing, the benchmark with its backends, costs and latencies. Taught in notebook
04; the chooser of notebook 02 measures with `latency`. Begin reading in `runner`, then `engines` and `benchmark`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
