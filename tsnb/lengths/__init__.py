"""Lengths: how many tokens texts have, what a max length cuts, what padding costs, how batches are planned.

Taught in notebooks 02 (texts and lengths) and 04 (buckets, batches and padding).
Begin with `lengths.py`; `batching.py` plans the batches that `tsnb.Runner` runs.
"""
