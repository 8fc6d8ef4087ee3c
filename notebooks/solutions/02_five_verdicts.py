predicted = {
    (2, 24): "same",
    (1, 14): "same",
    (1, 128): "same",
    (1, 512): "same",
    (1, 513): "unsupported",  # the model has embeddings for 512 positions
}
checks.check("five-verdicts", predicted)
