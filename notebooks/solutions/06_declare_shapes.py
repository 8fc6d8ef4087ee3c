def record(model, inputs):
    rows = {name: tensor.repeat(2, 1) for name, tensor in inputs.items()}
    free = {name: {0: Dim.DYNAMIC, 1: Dim.DYNAMIC} for name in rows}
    return torch.export.export(model, (), rows, dynamic_shapes=free)


checks.check("declare-shapes", record)
