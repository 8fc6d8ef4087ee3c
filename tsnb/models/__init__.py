"""Load a model and its tokenizer offline, and see which of its weights are one tensor.

Taught in notebooks 00 and 01. Begin with `load`; `hub` fetches what is not here, `tying` looks at storage.
"""

import warnings

from tsnb.base.versions import untried

for sentence in untried():  # here, because whatever uses torch imports this room
    warnings.warn(sentence, stacklevel=2)
