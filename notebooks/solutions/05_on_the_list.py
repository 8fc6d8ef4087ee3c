predicted = {
    "linear": True,
    "layer_norm": True,
    "gelu": True,
    "embedding": False,  # AWS took it off: it runs on the CPU
    "scaled_dot_product_attention": False,  # younger than torch 1.13
}
checks.check("on-the-list", predicted)
