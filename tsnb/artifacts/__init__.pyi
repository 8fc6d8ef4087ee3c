from . import cpp as cpp
