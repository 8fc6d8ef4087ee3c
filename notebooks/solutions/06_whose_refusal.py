predicted = {
    "A": "example",  # one row
    "B": "model",  # math.sqrt of a size
    "C": "declaration",  # recorded as it was asked: for 7 tokens
}
checks.check("whose-refusal", predicted)
