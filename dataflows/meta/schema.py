"""What the meta domain promises the others: see `dataflows.boundary`."""

from __future__ import annotations

from dataflows.boundary import Boundary, Rule
from dataflows.fusion.types import K
from dataflows.regime.types import REGIMES


class MetaBoundary(Boundary):
    """The recorded fields of L6. Their ranges stand beside their types."""

    __rules__ = (
        Rule("sum", tuple(f"l6_performance_monitor.evidence.pooled_weight.{k}" for k in range(K)), value=1.0),
        *(
            Rule("sum", tuple(f"l6_performance_monitor.source_weights.weights.{r}.{k}" for k in range(K)), value=1.0)
            for r in range(len(REGIMES))
        ),
    )
