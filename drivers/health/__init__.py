"""Is this installation fit to run? `check_health()` asks everything that a run depends on; from a notebook:

    from drivers.health import Context, check_health
    report = check_health(Context(data=(Path("market"),)))

A subject is a module of this package; a check is one function in it (see `registry`).
"""

from __future__ import annotations

from drivers.health.context import Context
from drivers.health.registry import HealthFinding
from drivers.health.runner import HealthReport, check_health

__all__ = ["Context", "HealthFinding", "HealthReport", "check_health"]
