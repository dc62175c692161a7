"""How a process of our own is started: with the packages of this one, and with nothing that lies in the current folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_PACKAGES: Final = Path(__file__).parents[2]
_CODE: Final = (  # our packages from where they are here, and nothing else of that folder before what Python finds elsewhere
    "import sys; place = sys.argv.pop(1); sys.path.insert(0, place); import dataflows, drivers; sys.path.remove(place); "
    "sys.path.append(place); import importlib; sys.exit(importlib.import_module(sys.argv.pop(1)).main())"
)


def own_process(module: str, *arguments: str) -> list[str]:
    """The command that runs `main()` of a module of ours; `sys.argv[1:]` are the arguments, its result is the exit code."""
    return [sys.executable, "-P", "-c", _CODE, str(_PACKAGES), module, *arguments]
