def plan(lengths, max_tokens):
    batches = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # sorted, so that the text in hand is the longest of its batch
        if batches and (len(batches[-1]) + 1) * lengths[index] <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


checks.check("plan-batches", plan)
