predicted = {
    "deepcopy": True,  # one object with two names is copied once
    "half": True,  # each parameter is converted in its place
    "state_dict": False,  # equal numbers, copied into two tensors
    "new": True,  # the configuration says that it is tied
}
checks.check("tied-or-not", predicted)
