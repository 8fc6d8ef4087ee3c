import pickle

import pytest

from tsnb.base import errors

BUILTIN: dict[type[errors.TsnbError], type[Exception]] = {
    **dict.fromkeys((errors.ModelError, errors.InputError), ValueError),
    **dict.fromkeys((errors.TraceError, errors.ArtifactError, errors.NeuronError), RuntimeError),
}


@pytest.mark.parametrize(("kind", "builtin"), BUILTIN.items())
def test_each_error_is_also_a_builtin_one_and_comes_whole_out_of_another_process(
    kind: type[errors.TsnbError], builtin: type[Exception]
) -> None:
    assert issubclass(kind, errors.TsnbError)
    assert issubclass(kind, builtin)
    copy = pickle.loads(pickle.dumps(kind("what was passed, and what to do")))
    assert (type(copy), str(copy)) == (kind, "what was passed, and what to do")
