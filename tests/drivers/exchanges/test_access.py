"""Addresses, names and steps of exchanges."""

from __future__ import annotations

from pathlib import Path

import ccxt
import pytest
from ccxt.base.decimal_to_precision import DECIMAL_PLACES, TICK_SIZE

from drivers.exchanges.access import client_of, exchange_rules, moved
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.markets import described, name_of
from drivers.feeds.venue_facts import OWN_VENUES
from drivers.venues.description import VenueError, VenueRules, read_venue


def test_every_address_of_a_kind_is_moved_and_keeps_its_path() -> None:
    urls = {"public": "https://api.x.com/api/v3", "ws": {"spot": "wss://s.x.com:9443/ws"}, "off": None}
    assert moved(urls, "http://127.0.0.1:1", "ws://127.0.0.1:2") == {
        "public": "http://127.0.0.1:1/api/v3", "ws": {"spot": "ws://127.0.0.1:2/ws"}, "off": None,
    }  # fmt: skip
    assert moved(urls, "", "") == urls


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx", "kraken", "coinbase", "bitstamp"])
def test_no_address_of_the_exchange_is_left_when_others_are_named(exchange: str) -> None:
    rules = VenueRules(
        about="x",
        kind="spot",
        exchange=exchange,
        endpoints={"rest": "http://127.0.0.1:1"},
        options={"defaultType": "spot"},  # type: ignore[arg-type]
    )
    client = client_of("x", rules)

    def texts(urls: object) -> list[str]:
        return [t for value in urls.values() for t in texts(value)] if isinstance(urls, dict) else [str(urls)]

    rest = [text for text in texts(client.urls["api"]) if text.startswith("http")]
    assert rest and all(client.implode_hostname(text).startswith("http://127.0.0.1:1") for text in rest)


def test_an_exchange_that_ccxt_lacks_is_refused_with_the_nearest() -> None:
    with pytest.raises(ExchangeFault, match=r"mine\.yml: exchange is 'binanc'; did you mean binance"):
        client_of("mine", VenueRules(about="x", kind="spot", exchange="binanc"))


def test_venues_of_the_project_go_before_the_package_s(tmp_path: Path) -> None:
    (tmp_path / "binance_spot.yml").write_text("about: mine\nkind: spot\nexchange: binance\nsymbols: [SOL/USDT]\n")
    assert exchange_rules("binance_spot", [tmp_path, OWN_VENUES]).about == "mine"
    assert exchange_rules("binance_spot", [OWN_VENUES]).exchange == "binance"
    with pytest.raises(ExchangeFault, match=r"has no binance_spto\.yml; did you mean binance_spot\?"):
        exchange_rules("binance_spto", [OWN_VENUES])
    with pytest.raises(ExchangeFault, match=r"spot\.yml describes rules and names no exchange"):
        exchange_rules("spot", [OWN_VENUES])


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ftp://x", "http://a b", "http://x/path"])
def test_an_endpoint_is_a_scheme_and_a_host(tmp_path: Path, address: str) -> None:
    path = tmp_path / "v.yml"
    path.write_text(f"about: x\nkind: spot\nexchange: binance\nendpoints: {{rest: '{address}'}}\n")
    with pytest.raises(VenueError, match="endpoints"):
        read_venue(path)


@pytest.mark.parametrize(("symbol", "name"), [("BTC/USDT", "BTCUSDT"), ("BTC/USDT:USDT", "BTCUSDT"), ("1INCH/EUR", "1INCHEUR")])
def test_symbols_are_named_as_in_the_dumps_of_exchanges(symbol: str, name: str) -> None:
    assert name_of(symbol) == name


def market(symbol: str, price: float | None, amount: float | None, **more: object) -> dict[str, object]:
    base, quote = symbol.split("/")
    return {"symbol": symbol, "base": base, "quote": quote, "precision": {"price": price, "amount": amount},
            "limits": {"cost": {"min": None}}, "taker": 0.001, "maker": -0.0001, "settle": None, "contractSize": None, **more}  # fmt: skip


def test_steps_and_fees_are_in_our_units_and_one_value_stands_for_all() -> None:
    two = [market("BTC/USDT", 0.01, 1e-5), market("ETH/USDT", 0.01, 1e-4)]
    assert described(two, TICK_SIZE) == {
        "tick_size": 0.01, "lot_size": {"BTCUSDT": 1e-5, "ETHUSDT": 1e-4}, "taker_fee_bps": 10.0, "maker_fee_bps": -1.0, "quote_currency": "USDT",
    }  # fmt: skip
    assert described([market("BTC/USDT", 2, None)], DECIMAL_PLACES)["tick_size"] == pytest.approx(0.01)
    swap = market("BTC/USD", 0.5, 1.0, settle="BTC", contractSize=100.0, inverse=True)
    found = described([swap], TICK_SIZE)
    assert (found["contract"], found["multiplier"], found["settle_currency"]) == ("inverse", 100.0, "BTC")


def test_significant_digits_are_refused() -> None:
    with pytest.raises(ExchangeFault, match="significant digits"):
        described([market("BTC/USDT", 5, 5)], ccxt.SIGNIFICANT_DIGITS)
