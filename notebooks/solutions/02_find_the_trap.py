name, shape = "Scaled", (1, 9)  # math.sqrt returns a Python number, and the trace keeps it
checks.check("find-the-trap", (name, shape))
