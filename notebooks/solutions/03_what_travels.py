predicted = {
    "weights": True,
    "operations": True,
    "input_names": True,  # those of its forward
    "tokenizer": False,  # torch never saw it
    "python_source": False,  # the recording is torch's own text, without ifs
    "machine_paths": True,  # for error messages
}
checks.check("what-travels", predicted)
