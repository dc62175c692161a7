"""Imports `dataflows` and `drivers` from beside this package, so that a folder `drivers/` of a user is never taken for ours.

Python looks into the folder of a script first. Once a package is imported, its modules are found by its own path.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final

_BESIDE: Final = Path(__file__).resolve().parents[1]
_OURS: Final = ("dataflows", "drivers")


def load() -> None:
    """Imports our packages. Raises ImportError when another package of that name has been imported before."""
    sys.path.insert(0, str(_BESIDE))
    try:
        for name in _OURS:
            path = getattr(importlib.import_module(name), "__file__", None)
            if path is None or Path(path).resolve().parents[1] != _BESIDE:
                raise ImportError(
                    f"a package {name} of your own ({path}) was imported before stratoquant, which has one of that name; "
                    "import stratoquant first, or rename yours"
                )
    finally:
        sys.path.remove(str(_BESIDE))
