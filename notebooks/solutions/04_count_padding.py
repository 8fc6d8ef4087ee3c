six = [5, 30, 8, 6, 24, 7]  # sorted: 5, 6, 7 and 8, 24, 30
predicted = {
    "longest": 6 * 30,
    "sorted": 3 * 7 + 3 * 30,
    "padding": 1 - sum(six) / (6 * 30),
}
checks.check("count-padding", predicted)
