"""Draws the market in memory: common streams, then symbol by symbol."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints
from drivers.feeds.simulate.model import (
    BAD_CLOSE,
    BAD_NONE,
    BAD_WICK,
    LEVELS,
    VOLATILE,
    Books,
    Model,
    SimulatedMarket,
    Trades,
    Truth,
    checked_symbols,
    default_symbols,
)
from drivers.feeds.simulate.paths import Bar, Flow, Tape, ladder, ornstein_uhlenbeck, regimes, walk

MINUTES_A_DAY: Final = 1_440
NS: Final = 1_000_000_000
DEFAULT_SYMBOLS: Final = default_symbols(5)
_MARKET, _BARS, _BOOK, _TIMES = 0, 1, 2, 3  # purposes of the random streams


class Common(NamedTuple):
    """What all symbols share, (T,) each."""

    close: Ints  # UTC ns
    dt: float  # minutes a bar
    regime: Ints
    log_volatility: Floats  # without the symbol's own part
    log_calendar: Floats  # hour of the day and day of the week, log units of volume
    factor: Floats  # standard normal
    drift: Floats  # unit variance
    jump: Floats  # in minutes' volatilities, signed
    crash: Floats  # return at a crash beta of 1, log units
    in_crash: Ints
    observed: Ints


def simulate_market(
    *,
    seed: int = 7,
    symbols: Sequence[str] = DEFAULT_SYMBOLS,
    days: int = 14,
    clock_seconds: int = 60,
    start: str = "2026-01-05",
    edge: float = 1.0,
    snapshots: int = 1,
    bars_only: bool = False,
    model: Model = Model(),  # noqa: B008  # a NamedTuple of numbers does not change
    progress: Callable[[float], None] | None = None,
) -> SimulatedMarket:
    """A market of correlated symbols; the same arguments give the same values.

    seed: of every random stream. symbols: names, which also choose their streams. days: length, from 00:00 UTC of `start`
    (YYYY-MM-DD). clock_seconds: length of a bar; divides a day. edge: strength of the planted drift, 0 for none. snapshots:
    books a bar, 1 to 3. bars_only: no trades, books and truth, and the same bars. progress: called with the fraction done.
    Returns panels (T, N), symbols sorted by name, bars stamped at their close. Raises ValueError for arguments out of range.
    """
    names = checked_symbols(symbols)
    common = _common(seed, days, clock_seconds, start, snapshots, edge, model)
    bars, n = common.close.size, len(names)
    panels = np.empty((8, bars, n))
    hidden = np.empty((3, 0 if bars_only else bars, n))
    bad = np.empty(hidden.shape[1:], np.int64)
    truth = None if bars_only else Truth(common.regime, common.in_crash, hidden[0], hidden[1], hidden[2], bad)
    facts = np.empty((3, n))
    tapes: list[Trades] = []
    books: list[Books] = []
    for i, name in enumerate(names):
        one = _symbol(seed, name, i, common, edge, snapshots, bars_only, model)
        for row, column in enumerate(one.bars):
            panels[row, :, i] = column
        facts[:, i] = one.facts
        if truth is not None and one.trades is not None and one.books is not None:
            truth.volatility[:, i], truth.drift[:, i], truth.mid[:, i], truth.bad_tick[:, i] = one.truth
            tapes.append(one.trades)
            books.append(one.books)
        if progress is not None:
            progress((i + 1) / n)
    panels[:, common.observed == 0, :] = np.nan
    return SimulatedMarket(
        names,
        clock_seconds,
        common.close,
        common.observed,
        open=panels[0],
        high=panels[1],
        low=panels[2],
        close=panels[3],
        volume=panels[4],
        vwap=panels[5],
        trade_count=panels[6],
        buy_volume=panels[7],
        tick_size=facts[0],
        lot_size=facts[1],
        min_notional=facts[2],
        trades=_merged(tapes, common.observed) if tapes else None,
        books=Books(*(np.stack(field, axis=1) for field in zip(*books, strict=True))) if books else None,
        truth=truth,
    )


class _Symbol(NamedTuple):
    bars: tuple[Floats, ...]  # open high low close volume vwap trade_count buy_volume
    facts: tuple[float, float, float]  # tick size, lot size, minimum notional
    truth: tuple[Floats, Floats, Floats, Ints]  # volatility, drift, mid, bad_tick
    trades: Trades | None
    books: Books | None


def _stream(seed: int, name: str, purpose: int) -> np.random.Generator:
    """The stream of one purpose; a symbol's follows from its name, so that it does not depend on the others."""
    key = (zlib.crc32(name.encode()), len(name), purpose)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _common(seed: int, days: int, clock_seconds: int, start: str, snapshots: int, edge: float, model: Model) -> Common:
    if seed < 0:
        raise ValueError(f"simulate: seed is {seed}; give a whole number that is not negative")
    if days < 1:
        raise ValueError(f"simulate: days is {days}; give at least 1")
    if clock_seconds < 1 or 86_400 % clock_seconds:
        raise ValueError(f"simulate: clock_seconds is {clock_seconds}; give a number that divides a day, e.g. 1, 60, 300, 3600")
    if snapshots not in (1, 2, 3):
        raise ValueError(f"simulate: snapshots is {snapshots}; give 1, 2 or 3 books a bar")
    if not (0.0 <= edge <= 5.0):
        raise ValueError(f"simulate: edge is {edge}; give 0 (none) to 5, typical 1")
    try:
        first = datetime.strptime(start, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"simulate: start is {start!r}; write a date as YYYY-MM-DD, e.g. 2026-01-05") from None
    bars = days * (86_400 // clock_seconds)
    dt = clock_seconds / 60.0
    rng = _stream(seed, "", _MARKET)
    close = int(first.timestamp()) * NS + (np.arange(bars, dtype=np.int64) + 1) * (clock_seconds * NS)
    minute = (np.arange(bars) + 0.5) * dt

    # one crash and one outage; drawn first, so that a finer clock has them at the same hour
    at = rng.random(4)
    crash_from = int(days * 0.6) * MINUTES_A_DAY + (10.0 + 8.0 * at[0]) * 60.0
    out_from = int(days * 0.3) * MINUTES_A_DAY + (1.0 + 4.0 * at[1]) * 60.0
    out_for = model.outage_minutes[0] + (model.outage_minutes[1] - model.outage_minutes[0]) * at[2]
    observed = ((minute < out_from) | (minute > out_from + out_for)).astype(np.int64)
    edges = np.arange(bars + 1) * dt - crash_from
    crash = np.diff(_crash_path(edges, model))
    since = minute - crash_from
    in_crash = ((since > 0.0) & (since < 4.0 * model.crash_minutes)).astype(np.int64)

    leave = np.minimum(0.5, dt / np.asarray(model.regime_minutes))
    regime = regimes(rng.random(bars), leave)
    regime[in_crash == 1] = VOLATILE
    slow = ornstein_uhlenbeck(rng.standard_normal(bars), float(np.exp(-dt / model.slow_minutes)))
    fast = ornstein_uhlenbeck(rng.standard_normal(bars), float(np.exp(-dt / model.fast_minutes)))
    drift = ornstein_uhlenbeck(rng.standard_normal(bars), float(np.exp(-dt / model.drift_minutes)))
    factor = rng.standard_normal(bars)
    jump = _jumps(rng, bars, dt, 0.5 * model.jumps_per_day, model.jump_sd)
    calendar = _calendar(close, clock_seconds)
    shock = np.where(since > 0.0, 1.2 * np.exp(-np.maximum(since - model.crash_minutes, 0.0) / 240.0), 0.0)
    level = np.asarray(model.regime_log_volatility)[regime]
    # a volatility's factor exp(sd * z - sd**2) keeps the mean variance at 1
    log_volatility = (
        level
        + 0.7 * (model.slow_sd * slow + model.fast_sd * fast)
        - 0.5 * (model.slow_sd**2 + model.fast_sd**2)
        + 0.4 * calendar
    )
    return Common(close, dt, regime, log_volatility + shock, calendar, factor, drift, jump, crash, in_crash, observed)


def _crash_path(minute: Floats, model: Model) -> Floats:
    """Log price around the crash: down along half a cosine, then back by `crash_recovery`, fast at first."""
    x = np.clip(minute / model.crash_minutes, 0.0, 1.0)
    after = np.maximum(minute - model.crash_minutes, 0.0)
    fall = 0.5 * (1.0 - np.cos(np.pi * x))
    return np.asarray(model.crash_depth * (model.crash_recovery * (1.0 - np.exp(-after / 45.0)) - fall), np.float64)


def _calendar(close: Ints, clock_seconds: int) -> Floats:
    """Log of the usual volume of the hour: a peak in the American afternoon, a smaller one at 00:30, quiet weekends."""
    hour = ((close // NS - clock_seconds // 2) % 86_400) / 3_600.0
    weekday = ((close // NS - clock_seconds) // 86_400 + 3) % 7  # 1970-01-01 was a Thursday
    night = np.minimum(np.abs(hour - 0.5), 24.0 - np.abs(hour - 0.5))
    shape = 0.72 + 0.85 * np.exp(-0.5 * ((hour - 14.7) / 2.2) ** 2) + 0.4 * np.exp(-0.5 * (night / 1.2) ** 2)
    shape += 0.25 * np.exp(-0.5 * ((hour - 8.0) / 1.2) ** 2)
    return np.asarray(np.log(shape) - np.where(weekday >= 5, 0.35, 0.0), np.float64)


def _jumps(rng: np.random.Generator, bars: int, dt: float, per_day: float, sd: float) -> Floats:
    """(T,) sparse jumps: Poisson in time, at least half an `sd` in size and of either sign."""
    out = np.zeros(bars)
    where = rng.random(bars) < per_day * dt / MINUTES_A_DAY
    z = rng.standard_normal(int(where.sum()))
    out[where] = sd * (z + 0.5 * np.sign(z))
    return out


def _symbol(
    seed: int, name: str, index: int, common: Common, edge: float, snapshots: int, bars_only: bool, model: Model
) -> _Symbol:
    rng = _stream(seed, name, _BARS)
    bars, dt = common.close.size, common.dt
    u = rng.random(4)
    log_price = np.log(10.0) * (-0.3 + 4.3 * u[0])  # 0.5 to 10,000
    own_volatility = model.volatility_bps * 1e-4 * np.exp(model.volatility_spread * (2.0 * u[1] - 1.0))
    beta = 0.93 + 0.16 * u[2]
    turnover = 4e5 * np.exp(1.5 * (2.0 * u[3] - 1.0))  # quote currency a minute
    price = float(np.exp(log_price))
    tick_inverse = 10.0 ** max(0, -int(np.floor(np.log10(price * 4e-5))))
    trade = turnover * dt / model.trades_per_bar / price  # base units of a mean trade
    lot_inverse = 10.0 ** max(0, -int(np.floor(np.log10(trade / 500.0))))

    slow = ornstein_uhlenbeck(rng.standard_normal(bars), float(np.exp(-dt / model.slow_minutes)))
    fast = ornstein_uhlenbeck(rng.standard_normal(bars), float(np.exp(-dt / model.fast_minutes)))
    state = common.log_volatility + 0.7 * (model.slow_sd * slow + model.fast_sd * fast)
    state -= 0.5 * (model.slow_sd**2 + model.fast_sd**2)
    flicker = model.flicker_sd * rng.standard_normal(bars)
    level = np.minimum(state + flicker - model.flicker_sd**2, model.volatility_ceiling)
    volatility = own_volatility * np.sqrt(dt) * np.exp(level)
    activity = np.clip(np.exp(1.2 * (state - 0.4 * common.log_calendar) + common.log_calendar), 0.05, 30.0)

    shape = ornstein_uhlenbeck(rng.standard_normal(bars), float(np.exp(-dt / model.drift_minutes)))
    mix = np.sqrt(model.drift_common) * common.drift + np.sqrt(1.0 - model.drift_common) * shape
    gain = np.asarray(model.drift_by_regime)[common.regime]
    drift = edge * model.drift_strength * own_volatility * dt * gain * mix

    jump = own_volatility * (common.jump + _jumps(rng, bars, dt, model.jumps_per_day, model.jump_sd))
    mean = model.trades_per_bar * np.clip(activity, 0.2, 4.0) ** 0.25
    counts = np.clip(np.floor(mean + 0.6 * np.sqrt(mean) * rng.standard_normal(bars) + 0.5), 3, model.trades_ceiling)
    trades = counts.astype(np.int64)
    bad_kind, bad_size = _bad_ticks(rng, bars, dt, model)
    state_of_spread = np.minimum(state, model.volatility_ceiling)
    half = 0.5e-4 * model.spread_bps * np.exp(model.spread_to_volatility * state_of_spread + 0.2 * rng.standard_normal(bars))
    flow_share = 1.0 - 2.0 * model.impact**2  # of variance; the rest comes with the impact of trades
    bar = Bar(
        trades,
        volatility * np.sqrt(model.factor_share) * common.factor + drift + beta * common.crash,
        jump,
        volatility * np.sqrt((1.0 - model.factor_share) * flow_share),
        volatility * model.swing,
        volatility * model.impact,
        half,
        trade * activity * model.trades_per_bar / counts * np.exp(-0.5 * model.size_sd**2),
        bad_kind,
        bad_size,
    )
    flow = Flow(
        model.order_pool,
        model.order_tail,
        float(model.order_ceiling),
        model.size_sd,
        model.impact_exponent,
        tick_inverse,
        lot_inverse,
        float(log_price),
    )
    events = int(trades.sum())
    kept = 0 if bars_only else events
    tape = Tape(
        open=np.empty(bars),
        high=np.empty(bars),
        low=np.empty(bars),
        close=np.empty(bars),
        volume=np.empty(bars),
        vwap=np.empty(bars),
        buy_volume=np.empty(bars),
        mid=np.empty(bars),
        snapshot_mid=np.empty(bars * snapshots),
        snapshot_flow=np.empty(bars * snapshots),
        price=np.empty(kept),
        size=np.empty(kept),
        buy=np.empty(kept, np.int64),
        mid_before=np.empty(kept),
        mid_after=np.empty(kept),
    )
    walk(bar, flow, rng.standard_normal(events), rng.random(events), rng.standard_normal(events), snapshots, tape)
    columns = (tape.open, tape.high, tape.low, tape.close, tape.volume, tape.vwap, counts, tape.buy_volume)
    facts = (1.0 / tick_inverse, 1.0 / lot_inverse, 10.0)
    truth = (volatility, drift, tape.mid, bad_kind)
    if bars_only:
        return _Symbol(columns, facts, truth, None, None)
    when = _times(seed, name, common.close, trades)
    row = np.repeat(np.arange(bars), trades)
    mids = (tape.mid_before, tape.mid_after)
    log = Trades(when, np.full(events, index), row, tape.price, tape.size, tape.buy, *mids)
    books = _books(seed, name, common, state_of_spread, half, trade, when, flow, tape, trades, model)
    return _Symbol(columns, facts, truth, log, books)


def _bad_ticks(rng: np.random.Generator, bars: int, dt: float, model: Model) -> tuple[Ints, Floats]:
    """(T,) kinds and log sizes of wrong prints: 1.5 to 4 % off, one in two of them the bar's last trade."""
    hit = rng.random(bars) < model.bad_ticks_per_day * dt / MINUTES_A_DAY
    draw = rng.random((3, int(hit.sum())))
    kind = np.full(bars, BAD_NONE, np.int64)
    kind[hit] = np.where(draw[0] < 0.5, BAD_WICK, BAD_CLOSE)
    size = np.zeros(bars)
    size[hit] = np.where(draw[1] < 0.5, -1.0, 1.0) * (0.015 + 0.025 * draw[2])
    return kind, size


def _times(seed: int, name: str, close: Ints, trades: Ints) -> Ints:
    """(E,) UTC ns of each trade: whole milliseconds, one in each of the bar's equal parts, strictly inside the bar."""
    span = int(close[1] - close[0]) if close.size > 1 else 86_400 * NS
    row = np.repeat(np.arange(close.size), trades)
    nth = np.arange(row.size) - np.repeat(np.cumsum(trades) - trades, trades)
    place = (nth + _stream(seed, name, _TIMES).random(row.size)) / trades[row]
    room = span // 1_000_000 - 20
    return np.asarray(close[row] - span + (10 + np.floor(place * room).astype(np.int64)) * 1_000_000, np.int64)


def _books(
    seed: int,
    name: str,
    common: Common,
    state: Floats,
    half: Floats,
    trade: float,
    when: Ints,
    flow: Flow,
    tape: Tape,
    trades: Ints,
    model: Model,
) -> Books:
    """Snapshots just after the last trade of each part of a bar; the last of them 5 ms before the close."""
    rng = _stream(seed, name, _BOOK)
    count = tape.snapshot_mid.size
    parts = count // trades.size
    gaps, z = rng.random((count, 2, LEVELS)), rng.standard_normal((count, 2, LEVELS))
    depth = np.repeat(trade * np.exp(model.depth_to_volatility * state + 0.5 * common.log_calendar), parts)
    tilt = 0.35 * tape.snapshot_flow
    sides = ladder(tape.snapshot_mid, np.repeat(half, parts), depth, tilt, gaps, z, flow.tick_inverse, flow.lot_inverse)
    ends = np.cumsum(trades)
    last = (np.arange(1, parts + 1)[None, :] * trades[:, None]) // parts - 1 + (ends - trades)[:, None]
    time = when[last] + 1_000_000
    time[:, -1] = common.close - 5_000_000
    return Books(time.reshape(-1), *sides)


def _merged(tapes: Sequence[Trades], observed: Ints) -> Trades:
    """All symbols' trades in order of time, then symbol, without those of the outage."""
    joined = Trades(*(np.concatenate(field) for field in zip(*tapes, strict=True)))
    order = np.lexsort((joined.symbol, joined.time))
    order = order[observed[joined.bar[order]] == 1]
    return Trades(*(field[order] for field in joined))
