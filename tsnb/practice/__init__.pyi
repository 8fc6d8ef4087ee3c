from . import checks as checks
