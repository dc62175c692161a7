"""Which fields a layer reads, and the warning of those that none does."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from dataflows.panel import Panel
from drivers.graph.field_flow import fields_read
from drivers.graph.modules import layer_modules
from drivers.graph.network import forms_of
from drivers.graph.rules.fields import unread_fields
from drivers.graph.rules.findings import warnings_of
from drivers.graph.wiring import Unread, Wiring, load
from drivers.project.locate import defaults


class Prices(NamedTuple):
    """A part of a record."""

    close: Panel
    high: Panel

    @property
    def middle(self) -> Panel:
        """What is no field."""
        return 0.5 * (self.close + self.high)


class Feed(NamedTuple):
    """What the functions below read."""

    prices: Prices
    volume: Panel
    valid: Panel


def _sum(prices: Prices, weight: Any) -> Any:
    return prices.close + weight


def direct(feed: Feed) -> Any:
    return feed.prices.close + feed.volume


def by_another_name(feed: Feed) -> Any:
    prices, other = feed.prices, feed
    return prices.high + other.valid


def through_a_function(feed: Feed) -> Any:
    return _sum(feed.prices, feed.valid)


def through_a_keyword(feed: Feed) -> Any:
    return _sum(weight=1.0, prices=feed.prices)


def handed_on(feed: Feed) -> Any:
    return [feed.prices]


def whole(feed: Feed) -> Any:
    return feed


def by_a_property(feed: Feed) -> Any:
    return feed.prices.middle


ALL = {("prices", "close"), ("prices", "high"), ("volume",), ("valid",)}


@pytest.mark.parametrize(
    ("fn", "read"),
    [
        (direct, {("prices", "close"), ("volume",)}),
        (by_another_name, {("prices", "high"), ("valid",)}),
        (through_a_function, {("prices", "close"), ("valid",)}),
        (through_a_keyword, {("prices", "close")}),
        (handed_on, {("prices", "close"), ("prices", "high")}),
        (whole, ALL),
        (by_a_property, {("prices", "close"), ("prices", "high")}),
    ],
)
def test_fields_are_followed_through_names_and_functions(fn: Any, read: set[tuple[str, ...]]) -> None:
    assert fields_read(fn, "feed", Feed) == read


@pytest.fixture(scope="module")
def ours() -> tuple[Wiring, list[Any]]:
    return load(defaults().wiring), forms_of(layer_modules(defaults()))


def test_no_field_of_ours_is_unread_without_a_reason() -> None:
    assert [finding.message for finding in warnings_of(defaults())] == []


def test_an_unread_field_is_named_with_the_cure(ours: tuple[Wiring, list[Any]]) -> None:
    wiring, forms = ours
    short = wiring.model_copy(update={"unread": wiring.unread[1:]})
    found = {finding.edge: finding for finding in unread_fields(short, forms)}
    assert set(found) == set(wiring.unread[0].fields)
    assert found["l0_market_feed.quality.frozen"].message == (
        "L0 l0_market_feed gives l0_market_feed.quality.frozen, which no layer reads; let one read it, drop it, or name it "
        "under `unread` in wiring_master.yaml with the reason."
    )


def test_a_reason_for_what_is_read_or_not_there_is_stale(ours: tuple[Wiring, list[Any]]) -> None:
    wiring, forms = ours
    stale = Unread(
        reason="none", fields=("l2_returns_volatility.sigma", "l2_returns_volatility.sigmoid", "l99_pine_mirror.side")
    )
    messages = [
        finding.message for finding in unread_fields(wiring.model_copy(update={"unread": (*wiring.unread, stale)}), forms)
    ]
    assert len(messages) == 3
    assert "names l2_returns_volatility.sigma, which l" in messages[0] and "reads; remove it there." in messages[0]
    assert "names l2_returns_volatility.sigmoid, which no layer gives" in messages[1]


def test_nothing_is_said_while_a_layer_is_disabled(ours: tuple[Wiring, list[Any]]) -> None:
    wiring, forms = ours
    off = wiring.layers["l48_lead_lag"].model_copy(update={"enabled": False})
    part = wiring.model_copy(update={"layers": {**wiring.layers, "l48_lead_lag": off}, "unread": ()})
    assert list(unread_fields(part, forms)) == []
