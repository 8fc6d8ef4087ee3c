"""Train the embedded model and its heads, and measure them."""
