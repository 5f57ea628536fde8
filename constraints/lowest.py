"""Print pip constraints that hold every direct dependency at the lower bound which pyproject.toml states.

    python constraints/lowest.py > lowest.txt

What the dependencies themselves require is left to pip. torch is left out: the Makefile installs it first.
"""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
required = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
bounds = dict(re.fullmatch(r"([\w-]+)>=([\w.]+),<[\w.]+", line).groups() for line in required)
print(*(f"{name}=={bound}" for name, bound in sorted(bounds.items()) if name != "torch"), sep="\n")
