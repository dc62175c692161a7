"""L6: how every part of the system has done, on paper and in the account, and what weight each source has earned."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Bind, Unknown
from dataflows.data.types import Clock, DataConfig, Market
from dataflows.execution.types import Audit, Ledger
from dataflows.fusion.types import PARTS, Cost, Ensemble, K, Signals, SourceWeights
from dataflows.layer import layer
from dataflows.meta.account import Made, account_epoch, account_parts, summed
from dataflows.meta.config import MetaConfig
from dataflows.meta.mixture import Mixture, learn_weights
from dataflows.meta.paper import Epoch, Said, Unsettled, begin_epoch, take_bars
from dataflows.meta.track import DRAWDOWN, HIT, MEAN, RETURN, SHARPE, STABILITY, Tracks, add_epoch
from dataflows.meta.types import (
    DOMAINS,
    ROWS,
    DomainProfits,
    Evidence,
    PaperTracks,
    Performance,
    Realised,
    RegimeTracks,
    SourceProfits,
    SymbolTracks,
)
from dataflows.panel import Floats, Ints
from dataflows.pattern.types import PatternConsensus
from dataflows.regime.types import REGIMES, Regime


class PerformanceCarry(NamedTuple):
    """All track records, the mixture, the account as it was, the paper accounts of the epoch that is under way, and the bars
    whose return is not known yet."""

    unsettled: Unsettled
    epoch: Epoch
    paper: Annotated[Tracks, Bind(G=ROWS)]
    by_symbol: Annotated[Tracks, Bind(G="N")]
    realised: Annotated[Tracks, Bind(G=1)]
    realised_by_symbol: Annotated[Tracks, Bind(G="N")]
    realised_by_regime: Annotated[Tracks, Bind(G=len(REGIMES))]
    realised_by_source: Annotated[Tracks, Bind(G=PARTS)]
    realised_by_domain: Annotated[Tracks, Bind(G=len(DOMAINS))]
    mixture: Mixture
    account: Annotated[Floats, Axes(3, start=NAN)]  # equity, cash that came in, fees and funding at the last epoch's end
    paid: Unknown  # fees and funding of each symbol at the last epoch's end
    seen: Annotated[Floats, Axes(2)]  # epochs and bars


def _take_bars(
    l0_market_feed: Market,
    l1_regime: Regime,
    l7_ensemble: Ensemble,
    l50_pattern_consensus: PatternConsensus,
    l66_signal_matrix: Signals,
    l71_trading_cost: Cost,
    clock: Clock,
    carry: PerformanceCarry,
) -> None:
    """The next bars of an epoch, before it ends: one bar does not wait for the paper accounts of a day."""
    _paper(
        l0_market_feed.bars.open,
        (l0_market_feed.bars_5.closed, l0_market_feed.bars_15.closed, l0_market_feed.bars_60.closed),
        l1_regime,
        l7_ensemble,
        l50_pattern_consensus,
        l66_signal_matrix,
        l71_trading_cost,
        clock.bars_from(0),
        carry,
    )


def _paper(
    open_: Floats,
    closed: tuple[Ints, Ints, Ints],
    regime: Regime,
    ensemble: Ensemble,
    patterns: PatternConsensus,
    signals: Signals,
    cost: Cost,
    bars: slice | Ints,
    carry: PerformanceCarry,
) -> None:
    """The paper accounts over some bars. bars: their rows. open_, closed: (T, N) opens, and which higher timeframes close."""
    said = Said(
        sources=signals.values[bars],
        votes=patterns.votes[bars],
        score=ensemble.score[bars],
        closed=(closed[0][bars], closed[1][bars], closed[2][bars]),
        probabilities=(
            regime.calm[bars],
            regime.trend_up[bars],
            regime.trend_down[bars],
            regime.high_vol[bars],
            regime.chaotic[bars],
        ),
    )
    take_bars(said, open_[bars], cost.round_trip_bps[bars], carry.unsettled, carry.epoch)


@layer("L6", schedule="epoch", cross_sectional=True, early=_take_bars)
def l6_performance_monitor(
    l0_market_feed: Market,
    l1_regime: Regime,
    l7_ensemble: Ensemble,
    l50_pattern_consensus: PatternConsensus,
    l66_signal_matrix: Signals,
    l71_trading_cost: Cost,
    l97_ledger: Ledger,
    l100_decision_audit: Audit,
    clock: Clock,
    data: DataConfig,
    meta: MetaConfig,
    carry: PerformanceCarry,
) -> Performance:
    """Paper accounts of sources, patterns, score, timeframes, domains, regimes and symbols; the account; source weights.

    paper (49,) by TRACKED and by_symbol (N,): a position of the signal's size at close t earns the simple return from the open
    of t + 1 to that of t + 2, gross, in the mean over the symbols (breadth). What the last two bars of an epoch earn counts in
    the next. Costs are shown beside it and not taken off: L67 and L71 weigh them. realised: the account's return of an epoch
    net of everything, cash flows taken out; never mixed with paper. Its parts by symbol and by regime have all figures; those
    by source and by domain have no turnover and cost, which belong to none of them: the audit shares a profit out by what the
    edge that opened the trade was made of. A pattern or a timeframe has no part of its own in a trade.

    source_weights (5, 11), one row a regime, rows summing to 1: the log-wealth mixture with fixed share. An epoch's paper
    return of a source, at `source_volatility` over the root mean square of its epochs before, multiplies its weight; at most 4
    volatilities count. `source_share` is then spread evenly, so a weight is never below `source_share` / 11. Weights of a
    regime are learned from what came in it and drawn to the pooled ones as `regime_epochs` epochs in it would. A source that
    says nothing keeps its weight, and so do all until `source_epochs` epochs are known. With `adapt_sources` 0 the configured
    ones hold. evidence.log_wealth: of a unit that bets on the source alone. If it were worth nothing, the chance that it ever
    reaches log(1/d) would be at most d (Ville 1939). Sources: Cover (1991); Herbster and Warmuth (1998).
    """
    epoch, regime = carry.epoch, l1_regime
    _paper(
        l0_market_feed.bars.open,
        (l0_market_feed.bars_5.closed, l0_market_feed.bars_15.closed, l0_market_feed.bars_60.closed),
        l1_regime,
        l7_ensemble,
        l50_pattern_consensus,
        l66_signal_matrix,
        l71_trading_cost,
        clock.bars_from(int(epoch.bars[0])),
        carry,
    )
    carry.seen[:] += (1.0, epoch.bars[0])
    a_year = data.days_a_year * data.bars_a_day * carry.seen[0] / carry.seen[1]
    weights = learn_weights(
        epoch.source_returns,
        epoch.present / max(1, epoch.bars[0] * len(epoch.symbol_returns)),
        epoch.active[:K],
        meta.source_volatility,
        meta.source_share,
        meta.source_epochs,
        meta.regime_epochs,
        carry.mixture,
    )
    equity = np.asarray(l97_ledger.equity)
    symbol, regimes, source, domain = account_parts(
        float(carry.account[0] if np.isfinite(carry.account[0]) else equity[0]),
        l100_decision_audit.profit,
        l100_decision_audit.filled_notional,
        l97_ledger.symbol_fees + l97_ledger.symbol_funding,
        l100_decision_audit.by_source,
        (regime.calm, regime.trend_up, regime.trend_down, regime.high_vol, regime.chaotic),
        carry.paid,
    )
    made = account_epoch(
        equity,
        np.asarray(l97_ledger.cash_flows),
        np.asarray(l97_ledger.fees) + np.asarray(l97_ledger.funding),
        l100_decision_audit.filled_notional,
        carry.account,
    )
    realised = (
        *_tracked(made, a_year, carry.realised),
        summed(summed(l100_decision_audit.by_source)),
        summed(l100_decision_audit.profit),
        SymbolTracks(*_tracked(symbol, a_year, carry.realised_by_symbol)),
        RegimeTracks(*_tracked(regimes, a_year, carry.realised_by_regime)),
        SourceProfits(*_profits(_tracked(source, a_year, carry.realised_by_source))),
        DomainProfits(*_profits(_tracked(domain, a_year, carry.realised_by_domain))),
    )
    paper = add_epoch(epoch.returns, epoch.turnover, epoch.cost, epoch.active, a_year, carry.paper)
    by_symbol = add_epoch(
        epoch.symbol_returns, epoch.symbol_turnover, epoch.symbol_cost, epoch.symbol_active, a_year, carry.by_symbol
    )
    begin_epoch(epoch)
    return Performance(
        paper=PaperTracks(*paper),
        by_symbol=SymbolTracks(*by_symbol),
        realised=Realised(*realised),
        evidence=Evidence(
            pooled_weight=carry.mixture.pooled.copy(),
            log_wealth=carry.mixture.log_wealth.copy(),
            peak_log_wealth=carry.mixture.peak.copy(),
        ),
        source_weights=SourceWeights(weights if meta.adapt_sources else np.array(meta.source_rows())),
    )


def _tracked(made: Made, a_year: float, state: Tracks) -> Floats:
    """The track record of what the account made, after this epoch."""
    return add_epoch(made.returns, made.turnover, made.cost, made.active, a_year, state)


def _profits(figures: Floats) -> tuple[Floats, ...]:
    """Of `add_epoch` what is known without turnover and cost."""
    return tuple(figures[i] for i in (RETURN, MEAN, SHARPE, HIT, DRAWDOWN, STABILITY))
