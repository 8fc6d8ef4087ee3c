order = ["train", "untie", "save"]
checks.check("safe-order", order)
