"""Prices at zero and below: the feed adds `price_shift` to all of them, and refuses what has no meaning beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from tests.drivers.feeds.folders import NOW, bars, book, trades, write

SHIFT = 150.0
ABOUT = "clock: 1m\nkind: future\nprice_shift: {BTCUSDT: 150}\n"


def lowered(frame: pd.DataFrame, by: float = 128.0) -> pd.DataFrame:
    """The prices of BTCUSDT that much lower: around -28."""
    frame = frame.copy()
    mine = frame["symbol"] == "BTCUSDT"
    for name in frame:
        if name in ("open", "high", "low", "close", "price") or "_px_" in str(name):
            frame.loc[mine, name] -= by
    return frame


def test_bars_book_and_trades_are_shifted_alike(tmp_path: Path) -> None:
    tables = {"bars": lowered(bars()), "book": lowered(book()), "trades": lowered(trades())}
    assert (tables["bars"].query("symbol == 'BTCUSDT'")["high"] < 0.0).all()
    shifted = open_dataset(write(tmp_path / "a", description=ABOUT, **tables), now=NOW)
    plain = open_dataset(write(tmp_path / "b", bars=bars(), book=book(), trades=trades(), description="clock: 1m"), now=NOW)
    a, b = shifted.rows(0, 20), plain.rows(0, 20)
    for name in ("open", "high", "low", "close", "vwap", "bid_price", "ask_price"):
        x, y = getattr(a, name), getattr(b, name)
        np.testing.assert_allclose(x[:, 0], y[:, 0] - 128.0 + SHIFT, rtol=1e-12, err_msg=name)
        np.testing.assert_array_equal(x[:, 1], y[:, 1], err_msg=name)
    for name in ("volume", "trade_count", "buy_volume", "bid_size", "ask_size", "book_age"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(shifted.instruments.price_shift, [SHIFT, 0.0])
    assert any("prices of BTCUSDT are shown with its price_shift of 150 added" in note for note in shifted.notes())


def test_bars_of_trades_at_negative_prices(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, trades=lowered(trades()), description=ABOUT), now=NOW)
    mine = trades().query("symbol == 'BTCUSDT'")["price"] - 128.0 + SHIFT
    assert np.nanmax(data.rows(0, len(data)).high[:, 0]) == mine.max()
    assert np.nanmin(data.rows(0, len(data)).low[:, 0]) == mine.min()


def test_a_level_without_a_size_is_absent_and_a_price_of_zero_with_one_is_not(tmp_path: Path) -> None:
    frame = book(depth=2)
    mine = frame["symbol"] == "BTCUSDT"
    frame.loc[mine, ["bid_px_0", "bid_px_1", "ask_px_0", "ask_px_1"]] = [0.0, -1.0, 1.0, 0.0]
    frame.loc[mine, ["bid_sz_0", "bid_sz_1", "ask_sz_0", "ask_sz_1"]] = [2.0, 3.0, 4.0, 0.0]
    seen = open_dataset(write(tmp_path, bars=lowered(bars()), book=frame, description=ABOUT), now=NOW).rows(0, 20)
    assert (seen.bid_price[:, 0] == [SHIFT, SHIFT - 1.0]).all()
    assert (seen.ask_price[:, 0, 0] == SHIFT + 1.0).all()
    assert np.isnan(seen.ask_price[:, 0, 1]).all()


def test_settlement_and_first_prices_are_shifted_too(tmp_path: Path) -> None:
    text = ABOUT + "delivery_price: {BTCUSDT: -37.5}\nstart_price: {BTCUSDT: -20}\nstart_position: {BTCUSDT: 1}\n"
    facts = open_dataset(write(tmp_path, bars=lowered(bars()), description=text), now=NOW).instruments
    assert (facts.delivery_price[0], facts.start_price[0], facts.delivery_price[1]) == (SHIFT - 37.5, SHIFT - 20.0, 0.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("price_shift: {BTCUSDT: 150}", "price_shift of BTCUSDT is 150, and only linear futures can cost nothing or less"),
        ("kind: spot\nprice_shift: 150", "only linear futures can cost nothing or less; write `kind: future`"),
        ("kind: future\nprice_shift: 20", "with the price_shift of 20 it must be positive: name a larger one in dataset.yml"),
        ("kind: future", "a price must be positive: correct or remove it, or name a `price_shift` in dataset.yml"),
        ("kind: future\nprice_shift: -1", "price_shift is -1"),
        ("kind: future\nprice_shift: .nan", "price_shift is nan"),
        ("kind: future\nprice_shift: {BTC: 1}", "price_shift names BTC, which the data do not have"),
        (ABOUT + "contract: inverse", "only linear futures can cost nothing or less"),
        (ABOUT + "min_notional: 5", "min_notional is a share of a price, which has no meaning at zero and below; leave it out"),
        (ABOUT + "borrow_rate: 0.1", "borrow_rate is a share of a price"),
        (ABOUT + "tick_size: 0.7", "which is not a whole number of ticks of 0.7"),
        (ABOUT + "delivery_price: -150", "delivery_price of BTCUSDT is -150; with the price_shift of 150 it must be positive"),
        ("kind: future\nprice_shift: 150\ndelivery_price: -150", "delivery_price of BTCUSDT is -150"),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_sentence(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        open_dataset(write(tmp_path, bars=lowered(bars()), description=text), now=NOW)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_splits_and_funding_beside_a_shift_are_refused(tmp_path: Path) -> None:
    row = bars().iloc[[4]][["timestamp", "symbol"]]
    for stem, table in (("splits", row.assign(ratio=2.0)), ("funding", row.assign(funding_rate=1e-4))):
        with pytest.raises(DataError, match=f"and {stem} is a share of a price"):
            open_dataset(write(tmp_path / stem, bars=lowered(bars()), description=ABOUT, **{stem: table}), now=NOW)
