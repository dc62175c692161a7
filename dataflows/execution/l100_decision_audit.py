"""L100: what trading cost against the decision, and what was refused."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.data.types import Market
from dataflows.execution.types import Audit, Orders
from dataflows.fusion.types import LONG, SHORT, Proposal
from dataflows.kernels.compile import kernel
from dataflows.layer import layer
from dataflows.panel import Ints
from dataflows.regime.types import Regime
from dataflows.risk.types import Approval


class AuditCarry(NamedTuple):
    """The last regime that was known."""

    label: Annotated[Ints, Axes("N", start=-1)]


@kernel
def label_changes(label: Ints, state: Ints) -> Ints:
    """1 where a known label (T, N) differs from the last known one before it. state: (N,), -1 none yet; updated in place."""
    changed = np.zeros(label.shape, np.int64)
    for t in range(label.shape[0]):
        for n in range(label.shape[1]):
            if label[t, n] >= 0:
                if state[n] >= 0 and label[t, n] != state[n]:
                    changed[t, n] = 1
                state[n] = label[t, n]
    return changed


@layer("L100", schedule="post")
def l100_decision_audit(
    l0_market_feed: Market,
    l1_regime: Regime,
    l3_action_proposal: Proposal,
    l4_risk_gate: Approval,
    l96_order_lifecycle: Orders,
    carry: AuditCarry,
) -> Audit:
    """Implementation shortfall of the fills of each bar and its parts, and the events worth a record.

    Returns panels (T, N). shortfall_bps = delay_bps (decision price to the open, limit or trigger) + slippage_bps (from there
    to the fill) + fee_bps, each of the notional filled in the bar; positive costs money; NaN in a bar without a fill. The
    decision price of a stop or target is its own price. refused: the part of the proposed weight, a fraction of equity, that
    L4 did not approve, >= 0 (0 where nothing is proposed). regime_changed and anomaly are flags.
    Source: Perold (1988).
    """
    notional = l96_order_lifecycle.filled_notional
    base = np.where(notional > 0.0, notional, np.nan)
    delay = l96_order_lifecycle.delay_cost / base * 1e4
    slippage = l96_order_lifecycle.slippage_cost / base * 1e4
    fee = l96_order_lifecycle.fee_cost / base * 1e4
    side = l3_action_proposal.side
    asked = np.where((side == LONG) | (side == SHORT), l3_action_proposal.size_fraction, 0.0)
    given = l4_risk_gate.target_weight * side
    refused = asked - np.where(given > 0.0, given, 0.0)
    quality = l0_market_feed.quality
    gap = (quality.missing != 0) & (quality.listed != 0)
    odd = (quality.outlier != 0) | (quality.crossed != 0) | gap | (quality.duplicates > 0) | (quality.late > 0)
    return Audit(
        shortfall_bps=delay + slippage + fee,
        delay_bps=delay,
        slippage_bps=slippage,
        fee_bps=fee,
        filled_notional=notional,
        refused=np.where(refused > 0.0, refused, 0.0),
        regime_changed=label_changes(l1_regime.label, carry.label),
        anomaly=odd.astype(np.int64),
    )
