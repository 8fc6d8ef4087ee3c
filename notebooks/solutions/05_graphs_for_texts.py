graphs = [(24, 33), (12, 56), (8, 127)]  # the lengths that plan_buckets found
checks.check("graphs-for-texts", graphs)
