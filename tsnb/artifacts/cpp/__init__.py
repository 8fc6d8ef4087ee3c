"""A loader in C++: build it against the installed torch, and run a file with it.

The program is `load_traced.cpp`, its build `CMakeLists.txt`. Taught in notebook 03.
"""

from tsnb.artifacts.cpp.building import build as build
from tsnb.artifacts.cpp.building import missing as missing
from tsnb.artifacts.cpp.running import run as run
