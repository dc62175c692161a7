"""What is suggested for a wrong name, and that there is one rule for it."""

from __future__ import annotations

from pathlib import Path

import pytest

import drivers
from drivers.text.suggestions import did_you_mean, layer_hint, layer_named, nearest

LAYERS = ("l4_risk_gate", "l12_regression_slope_short", "l15_rsi_short", "l20_regression_slope_medium")


@pytest.mark.parametrize(
    ("wrong", "known", "found"),
    [
        ("Volume", ["price", "volume"], ["volume"]),
        ("btc-usdt", ["BTC_USDT", "ETH_USDT"], ["BTC_USDT"]),
        ("rsi", LAYERS, ["l15_rsi_short"]),
        ("regression-slope", LAYERS, ["l12_regression_slope_short", "l20_regression_slope_medium"]),
        ("slope regression", LAYERS, ["l12_regression_slope_short", "l20_regression_slope_medium"]),
        ("gros", ["gross", "net"], ["gross"]),
        ("binance", ["binance-aggtrades", "binance-klines", "bybit"], ["binance-aggtrades", "binance-klines"]),
        ("zzz", LAYERS, []),
        ("x", [], []),
    ],
)
def test_the_nearest_names(wrong: str, known: list[str], found: list[str]) -> None:
    assert nearest(wrong, known) == found


def test_what_is_known_is_listed_when_nothing_is_near() -> None:
    assert did_you_mean("gros", ["gross", "net"]) == "did you mean gross?"
    assert did_you_mean("regression", LAYERS) == "did you mean l12_regression_slope_short or l20_regression_slope_medium?"
    assert did_you_mean("zzz", ["a", "b"]) == "there are: a, b."
    assert did_you_mean("zzz", [], "write a") == "write a"
    assert did_you_mean("zzz", []) == "there are: none."
    many = [f"a{i}" for i in range(20)]
    assert did_you_mean("zzz", many).endswith("a11 and 8 more.")


@pytest.mark.parametrize("wanted", ["L12", "l12", "12", "012", "l12_regression_slope_short", "L12-regression-slope-short"])
def test_a_layer_is_named_by_its_number_or_its_name(wanted: str) -> None:
    assert layer_named(wanted, LAYERS) == "l12_regression_slope_short"


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("13", "the nearest is L12 l12_regression_slope_short."),
        ("L99", "the nearest is L20 l20_regression_slope_medium."),
        ("l12_regresion_slope_short", "did you mean l12_regression_slope_short?"),
        ("zzz", "`stratoquant layers` lists them."),
    ],
)
def test_a_layer_that_does_not_exist_gets_a_hint(wanted: str, hint: str) -> None:
    assert layer_named(wanted, LAYERS) is None
    assert layer_hint(wanted, LAYERS) == hint


def test_one_module_compares_names_by_their_spelling() -> None:
    root = Path(drivers.__path__[0])
    users = sorted(str(p.relative_to(root)) for p in root.rglob("*.py") if "get_close_matches" in p.read_text(encoding="utf-8"))
    assert users == ["text/suggestions.py"]
