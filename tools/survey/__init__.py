"""The survey: classes of transformers with small random weights, traced and judged; `make survey`."""
