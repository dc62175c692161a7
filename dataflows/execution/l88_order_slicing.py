"""L88: how much of the way to the approved position to go now."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.carry import Count, Unknown
from dataflows.data.types import Clock, Instruments, Market
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_table import LARGEST, same_side
from dataflows.execution.rounding import ceil_to
from dataflows.execution.types import MARKET, Ledger, Slice, Style
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.types import Tradeability
from dataflows.risk.types import APPROVED, EXIT, REDUCED, Approval
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full


class SlicingCarry(NamedTuple):
    """The entry being spread over bars, and how much usually trades."""

    left: Count  # bars left of it; 0 none
    standing: Count  # closes in a row at which an increase was approved; below 0: of a short one
    volume: Unknown  # average of a bar, base units


@kernel
def trade_fraction(bars: int, kappa: float) -> float:
    """Part of the remaining quantity that the optimal trajectory sells in the first of `bars` bars; in (0, 1].

    Almgren and Chriss (2000): remaining(t) ~ sinh(kappa * (T - t)), so 1 - sinh(kappa * (bars - 1)) / sinh(kappa * bars).
    kappa: risk aversion per bar; 0: 1 / bars. A trajectory decided anew on what remains goes on as it was.
    """
    if bars <= 1:
        return 1.0
    if not (kappa > 1e-6):
        return 1.0 / bars
    now, then = math.exp(kappa * bars), math.exp(kappa * (bars - 1))
    return 1.0 - (then - 1.0 / then) / (now - 1.0 / now)


@kernel
def slicing_pays(part: float, bars: int, kappa: float, sigma: float, lost_per_bar: float) -> bool:
    """Whether an order spread over `bars` bars saves more impact than it loses of the edge while it waits.

    part: the order over the volume of a bar. Impact is the square-root law, sigma * sqrt(size / volume) for each slice (Torre
    1997), so that slices f_j of the order save sigma * sqrt(part) * (1 - sum f_j^1.5); they wait sum j * f_j bars, and each bar
    costs `lost_per_bar`, a fraction of the price like sigma. Unknown numbers do not pay."""
    left, spread, waited = 1.0, 0.0, 0.0
    for j in range(bars):
        slice_ = left * trade_fraction(bars - j, kappa)
        spread += slice_ * math.sqrt(slice_)
        waited += j * slice_
        left -= slice_
    return sigma * math.sqrt(part) * (1.0 - spread) > waited * lost_per_bar


@kernel
def least_order(unit: float, lot: float, least: float) -> float:
    """The smallest quantity that the venue takes as an order of its own; 0: any. unit: notional of one."""
    needed = ceil_to(least / unit, lot) if least > 0.0 and unit > 0.0 else 0.0
    return needed if needed > lot else lot


@layer("L88", schedule="step")
def l88_order_slicing(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l4_risk_gate: Approval,
    l63_tradeability: Tradeability,
    l69_order_style: Style,
    l97_ledger: Ledger,
    instruments: Instruments,
    clock: Clock,
    execution: ExecutionConfig,
    carry: SlicingCarry,
) -> Slice:
    """The signed quantity to trade now, and all that is left (target_weight * equity / unit_value, less the position).

    A target of 0, an EXIT and a change of side close the whole position at once, whatever is known. A reduction goes at once:
    where a cap is broken (verdict not APPROVED, or reduce-only) always, and by `headroom` further, so that it does not come
    every bar; else only when it is at least `band` of the position. An increase needs a known close, mark and equity, volume
    and safe notional; it starts at the `entry_closes`-th close in a row that approves it, when it is at least `band` of the
    target, and aims `headroom` below the target. At the market it is spread over `slice_bars` bars by Almgren and Chriss (2000)
    where that saves more impact than it loses of the edge meanwhile, |edge| * freshness / horizon a bar; else it goes at once.
    An order is at most `participation` of the average volume and the safe notional of L63. But for those two no slice is below
    `least_entry` of equity: a smaller rest goes with the slice before it, and one that becomes smaller as the target moves is
    left. Passive orders pay no impact and are not spread. A slice is at least a lot and the least notional, too, so that the
    venue takes it; where all that is wanted, or what volume and safe notional allow, is less, it goes on as it is, and L89 says
    that it is dropped. Returns base units; 0, never NaN, where nothing is to be done (`remaining`: NaN where the target is
    unknown)."""
    symbols = l97_ledger.position.shape[0]
    quantity, remaining = full(symbols, 0.0), full(symbols, 0.0)
    reduce_only = full(symbols, 0)
    is_bar = clock.is_bar != 0
    alpha = 1.0 - math.exp(-math.log(2.0) / execution.slice_volume_bars)
    kappa = execution.slice_kappa / execution.slice_bars
    for s in range(symbols):
        traded = l0_market_feed.bars.volume[s]
        if is_bar and l0_market_feed.quality.valid[s] != 0 and 0.0 <= traded < math.inf:
            old = carry.volume[s]
            carry.volume[s] = old + alpha * (traded - old) if old == old else traded
        held, weight, verdict = l97_ledger.position[s], l4_risk_gate.target_weight[s], l4_risk_gate.verdict[s]
        mark, unit = l97_ledger.mark[s], l97_ledger.unit_value[s]
        target = math.nan
        if verdict == EXIT or weight == 0.0 or same_side(-held, weight):
            target = 0.0  # a change of side closes first
        elif 0.0 < l97_ledger.equity < LARGEST and 0.0 < mark < LARGEST and unit < LARGEST and math.fabs(weight) < LARGEST:
            target = weight * l97_ledger.equity / unit
        remaining[s] = target - held
        if not (math.fabs(target) < math.inf):
            carry.left[s] = carry.standing[s] = 0
            continue
        gap = math.fabs(target) - math.fabs(held)
        if gap <= 0.0:
            carry.left[s] = carry.standing[s] = 0
            if target == 0.0:
                if held != 0.0:
                    quantity[s], reduce_only[s] = -held, 1
                continue
            broken = verdict != APPROVED or l4_risk_gate.reduce_only[s] != 0
            if broken and -gap > 1e-6 * math.fabs(held):
                quantity[s], reduce_only[s] = target * (1.0 - execution.headroom) - held, 1
            elif -gap >= execution.band * math.fabs(held) and -gap > 0.0:
                quantity[s], reduce_only[s] = target - held, 1
            continue
        close, volume, safe = l0_market_feed.bars.close[s], carry.volume[s], l63_tradeability.max_safe_notional[s]
        if not is_bar:
            continue  # nothing grows between bars; slices under way go on at the next close
        permitted = verdict in (APPROVED, REDUCED) and l4_risk_gate.reduce_only[s] == 0
        if not (permitted and 0.0 < close < math.inf and volume > 0.0 and 0.0 < safe < math.inf):
            carry.left[s] = carry.standing[s] = 0
            continue
        side = 1 if target > 0.0 else -1
        carry.standing[s] = carry.standing[s] + side if carry.standing[s] * side > 0 else side
        if carry.standing[s] * side < execution.entry_closes:
            carry.left[s] = 0
            continue
        want = math.fabs(target) * (1.0 - execution.headroom) - math.fabs(held)
        least = execution.least_entry * l97_ledger.equity / unit
        if not (want > 0.0) or want < least or (carry.left[s] == 0 and gap < execution.band * math.fabs(target)):
            carry.left[s] = 0
            continue
        fraction = 1.0
        if l69_order_style.type[s] == MARKET and l4_risk_gate.urgency[s] < execution.style_urgent:
            if carry.left[s] == 0:
                lost = math.fabs(l4_risk_gate.edge_bps[s]) / 1e4 * l4_risk_gate.freshness[s] / l4_risk_gate.horizon[s]
                sigma = l2_returns_volatility.sigma[s]
                pays = slicing_pays(want / volume, execution.slice_bars, kappa, sigma, lost)
                carry.left[s] = execution.slice_bars if pays else 1
            fraction = trade_fraction(carry.left[s], kappa)
            carry.left[s] -= 1
        else:
            carry.left[s] = 0
        size = want * fraction
        sendable = least_order(unit, instruments.lot_size[s], instruments.min_notional[s])
        least = least if least > sendable else sendable
        size = size if size > least else least
        if want - size < least or size > want:
            size = want  # no crumb now, and none left for later
        by_volume, by_safety = execution.participation * volume, safe / unit
        size = size if size < by_volume else by_volume
        size = size if size < by_safety else by_safety
        quantity[s] = size if target > 0.0 else -size
    return Slice(quantity, remaining, reduce_only)
