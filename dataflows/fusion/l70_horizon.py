"""L70: how long to hold: where the edge, less its cost, is best for the risk."""

from __future__ import annotations

from dataflows.execution.types import ExecutionConfig
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.costs import Waiting
from dataflows.fusion.horizons import best_horizon
from dataflows.fusion.types import Cost, Expectancy, Horizon
from dataflows.layer import layer


@layer("L70")
def l70_horizon(
    l67_expectancy: Expectancy, l71_trading_cost: Cost, fusion: FusionConfig, execution: ExecutionConfig
) -> Horizon:
    """Panels (T, N): bars, net_edge_bps of a position on the side of the edge, chosen: which horizon.

    The horizon h with the greatest (|edge| - round trip - funding paid over h) / sqrt(h), risk growing as sqrt(h); ties go
    to the shorter. The round trip is that of an entry that waits at the touch where L69 would. Horizons with fewer than
    `entry_min_observations` behind them stand back while another has an edge: the luck of a long one, slow to learn, must
    not hide what a short one has learned. Funding that would be received is not counted on. Where no horizon has an edge,
    bars is NaN and net_edge_bps is the cost that would be paid for nothing; where none is known, all NaN and chosen -1.
    """
    return Horizon(
        *best_horizon(
            l67_expectancy.edge_bps,
            l67_expectancy.effective_observations,
            l71_trading_cost,
            Waiting(bars=execution.style_wait_bars, ratio=execution.style_limit_ratio),
            fusion.horizons,
            fusion.entry_min_observations,
        )
    )
