def race(candidates, texts, clock=perf_counter):
    results = {name: run(texts) for name, run in candidates.items()}  # the first calls
    expected = next(iter(results.values()))
    same = [name for name, held in results.items() if (held - expected).abs().max() <= 1e-4]
    for name in same:
        candidates[name](texts)  # the second, in which TorchScript compiles
    rounds = {name: [] for name in same}
    for _ in range(5):
        for name in same:  # all take turns
            start = clock()
            candidates[name](texts)
            rounds[name].append(clock() - start)
    return {name: min(held) for name, held in rounds.items()}


checks.check("mend-race", race)
