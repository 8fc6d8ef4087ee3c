"""What every room may use: errors, files written whole, tables as text and HTML, the machine, the colours.

Nothing here knows of models. Taught where it is seen: cores and quotas in notebook 04. Begin with `errors`.
"""
