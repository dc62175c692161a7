"""Stylised facts of a market, the same statistics for a simulated and for a real one (Cont 2001, Bouchaud et al. 2004)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataflows.panel import Floats, Ints
from drivers.feeds.simulate.model import BAD_CLOSE, SimulatedMarket

NS: Final = 1_000_000_000
MINUTES: Final = (1, 10, 60, 240)
TRADES: Final = (1, 2, 5, 10, 20, 50, 100, 200)


class ReturnFacts(NamedTuple):
    """Of one symbol's bar returns."""

    sd_bps: float
    kurtosis: float  # excess; 0 for a Gaussian
    hill: float  # tail exponent of the largest 1 % of |r|
    acf_1: float  # of returns
    acf_abs: tuple[float, ...]  # of |r| at MINUTES
    range_to_move: float  # mean log(high / low) over mean |r|


class FlowFacts(NamedTuple):
    """Of one symbol's trades and books."""

    sign_acf: tuple[float, ...]  # at TRADES
    sign_decay: float  # gamma of acf ~ lag**-gamma
    impact_exponent: float  # of the mid's move in the net volume between two snapshots
    spread_to_volatility: float  # rank correlation
    depth_to_volatility: float  # rank correlation


class PlantedEdge(NamedTuple):
    """What a plain regression of future returns on a trend score finds, all symbols together."""

    slope_bps: float  # bps of the horizon's return per unit of the score, which is in [-1, 1]
    correlation: float  # of the score with the return
    true_correlation: float  # of the true drift with the return: the most that anybody can know
    per_symbol_bps: tuple[float, ...]


def autocorrelation(x: Floats, lags: Sequence[int]) -> tuple[float, ...]:
    """Autocorrelation of x (T,) at each lag; NaN where a value is missing is left out of the sums."""
    d = x - np.nanmean(x)
    scale = np.nanmean(d * d)
    return tuple(float(np.nanmean(d[k:] * d[:-k]) / scale) for k in lags)


def hill(x: Floats, share: float = 0.01) -> float:
    """Tail exponent of |x| by Hill (1975), from the largest `share` of the values."""
    a = np.sort(np.abs(x[np.isfinite(x)]))[::-1]
    n = max(10, int(share * a.size))
    return float(1.0 / np.mean(np.log(a[:n] / a[n])))


def kurtosis(x: Floats) -> float:
    """Excess kurtosis."""
    d = x[np.isfinite(x)] - np.nanmean(x)
    return float(np.mean(d**4) / np.mean(d * d) ** 2 - 3.0)


def power(x: Floats, y: Floats) -> float:
    """Exponent b of y ~ x**b, by least squares of the logs; values that are not positive are left out."""
    ok = (x > 0.0) & (y > 0.0)
    return float(np.polyfit(np.log(x[ok]), np.log(y[ok]), 1)[0])


def rank_correlation(x: Floats, y: Floats) -> float:
    """Spearman's, without a correction for ties."""
    ok = np.isfinite(x) & np.isfinite(y)
    a, b = (np.argsort(np.argsort(v[ok], kind="stable")) for v in (x, y))
    return float(np.corrcoef(a, b)[0, 1])


def impact_curve(size: Floats, move: Floats, bins: int = 10) -> tuple[Floats, Floats]:
    """Mean size and mean move in bins of equal count by size. move: signed so that it is positive along the trade."""
    order = np.argsort(size, kind="stable")
    parts = np.array_split(order, bins)
    return np.array([size[p].mean() for p in parts]), np.array([move[p].mean() for p in parts])


def hour_shape(time: Ints, volume: Floats) -> Floats:
    """(24,) mean volume in each hour of the UTC day over the mean of all. time: UTC ns of the bars' opens."""
    hour = (time // (3_600 * NS)) % 24
    means = np.array([np.nanmean(volume[hour == h]) for h in range(24)], np.float64)
    return means / float(np.nanmean(volume))


def return_facts(close: Floats, high: Floats, low: Floats, skip: Ints | None = None) -> ReturnFacts:
    """Facts of one symbol's bars (T,). skip: 1 where a bar is left out (wrong ticks, a crash)."""
    keep = np.isfinite(close) if skip is None else np.isfinite(close) & (skip == 0)
    r = np.diff(np.log(np.where(keep, close, np.nan)))
    span = np.log(high / low)[keep]
    (first,) = autocorrelation(r, (1,))
    return ReturnFacts(
        float(np.nanstd(r) * 1e4),
        kurtosis(r),
        hill(r),
        first,
        autocorrelation(np.abs(r), MINUTES),
        float(np.mean(span) / np.nanmean(np.abs(r))),
    )


def flow_facts(
    trade_time: Ints,
    size: Floats,
    buy: Ints,
    book_time: Ints,
    mid: Floats,
    spread_bps: Floats,
    depth: Floats,
    every: int,
    window: int,
) -> FlowFacts:
    """Facts of one symbol's trades (E,) and books (S,), each in order of time.

    every: ns over which net volume is set against the mid's move. window: such steps over which volatility, spread and depth
    are averaged. Trades of one instant and side are one order.
    """
    signs = np.where(buy == 1, 1.0, -1.0)
    new = np.ones(signs.size, np.bool_)
    new[1:] = (np.diff(trade_time) != 0) | (np.diff(signs) != 0)
    acf = np.array(autocorrelation(signs[new], TRADES))
    grid = np.arange(book_time[0], book_time[-1] + 1, every)
    at = np.searchsorted(book_time, grid, side="right") - 1
    fresh = grid - book_time[at] < 3 * every  # not across an outage
    move = np.where(fresh[1:] & fresh[:-1], np.diff(np.log(mid[at])), np.nan)
    step = np.searchsorted(grid, trade_time, side="left") - 1
    inside = (step >= 0) & (step < move.size)
    net = np.bincount(step[inside], (signs * size)[inside], minlength=move.size)
    ok = np.isfinite(move) & (net != 0.0)
    q, dp = impact_curve(np.abs(net[ok]), move[ok] * np.sign(net[ok]))
    n = move.size // window * window

    def averaged(x: Floats) -> Floats:
        return np.asarray(x[:n].reshape(-1, window).mean(axis=1))

    known = np.isfinite(averaged(move))
    volatility = np.sqrt(averaged(move * move))[known]
    spread, deep = averaged(spread_bps[at][1:])[known], averaged(depth[at][1:])[known]
    return FlowFacts(
        tuple(float(a) for a in acf),
        -power(np.array(TRADES, np.float64), acf),
        power(q, dp),
        rank_correlation(volatility, spread),
        rank_correlation(volatility, deep),
    )


def facts_of_market(market: SimulatedMarket, symbol: int, *, calm_days: bool = True) -> tuple[ReturnFacts, FlowFacts]:
    """Facts of one symbol (its index) of a simulated market, wrong ticks left out; `calm_days` leaves out the crash too."""
    truth, log, books = market.truth, market.trades, market.books
    if truth is None or log is None or books is None:
        raise ValueError("facts_of_market: the market was simulated with bars_only; simulate it without")
    i = symbol
    skip = (truth.bad_tick[:, i] == BAD_CLOSE) | ((truth.crash == 1) & calm_days)
    bars = return_facts(market.close[:, i], market.high[:, i], market.low[:, i], skip.astype(np.int64))
    mine = log.symbol == i
    seen = np.repeat(market.observed == 1, books.time.shape[0] // market.time.size)
    bid, ask = books.bid_price[seen, i, 0], books.ask_price[seen, i, 0]
    mid = 0.5 * (bid + ask)
    depth = (books.bid_size[seen, i] + books.ask_size[seen, i]).sum(axis=1)
    spread = (ask - bid) / mid * 1e4
    every = market.clock_seconds * NS
    return bars, flow_facts(log.time[mine], log.size[mine], log.buy[mine], books.time[seen, i], mid, spread, depth, every, 30)


def facts_of_bars(path: Path, symbol: str) -> ReturnFacts:
    """Facts of one symbol of a bars.parquet."""
    table = _rows(path, symbol, ["close", "high", "low"])
    return return_facts(_floats(table, "close"), _floats(table, "high"), _floats(table, "low"))


def facts_of_ticks(folder: Path, symbol: str, every: int = 10 * NS, window: int = 6) -> FlowFacts:
    """Facts of one symbol of a folder with book.parquet and trades.parquet."""
    trades = _rows(folder / "trades.parquet", symbol, ["timestamp", "size", "side"])
    sizes = [f"{side}_sz_{level}" for level in range(10) for side in ("bid", "ask")]
    book = _rows(folder / "book.parquet", symbol, ["timestamp", "bid_px_0", "ask_px_0", *sizes])
    bid, ask = _floats(book, "bid_px_0"), _floats(book, "ask_px_0")
    mid = 0.5 * (bid + ask)
    depth = np.nansum([_floats(book, name) for name in sizes], axis=0)
    buy = np.array(trades["side"].to_pylist()) == "buy"
    spread = (ask - bid) / mid * 1e4
    return flow_facts(
        _ns(trades), _floats(trades, "size"), buy.astype(np.int64), _ns(book), mid, spread, np.asarray(depth), every, window
    )


def planted_edge(market: SimulatedMarket, window: int = 120, horizon: int = 120) -> PlantedEdge:
    """Regression of the next `horizon` bars' return on tanh(past `window` bars' return / its volatility), without the crash.

    The score uses closes that a system can see; the crash and wrong ticks are left out. Slopes are pooled over symbols.
    """
    truth = market.truth
    if truth is None:
        raise ValueError("planted_edge: the market was simulated with bars_only; simulate it without")
    xs, ys, ds, slopes = [], [], [], []
    for i in range(len(market.symbols)):
        hidden = (truth.crash == 1) | (truth.bad_tick[:, i] == BAD_CLOSE)
        p = np.where(hidden, np.nan, np.log(market.close[:, i]))
        scale = np.nanstd(np.diff(p)) * np.sqrt(window)
        score = np.tanh((p[window:-horizon] - p[: -window - horizon]) / scale)
        future = (p[window + horizon :] - p[window:-horizon]) * 1e4
        ok = np.isfinite(score) & np.isfinite(future)
        xs.append(score[ok])
        ys.append(future[ok])
        ds.append(truth.drift[window:-horizon, i][ok])
        slopes.append(float(np.polyfit(xs[-1], ys[-1], 1)[0]))
    x, y, d = np.concatenate(xs), np.concatenate(ys), np.concatenate(ds)
    true = float(np.corrcoef(d, y)[0, 1]) if np.any(d != 0.0) else 0.0
    return PlantedEdge(float(np.polyfit(x, y, 1)[0]), float(np.corrcoef(x, y)[0, 1]), true, tuple(slopes))


def _rows(path: Path, symbol: str, columns: list[str]) -> Any:
    table = pq.read_table(path, columns=["symbol", *columns])
    return table.filter(pc.equal(table["symbol"], symbol))


def _floats(table: Any, name: str) -> Floats:
    return np.asarray(table[name].to_numpy(), np.float64)


def _ns(table: Any) -> Ints:
    return np.asarray(table["timestamp"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy(), np.int64)
