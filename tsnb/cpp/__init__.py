"""A loader in C++: build it against the installed torch, and run a file with it.

The program is `load_traced.cpp`, its build `CMakeLists.txt`. Taught in notebook 03.
"""

from tsnb.cpp.building import build as build
from tsnb.cpp.building import missing as missing
from tsnb.cpp.running import run as run
