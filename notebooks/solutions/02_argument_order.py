def trace_snippet(model, tokens_tensor, segments_tensors):
    return torch.jit.trace(
        model,
        example_kwarg_inputs={"input_ids": tokens_tensor, "token_type_ids": segments_tensors},
    )


checks.check("argument-order", trace_snippet)
