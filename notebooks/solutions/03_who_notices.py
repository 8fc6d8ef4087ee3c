predicted = {
    "half": "torch",  # the table of a zip archive stands at its end
    "byte_more": "digest",  # its numbers are right; its bytes are not those that were saved
    "bit_in_code": "torch",
    "bit_in_weights": "digest",
    "forged": "numbers",  # a digest is not a signature
    "renamed": "nothing",
}
checks.check("who-notices", predicted)
