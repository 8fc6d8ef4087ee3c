def race(candidates, texts, clock=perf_counter):
    results = {name: run(texts) for name, run in candidates.items()}  # the first calls
    expected = next(iter(results.values()))
    same = [name for name, result in results.items() if (result - expected).abs().max() <= 1e-4]
    for name in same:
        candidates[name](texts)  # the second, in which TorchScript compiles
    rounds = {name: [] for name in same}
    for _ in range(5):
        for name in same:  # all take turns
            start = clock()
            candidates[name](texts)
            rounds[name].append(clock() - start)
    return {name: min(times) for name, times in rounds.items()}


checks.check("mend-race", race)
