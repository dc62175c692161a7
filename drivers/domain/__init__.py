"""One domain of the graph, run alone.

from drivers.domain import run_domain

result = run_domain("kinematics", "runs/2026-03-01T120000Z", overrides=["kinematics.slope_short_bars=45"])
result.summary()
"""

from __future__ import annotations

from drivers.domain.errors import DomainError
from drivers.domain.run import DomainResult, run_domain

__all__ = ["DomainError", "DomainResult", "run_domain"]
