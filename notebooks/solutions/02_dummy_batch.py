texts = [
    "who was jim henson ?",
    "jim henson was a puppeteer .",
    "who ?",
    "where was yara rogers born ? yara rogers was born in chicago .",
]
batch = tokenizer(texts, padding="max_length", max_length=20, return_tensors="pt")
checks.check("dummy-batch", batch)
