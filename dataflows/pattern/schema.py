"""What the pattern domain promises the others: see `dataflows.boundary`."""

from __future__ import annotations

from dataflows.boundary import Boundary


class PatternBoundary(Boundary):
    """Every field of the domain brings its range in types.py."""
