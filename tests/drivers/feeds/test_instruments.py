"""What `dataset.yml` says of the instruments: it reaches the layers, is held within bounds, and delivery ends a listing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflows.data.types import Instruments
from drivers.feeds.check import check_dataset
from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.errors import DataError
from drivers.store.summary import Summary
from tests.drivers.feeds.folders import NOW, START, bars, write

NAMES = ("BTCUSDT", "ETHUSDT")


def data_of(folder: Path, description: str, minutes: int = 20, **tables: pd.DataFrame) -> Dataset:
    return open_dataset(write(folder, bars=bars(minutes), description=description, **tables), now=NOW)


def facts_of(folder: Path, description: str) -> Instruments:
    return data_of(folder, description).instruments


def assert_refused(tmp_path: Path, text: str, says: str) -> None:
    """One sentence, which says this."""
    with pytest.raises(DataError) as refused:
        facts_of(tmp_path, text)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "column", "number"),
    [
        ("fee_currency", "base", "base_fee", 1),
        ("borrow_rate", "0.07", "borrow_rate", 0.07),
        ("maintenance_margin", "0.03", "maintenance_margin", 0.03),
        ("liquidation_fee_bps", "75", "liquidation_fee_bps", 75.0),
        ("delivery_price", "101.5", "delivery_price", 101.5),
        ("taker_fee_bps", "7", "taker_fee_bps", 7.0),
        ("start_position", "-2.5", "start_position", -2.5),
        ("start_price", "90", "start_price", 90.0),
    ],
)
def test_a_fact_is_one_value_or_a_mapping(key: str, value: str, column: str, number: float, tmp_path: Path) -> None:
    assert getattr(facts_of(tmp_path / "all", f"{key}: {value}"), column).tolist() == [number] * 2
    default = getattr(facts_of(tmp_path / "none", ""), column)[0]
    one = getattr(facts_of(tmp_path / "one", f"{key}: {{ETHUSDT: {value}}}"), column)
    assert one.tolist() == [default, number]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("borrow_rate: -0.01", "borrow_rate is -0.01; -0.01 should be a finite number that is not negative, from 0 to 10"),
        ("borrow_rate: 10.5", "borrow_rate is 10.5; 10.5 should be a finite number, from 0 to 10"),
        ("maintenance_margin: 1", "maintenance_margin is 1; 1 should be a finite number, from 0 to 0.99"),
        ("maintenance_margin: {ETHUSDT: .nan}", "nan should be a finite number, from 0 to 0.99"),
        ("liquidation_fee_bps: 1001", "from 0 to 1000"),
        ("taker_fee_bps: 1e300", "from 0 to 1000"),
        ("maker_fee_bps: -1001", "from -1000 to 1000"),
        ("delivery_price: .inf", "delivery_price is inf"),
        ("lot_size: 1e13", "from 0 to 1e+12"),
        ("most_orders: 100000", "most_orders is 100000"),
        ("orders_per_minute: 99999999999999999999", "orders_per_minute is 99999999999999999999"),
        ("leverage: .inf", "leverage is inf"),
        ("start_position: 1e13", "from -1e+12 to 1e+12"),
        (
            "kind: spot\nstart_position: {ETHUSDT: -1}",
            "start_position of ETHUSDT is -1, and no short positions are taken there",
        ),
        ("fee_currency: bitcoin", "fee_currency is 'bitcoin'"),
        ("delivery_time: 20260626", "20260626 is a number; write a time such as 2026-06-26T08:00Z"),
        ("delivery_time: soon", "delivery_time is 'soon'"),
        ("delivery_price: {ETHUSD: 5}", "delivery_price names ETHUSD, which the data do not have; did you mean ETHUSDT"),
        (
            "leverage: 20\nmaintenance_margin: 0.05",
            "maintenance_margin is 0.05, and a leverage of 20 asks for a margin of 0.05: what is bought",
        ),
        ("venue: perpetual\nleverage: 100", "maintenance_margin is 0.02, and a leverage of 100"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_key(text: str, says: str, tmp_path: Path) -> None:
    assert_refused(tmp_path, text, says)


def test_a_spot_market_takes_no_shorts_unless_it_says_so(tmp_path: Path) -> None:
    assert facts_of(tmp_path / "a", "kind: spot").long_only.tolist() == [1, 1]
    assert facts_of(tmp_path / "b", "kind: spot\nshorting: true").long_only.tolist() == [0, 0]
    assert facts_of(tmp_path / "c", "kind: future").long_only.tolist() == [0, 0]
    assert facts_of(tmp_path / "d", "shorting: false").long_only.tolist() == [1, 1]


@pytest.mark.parametrize("at", ["2026-03-01T00:08:00Z", "2026-03-01 00:07:30", "2026-03-01T01:07:30+01:00"])
def test_a_symbol_is_listed_until_the_bar_of_its_delivery(at: str, tmp_path: Path) -> None:
    data = data_of(tmp_path, f"delivery_time: {{ETHUSDT: {at}}}")
    seen = data.rows(0, 20)
    assert seen.listed[:, 0].tolist() == [1] * 20
    assert seen.listed[:, 1].tolist() == [1] * 8 + [0] * 12, "the bar that closes at 00:08 is its last"
    assert np.isnan(seen.close[8:, 1]).all()
    assert np.isfinite(seen.close[:8, 1]).all()
    assert data.quality.missing == 0


def test_a_symbol_stays_listed_beyond_its_last_bar_until_its_delivery(tmp_path: Path) -> None:
    frame = bars()
    early = frame[(frame["symbol"] == "BTCUSDT") | (frame["timestamp"] < START + pd.Timedelta(minutes=10))]
    folder = write(tmp_path, bars=early, description="delivery_time: {ETHUSDT: 2026-03-01T00:15:00Z}")
    assert open_dataset(folder, now=NOW).rows(0, 20).listed[:, 1].tolist() == [1] * 15 + [0] * 5


@pytest.mark.parametrize("at", ["2026-03-01T00:08:00Z", "2026-03-01 00:08:30", "2026-03-01T01:08:00+01:00"])
def test_a_symbol_is_listed_from_the_bar_of_its_listing(at: str, tmp_path: Path) -> None:
    alpha = bars()[["timestamp", "symbol"]].assign(value=1.0)
    data = data_of(tmp_path, f"listing_time: {{ETHUSDT: {at}}}", alpha=alpha)
    seen = data.rows(0, 20)
    assert seen.listed[:, 0].tolist() == [1] * 20
    assert seen.listed[:, 1].tolist() == [0] * 8 + [1] * 12, "the bar that opens at 00:08 is its first"
    assert np.isnan(seen.close[:8, 1]).all()
    assert np.isfinite(seen.close[8:, 1]).all()
    said = data.inputs(seen)["external_alpha"].value
    assert np.isnan(said[:8, 1]).all()
    assert np.isfinite(said[8:19, 1]).all()
    assert (data.quality.missing, data.quality.unlisted) == (0, 8)
    assert any("8 bars lie before the `listing_time`" in note for note in check_dataset(tmp_path, now=NOW).notes)


def test_a_symbol_that_is_listed_before_its_first_bar_is_missing_until_then(tmp_path: Path) -> None:
    frame = bars()
    late = frame[(frame["symbol"] == "BTCUSDT") | (frame["timestamp"] >= START + pd.Timedelta(minutes=10))]
    folder = write(tmp_path, bars=late, description="listing_time: {ETHUSDT: 2026-03-01T00:04:00Z}")
    data = open_dataset(folder, now=NOW)
    assert data.rows(0, 20).listed[:, 1].tolist() == [0] * 4 + [1] * 16
    assert data.quality.missing == 6
    assert [s.missing for s in check_dataset(folder, now=NOW).symbols] == [0, 6]


def test_a_symbol_whose_listing_lies_beyond_the_data_is_never_listed(tmp_path: Path) -> None:
    seen = data_of(tmp_path, "listing_time: {ETHUSDT: 2026-03-02}").rows(0, 20)
    assert seen.listed[:, 1].tolist() == [0] * 20
    assert np.isnan(seen.close[:, 1]).all()
    assert check_dataset(tmp_path, now=NOW).symbols[1].bars == 0


@given(first=st.integers(-300, 1500), last=st.integers(-300, 1500), gap=st.sets(st.integers(0, 19), max_size=15))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_bar_is_listed_if_any_of_it_lies_in_the_listing(tmp_path: Path, first: int, last: int, gap: set[int]) -> None:
    """Seconds from the first open on; bar k covers (60 k, 60 (k + 1)], and one that opens at the listing is the first."""
    frame = bars()
    minute = (frame["timestamp"] - START) // pd.Timedelta(minutes=1)
    frame = frame[(frame["symbol"] == "BTCUSDT") | ~minute.isin(gap)]
    at, end = (START + pd.Timedelta(seconds=s) for s in (first, last))
    text = f"listing_time: {{ETHUSDT: {at:%Y-%m-%dT%H:%M:%SZ}}}\ndelivery_time: {{ETHUSDT: {end:%Y-%m-%dT%H:%M:%SZ}}}"
    folder = write(tmp_path, bars=frame, description=text)
    if first >= last:
        with pytest.raises(DataError, match=r"ETHUSDT is listed from .* and delivered .*; correct one of them"):
            open_dataset(folder, now=NOW)
        return
    data = open_dataset(folder, now=NOW)
    seen = data.rows(0, 20)
    wanted = [first < 60 * (k + 1) and 60 * k < last for k in range(20)]
    assert seen.listed[:, 1].tolist() == [int(x) for x in wanted]
    assert np.isfinite(seen.close[:, 1]).tolist() == [x and k not in gap for k, x in enumerate(wanted)]
    assert data.quality.missing == sum(x and k in gap for k, x in enumerate(wanted))
    assert data.quality.unlisted == sum(not x and k not in gap for k, x in enumerate(wanted))


def test_the_universe_is_what_the_folder_names_unless_the_run_does(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=bars(symbols=("000001", "ON", "BTCUSDT")), description="symbols: [ON, 000001]")
    assert open_dataset(folder, now=NOW).symbols == ("000001", "ON"), "names as they are written, not True and 1"
    assert open_dataset(folder, symbols=("BTCUSDT",), now=NOW).symbols == ("BTCUSDT",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("symbols: [BTCUSDT, ETHUSD]", "symbols names ETHUSD, which the data do not have; did you mean ETHUSDT?"),
        ("symbols: []", "symbols is []"),
        ("symbols: BTCUSDT", "symbols is 'BTCUSDT'"),
        ("listing_time: {ETHUSD: 2026-03-01}", "listing_time names ETHUSD, which the data do not have"),
        ("listing_time: 20260301", "20260301 is a number; write a time"),
        (
            "listing_time: 2026-03-02\ndelivery_time: {ETHUSDT: 2026-03-01T12:00Z}",
            "ETHUSDT is listed from 2026-03-02T00:00:00Z and delivered 2026-03-01T12:00:00Z; correct one of them",
        ),
    ],
)
def test_a_universe_that_cannot_be_is_refused_by_name(text: str, says: str, tmp_path: Path) -> None:
    assert_refused(tmp_path, text, says)


def test_a_position_from_before_the_start_needs_a_price_in_the_first_bar(tmp_path: Path) -> None:
    frame = bars()
    late = frame[(frame["symbol"] == "BTCUSDT") | (frame["timestamp"] > START)]
    with pytest.raises(
        DataError, match="start_position names ETHUSDT, which has no price in the first bar; begin the run later"
    ):
        open_dataset(write(tmp_path, bars=late, description="start_position: {ETHUSDT: 1}"), now=NOW)


# -- contracts and currencies -------------------------------------------------------------------------------------------------


def test_contracts_are_told_apart_by_symbol(tmp_path: Path) -> None:
    text = "contract: {BTCUSDT: inverse}\nmultiplier: {BTCUSDT: 100, ETHUSDT: 0.5}"
    facts = facts_of(tmp_path, text)
    assert facts.inverse.tolist() == [1, 0]
    assert facts.multiplier.tolist() == [100.0, 0.5]
    none = facts_of(tmp_path / "none", "")
    assert (none.multiplier.tolist(), none.inverse.tolist()) == ([1.0, 1.0], [0, 0])


def test_what_settles_in_another_currency_is_converted_into_the_account_s(tmp_path: Path) -> None:
    text = "quote_currency: {BTCUSDT: EUR, ETHUSDT: USD}\naccount_currency: USD\nconversion: {EUR: 1.25}\nmin_notional: 8\nmultiplier: 2"
    facts = facts_of(tmp_path, text)
    assert facts.multiplier.tolist() == [2.5, 2.0]
    assert facts.min_notional.tolist() == [10.0, 8.0]


@pytest.mark.parametrize(
    "text",
    [
        "quote_currency: USDT",
        "quote_currency: USDT\nsettle_currency: USDC",
        "settle_currency: USDT\nquote_currency: {BTCUSDT: USD, ETHUSDT: EUR}",
        "quote_currency: USD\ncontract: inverse\nsettle_currency: BTC",
    ],
)
def test_one_currency_of_settlement_needs_no_conversion(text: str, tmp_path: Path) -> None:
    assert facts_of(tmp_path, text).multiplier.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("quote_currency: {BTCUSDT: USDT, ETHUSDT: BTC}", "ETHUSDT settles in BTC, and the account is in USDT: leave it out"),
        ("quote_currency: USDT\naccount_currency: EUR", "BTCUSDT settles in USDT, and the account is in EUR"),
        ("quote_currency: USDT\naccount_currency: EUR\nconversion: {USD: 0.9}", "e.g. `conversion: {USDT: 1.08}`"),
        ("quote_currency: {BTCUSDT: USDT}", "the currency in which ETHUSDT settles is not named, and the account is in USDT"),
        ("account_currency: USD", "the currency in which BTCUSDT settles is not named, and the account is in USD"),
        ("quote_currency: USD\ncontract: inverse", "BTCUSDT is an inverse contract quoted in USD, which settles in its base"),
        ("conversion: {EUR: 0}", "conversion is 0"),
        ("conversion: {EUR: .inf}", "conversion is inf"),
        ("multiplier: 0", "multiplier is 0"),
        ("multiplier: 1e10", "from 1e-09 to 1e+09"),
        ("contract: quanto", "contract is 'quanto'"),
        ("contract: inverse\nfee_currency: base", "fee_currency is base, and BTCUSDT is an inverse contract"),
    ],
)
def test_currencies_and_contracts_that_do_not_fit_are_refused_by_name(text: str, says: str, tmp_path: Path) -> None:
    assert_refused(tmp_path, text, says)


def test_only_the_symbols_that_a_run_takes_have_to_fit(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=bars(), description="quote_currency: {BTCUSDT: USDT, ETHUSDT: BTC}")
    assert open_dataset(folder, symbols=["ETHUSDT"], now=NOW).instruments.multiplier.tolist() == [1.0]


# -- funding ------------------------------------------------------------------------------------------------------------------


def funding(*minutes: float, symbol: str = "ETHUSDT") -> pd.DataFrame:
    times = [START + pd.Timedelta(minutes=m) for m in minutes]
    return pd.DataFrame({"timestamp": times, "symbol": symbol, "funding_rate": [1e-4] * len(times)})


def test_a_payment_some_milliseconds_off_is_that_of_its_minute(tmp_path: Path) -> None:
    """At a clock of a second: 00:04:59.998, 00:10:00.003 and 00:15:00 are paid on the minute, 00:17:30 where it stands."""
    frame = bars(1200).assign(timestamp=lambda f: START + (f["timestamp"] - START) / 60)
    table = pd.concat([funding(5 - 0.002 / 60, 10 + 0.003 / 60), funding(15, 17.5, symbol="BTCUSDT")])
    data = open_dataset(write(tmp_path, bars=frame, funding=table, description="clock: 1s"), now=NOW)
    rate = data.rows(0, 1200).funding_rate
    assert np.flatnonzero(rate[:, 1]).tolist() == [299, 599]
    assert np.flatnonzero(rate[:, 0]).tolist() == [899, 1049]


def test_the_unknown_funding_of_a_perpetual_is_said(tmp_path: Path) -> None:
    """Six hours of bars; ETHUSDT pays every hour but at 03:00 and 04:00, and BTCUSDT has no rate."""
    table = funding(60, 120, 300 + 0.003 / 60, 360)
    data = data_of(tmp_path / "p", "kind: perpetual", 400, funding=table)
    assert [tuple(u) for u in data.unknown_funding] == [("BTCUSDT", 0, 0), ("ETHUSDT", 2, 6)]
    said = (
        "the funding of BTCUSDT is unknown: perpetuals pay it, no rate is in the data, and none is charged; add funding.*",
        "2 of 6 funding payments of ETHUSDT are not in the data, and none is charged for them",
    )
    assert all(any(note.startswith(text) for note in check_dataset(tmp_path / "p", now=NOW).notes) for text in said)
    assert Summary(NAMES, notes=said).figures()["notes"] == list(said)


@pytest.mark.parametrize("description", ["", "kind: spot", "kind: future", "venue: spot"])
def test_nothing_is_said_of_the_funding_of_what_pays_none(description: str, tmp_path: Path) -> None:
    assert data_of(tmp_path, description).unknown_funding == ()


def test_funding_before_the_first_and_after_the_last_payment_is_missed_too(tmp_path: Path) -> None:
    table = pd.concat([funding(180, 240, symbol=name) for name in NAMES])
    data = data_of(tmp_path, "venue: perpetual", 480, funding=table)
    assert [u[1:] for u in data.unknown_funding] == [(2 + 4, 8)] * 2, "01:00, 02:00 and 05:00 to 08:00"
    whole = pd.concat([funding(*range(60, 481, 60), symbol=name) for name in NAMES])
    assert data_of(tmp_path / "whole", "venue: perpetual", 480, funding=whole).unknown_funding == ()
