"""The command `tsnb`: look at the machine, run notebooks, export a model, measure, see one's progress.

`tsnb.doctor` is taught in notebook 00. Begin reading in `main`, which has one function a subcommand.
"""
