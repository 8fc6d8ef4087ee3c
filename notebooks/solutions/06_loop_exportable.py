def weighted(hidden):
    places = torch.arange(1, hidden.shape[1] + 1)
    return (hidden / places[None, :, None]).sum(1)


checks.check("loop-exportable", weighted)
