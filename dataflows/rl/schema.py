"""What the rl domain promises the others: see `dataflows.boundary`."""

from __future__ import annotations

from dataflows.boundary import Boundary


class RlBoundary(Boundary):
    """The recorded fields of L82. Their ranges stand beside their types."""
