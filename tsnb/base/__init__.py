"""What every room may use: errors, files written whole, tables as text and HTML, the machine, the colours.

Nothing here knows of models. Begin with `errors`.
"""
