predicted = {
    "half": "torch",  # the table of a zip archive stands at its end
    "byte_more": "digest",  # its numbers are right; its bytes are not those that were saved
    "hole_in_code": "torch",  # it cannot read on
    "hole_in_weights": "digest",  # torch takes the bytes as they are
    "forged": "numbers",  # a digest is not a signature
    "renamed": "nothing",
}
checks.check("who-notices", predicted)
