"""Whether configuration and data suit each other: the start cash what trades there, and the windows how many bars there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dataflows.panel import Floats
from drivers.feeds.aligned import Dataset


def suitability_notes(data: Any, configs: Mapping[str, Any]) -> list[str]:
    """What does not fit, a sentence with its cure each. data: what a run reads; only of recorded data is it known beforehand.

    configs: of the run, by domain, at the data's clock.
    """
    if not isinstance(data, Dataset):
        return []
    return [*_length_notes(data, configs), *_account_notes(data, configs)]


def _length_notes(data: Dataset, configs: Mapping[str, Any]) -> list[str]:
    """Data that end before L2's volatility is known, and with it most of the layers."""
    needed = getattr(configs.get("kinematics"), "volatility_halflife", 0.0)
    if len(data) > needed:
        return []
    cure = "take more of them" + (", or shorter times: `--spec seconds`" if data.clock.seconds < 60 else "")
    known = f"volatility is known after {needed:,.0f} (kinematics.volatility_halflife)"
    return [f"the data have {len(data):,} bars and {known}, so that most layers stay unknown; {cure}"]


def _account_notes(data: Dataset, configs: Mapping[str, Any]) -> list[str]:
    """A sentence with its cure where the account is so large that no symbol takes a position, or so small that no lot fits.

    Too large: of every symbol with a volume, the most that L85 allows of it is below `execution.least_entry`, or its
    depth costs more logits of L63's score than there are above `avoid_below`. Too small: one lot, or the least notional, of
    every symbol is more than `risk.max_fraction` of it.
    """
    if not {"execution", "microstructure", "risk"} <= set(configs):
        return []
    execution, risk, micro = (configs[name] for name in ("execution", "risk", "microstructure"))
    cash, facts = float(execution.start_cash), data.instruments
    price, traded, depth = _market(data, configs)
    known = traded > 0.0
    if not known.any():
        return []
    price, size = price[known], facts.multiplier[known]
    unit = np.where(facts.inverse[known] != 0, size / price, size * price)  # what one is worth
    depth, window = depth[known] * unit / price, traded[known] * risk.cap_volume_bars * unit / price
    shuts = micro.avoid_below  # the score from which on a market is shut
    logits = micro.score_base - math.log(shuts / (1.0 - shuts)) if 0.0 < shuts < 1.0 else math.inf
    if ((risk.cap_participation * window < execution.least_entry * cash) | (micro.depth_scale > logits * depth)).all():
        most = np.fmin(risk.cap_participation * window / risk.max_fraction, depth * cash / micro.depth_scale)
        time = "a day of trading" if risk.cap_volume_bars == data.clock.day else f"{risk.cap_volume_bars} bars"
        what = f"what trades in {time} is worth {_short(window.sum())}"
        return [_sentence("large", cash, what, _one_digit(float(np.median(most)), up=False))]
    least = np.fmax(facts.lot_size[known] * unit, facts.min_notional[known])
    if (least > risk.max_fraction * cash).all():
        what = f"the least order is worth {_short(least.min())}"
        return [_sentence("small", cash, what, _one_digit(10.0 * float(np.median(least)) / risk.max_fraction, up=True))]
    return []


def _sentence(size: str, cash: float, what: str, cure: str) -> str:
    return (
        f"the account is too {size} for this market, and no position will be opened: execution.start_cash is {cash:,.10g}, and "
        f"{what} in the currency of the prices; give start_cash in that currency, e.g. `--set execution.start_cash={cure}`"
    )


def _market(data: Dataset, configs: Mapping[str, Any]) -> tuple[Floats, Floats, Floats]:
    """Of each symbol, (N,): the median close, the mean of price times volume of a bar, the usual depth; 0: unknown."""
    rows = data.rows(0, len(data))
    price, traded, depth = (np.zeros(len(data.symbols)) for _ in range(3))
    share, minutes = configs["microstructure"].proxy_depth_share, data.clock.seconds / 60.0
    for n in range(len(data.symbols)):
        turnover = rows.close[:, n] * rows.volume[:, n]
        turnover = turnover[np.isfinite(turnover)]
        if not len(turnover):
            continue
        price[n], traded[n] = np.nanmedian(rows.close[:, n]), turnover.mean()
        depth[n] = share * traded[n] / minutes
        if data.instruments.book_feed[n]:
            sides = [
                np.nansum(p[:, n] * s[:, n], axis=1)
                for p, s in ((rows.bid_price, rows.bid_size), (rows.ask_price, rows.ask_size))
            ]
            thin = np.minimum(*sides)
            if (thin > 0.0).any():
                depth[n] = np.median(thin[thin > 0.0])
    return price, traded, depth


def _span(bars: int, data: Dataset) -> str:
    return "a day of trading" if bars == data.clock.day else f"{bars} bars"


def _one_digit(x: float, *, up: bool) -> str:
    """Rounded to one digit, down or up."""
    power = 10.0 ** math.floor(math.log10(x))
    digit = math.ceil(x / power) if up else math.floor(x / power)
    return f"{digit * power:g}"


def _short(x: float) -> str:
    """Three digits, without an exponent where people write none."""
    return f"{float(f'{x:.3g}'):,.10g}"
