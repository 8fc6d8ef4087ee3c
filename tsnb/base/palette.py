"""The colours of figures, findings and feedback; each stands beside a symbol or a word.

They are those of Okabe and Ito (2008), which colour-blind readers can tell apart, and a grey.
"""

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#8c8c8c"
