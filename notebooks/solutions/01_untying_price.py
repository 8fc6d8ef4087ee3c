price = {"float32": 250_002 * 768 * 4, "float16": 250_002 * 768 * 2}
checks.check("untying-price", price)
