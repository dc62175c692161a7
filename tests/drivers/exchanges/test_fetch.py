"""An exchange's history as a folder: right, whole, resumable, and unimpressed by what exchanges answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from drivers.exchanges.access import Exchange
from drivers.exchanges.errors import ExchangeFault, ExchangeOutage
from drivers.exchanges.fetch import FetchRequest, fetch
from drivers.exchanges.history import Counts, candles
from drivers.exchanges.practice.faults import KINDS, Faults
from drivers.exchanges.practice.market import MINUTE, ORIGIN
from drivers.exchanges.practice.server import PracticeExchange
from drivers.feeds.dataset import open_dataset
from tests.drivers.exchanges.conftest import DAY, NOW

MS = 1_000_000
STEP = MINUTE * MS
Connect = Callable[..., Exchange]


def request(
    out: Path, start: int = ORIGIN + DAY, end: int = NOW, symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT")
) -> FetchRequest:
    return FetchRequest(symbols, start * MS, end * MS, STEP, out)


def by_hand(practice: PracticeExchange, symbol: str, start: int, end: int) -> pd.DataFrame:
    """Candles from the practice market's trades, by pandas."""
    rows = []
    for ms in range(start, end, MINUTE):
        made = practice.market.trades(symbol, (ms - ORIGIN) // MINUTE)
        trades = pd.DataFrame({"price": made.price, "size": made.size})
        if len(trades):
            p = trades.price
            rows.append((ms, p.iloc[0], p.max(), p.min(), p.iloc[-1], trades["size"].sum()))
    return pd.DataFrame(rows, columns=["ms", "open", "high", "low", "close", "volume"]).set_index("ms")


def read(out: Path, symbol: str) -> pd.DataFrame:
    bars = pd.read_parquet(out / "bars.parquet")
    mine = bars[bars.symbol == symbol]
    return mine.set_index(mine.timestamp.dt.as_unit("ns").astype("int64") // MS)


def test_the_folder_holds_every_closed_candle_once_and_a_run_takes_it(
    connected: Connect, practice: PracticeExchange, tmp_path: Path
) -> None:
    result = fetch(connected(), request(tmp_path / "m"))
    for symbol in ("BTCUSDT", "ETHUSDT"):
        found, expected = read(tmp_path / "m", symbol), by_hand(practice, symbol, ORIGIN + DAY, NOW // MINUTE * MINUTE)
        assert list(found.index) == list(range(ORIGIN + DAY, NOW // MINUTE * MINUTE, MINUTE))
        assert np.allclose(found.loc[expected.index, list(expected.columns)], expected, rtol=0, atol=1e-8)
    data = open_dataset(tmp_path / "m")
    assert (data.symbols, len(data), data.clock.seconds) == (("BTCUSDT", "ETHUSDT"), 1_440, 60)
    assert data.time[-1] == NOW // MINUTE * STEP and result.retries == 0
    assert [of.missing for of in result.symbols] == [0, 0] and not list(tmp_path.glob("*.partial"))


def test_the_description_is_the_exchange_s_own(connected: Connect, tmp_path: Path) -> None:
    fetch(connected(), request(tmp_path / "m"))
    about = yaml.safe_load((tmp_path / "m" / "dataset.yml").read_text())
    assert {key: about[key] for key in ("tick_size", "lot_size", "min_notional", "quote_currency", "taker_fee_bps", "kind")} == {
        "tick_size": 0.01, "lot_size": 0.0001, "min_notional": 5.0, "quote_currency": "USDT", "taker_fee_bps": 10.0, "kind": "spot",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_exchange_answers_the_folder_is_the_same(
    connected: Connect, practice: PracticeExchange, tmp_path: Path, kind: str
) -> None:
    sound = fetch(connected(), request(tmp_path / "sound"))
    faults = Faults(rate=0.7, kinds=(kind,), seed=3)
    result = fetch(connected(faults), request(tmp_path / "faulty"))
    assert faults.happened.count(kind) >= 2
    one, other = ((tmp_path / name / "bars.parquet") for name in ("sound", "faulty"))
    if kind == "empty":  # nothing tells an empty answer from a time without candles: what is not there is counted
        missing = sum(of.missing for of in result.symbols) + sum(
            a.rows - b.rows for a, b in zip(sound.symbols, result.symbols, strict=True)
        )
        assert len(pd.read_parquet(one)) - len(pd.read_parquet(other)) <= missing
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(one), pd.read_parquet(other))
        assert kind in ("418", "429") or result.retries >= 2


def test_what_the_exchange_asks_to_wait_is_waited(connected: Connect, tmp_path: Path) -> None:
    fetch(connected(Faults(rate=0.6, kinds=("429",), seed=2)), request(tmp_path / "m"))
    waits = connected.waits  # type: ignore[attr-defined]
    assert waits and min(waits) >= 1.0


def test_an_exchange_that_does_not_come_back_ends_in_a_sentence_and_the_same_command_goes_on(
    connected: Connect, practice: PracticeExchange, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    broken = Faults(rate=0.999, kinds=("502",), most=10_000)

    def after_a_page(what: str, share: float) -> None:
        practice.faults = broken

    asked = request(out, start=ORIGIN)  # three pages a symbol
    exchange = connected()
    with pytest.raises(ExchangeOutage, match=r"practice did not answer in 8 tries \(.*\); what was fetched is kept in "):
        fetch(exchange, asked, after_a_page)
    assert not out.exists() and list((tmp_path / "m.partial" / "parts").iterdir()) == []
    practice.faults = Faults()
    with pytest.raises(KeyboardInterrupt):
        fetch(connected(), asked, interrupting(3))
    exchange = connected()
    begun = len(practice.asked)
    fetch(exchange, asked)
    whole = fetch(connected(), request(tmp_path / "once", start=ORIGIN))
    pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / name / "bars.parquet") for name in ("m", "once")))
    assert whole.symbols[0].rows == 2_880 and begun < len(practice.asked)


def interrupting(page: int) -> Callable[[str, float], None]:
    """Ctrl-C after so many pages."""
    seen: list[float] = []

    def progress(what: str, share: float) -> None:
        seen.append(share)
        if len(seen) == page:
            raise KeyboardInterrupt

    return progress


def test_only_what_is_missing_is_asked_for_when_a_folder_is_brought_up_to_date(
    connected: Connect, practice: PracticeExchange, tmp_path: Path
) -> None:
    fetch(connected(), request(tmp_path / "m", end=ORIGIN + DAY + 3_600_000))
    exchange = connected()
    practice.asked.clear()
    fetch(exchange, request(tmp_path / "m", end=NOW))
    starts = [int(part.split("=")[1]) for path in practice.asked for part in path.split("&") if "startTime" in part]
    assert min(starts) >= ORIGIN + DAY + 3_600_000
    fetch(connected(), request(tmp_path / "once"))
    pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / name / "bars.parquet") for name in ("m", "once")))


def test_a_folder_of_something_else_is_left_alone(connected: Connect, tmp_path: Path) -> None:
    out = tmp_path / "m"
    out.mkdir()
    (out / "bars.csv").write_text("mine")
    with pytest.raises(ExchangeFault, match="was not made by `data fetch`; name another --out"):
        fetch(connected(), request(out))
    assert (out / "bars.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("symbols", "said"),
    [
        (("BTC/USD",), "practice has no spot symbol 'BTC/USD'; did you mean BTC/USDT?"),
        (("XX/YY",), "has no spot symbol 'XX/YY'"),
    ],
)
def test_a_symbol_that_is_not_there_is_named(connected: Connect, tmp_path: Path, symbols: tuple[str, ...], said: str) -> None:
    with pytest.raises(ExchangeFault, match=said.replace("?", r"\?")):
        fetch(connected(), request(tmp_path / "m", symbols=symbols))


def test_a_clock_that_the_exchange_lacks_is_refused_by_name(connected: Connect) -> None:
    with pytest.raises(ExchangeFault, match="practice has no bars of 7 s; there are: "):
        next(candles(connected(), "BTC/USDT", 7_000 * MS, ORIGIN * MS, NOW * MS, Counts()))


def test_rows_that_come_again_or_are_impossible_are_counted(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = connected()
    rows: list[list[Any]] = [
        [ORIGIN, 1.0, 2.0, 0.5, 1.5, 3.0],
        [ORIGIN, 1.0, 2.0, 0.5, 1.5, 3.0],
        [ORIGIN + MINUTE, 1.5, 1.4, 1.0, 1.2, 1.0],  # high below open
        [ORIGIN + 2 * MINUTE, 1.2, 1.3, 1.1, 1.2, 0.0],
    ]
    monkeypatch.setattr(exchange.client, "fetch_ohlcv", lambda *_: rows)
    counts = Counts()
    (page,) = candles(exchange, "BTC/USDT", STEP, ORIGIN * MS, (ORIGIN + 3 * MINUTE) * MS, counts)
    assert [row[0] for row in page] == [ORIGIN * MS, (ORIGIN + 2 * MINUTE) * MS]
    assert (counts.repeated, counts.impossible) == (1, 1)
