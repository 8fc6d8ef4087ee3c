max_length = 100  # cuts 17 of 1,000 texts
edges = tsnb.plan_buckets(lengths.clip(max=max_length), count=4)
checks.check("length-under-cost", edges)
