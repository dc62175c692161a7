"""How a process of our own is started: with the packages of this one, and with nothing that lies in the current folder."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

KEY_PARTS: Final = ("KEY", "SECRET", "PASSWORD")
"""How the environment's names of a venue's keys end."""
_PACKAGES: Final = Path(__file__).parents[2]
_CODE: Final = (  # our packages from where they are here, and nothing else of that folder before what Python finds elsewhere
    "import sys; place = sys.argv.pop(1); sys.path.insert(0, place); import dataflows, drivers; sys.path.remove(place); "
    "sys.path.append(place); import importlib; sys.exit(importlib.import_module(sys.argv.pop(1)).main())"
)


def own_process(module: str, *arguments: str) -> list[str]:
    """The command that runs `main()` of a module of ours; `sys.argv[1:]` are the arguments, its result is the exit code."""
    return [sys.executable, "-P", "-c", _CODE, str(_PACKAGES), module, *arguments]


def without_keys(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process that trades at no account: no venue's keys are in it."""
    a_key = re.compile(f"STRATOQUANT_.+_({'|'.join(KEY_PARTS)})")
    return {name: said for name, said in environment.items() if not a_key.fullmatch(name)}
