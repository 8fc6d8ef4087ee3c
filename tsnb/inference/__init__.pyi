from . import costs as costs
