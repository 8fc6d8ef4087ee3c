def fill_batch(traced, pairs):
    batch = tokenizer(pairs, padding=True, return_tensors="pt")  # with the tokenizer's own mask
    logits = traced(**batch)["logits"]
    places = [row.index(tokenizer.mask_token_id) for row in batch["input_ids"].tolist()]
    best = logits[range(len(pairs)), places].softmax(-1).max(-1)
    return [(tokenizer.decode(i), p.item()) for p, i in zip(*best, strict=True)]


checks.check("fill-batch", fill_batch)
