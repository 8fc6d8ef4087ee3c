"""The exercises of notebook 02. How to write one: `tsnb.checks`."""

EXERCISES = ()
QUIZ = "abc"
