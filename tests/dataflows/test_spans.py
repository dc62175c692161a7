"""Times in the configuration become the right numbers of bars at every clock of every market."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import pytest

from dataflows.config import ConfigError, default_written, resolve, setting, spans_of
from dataflows.spans import MINUTES, BarClock
from drivers.project.configs import load_configs
from drivers.project.domains import config_records
from drivers.project.locate import defaults

HOURS = BarClock(3_600, 24, 168)
NEW_YORK = BarClock(3_600, 7, 35, 251.6)  # 09:30 to 16:00 touches seven hours
DAYS = BarClock(86_400, 1, 5, 251.6)
SECONDS = BarClock(1, 86_400, 604_800)


class ToyConfig(NamedTuple):
    window_bars: Annotated[int, setting("bars", "a window", ge=2, le=20_000, least=10)] = 240
    halflife: Annotated[float, setting("bars", "a half-life", gt=0, least=2)] = 2.5
    slow_15: Annotated[int, setting("15-bars", "of the second timeframe", ge=1, least=4)] = 32
    steps: Annotated[tuple[int, int], setting("bars", "two", ge=1, least=2, ladder=("5m", "1h", "4h", "1d", "1w"))] = (5, 60)
    period: Annotated[int, setting("bars", "of the method", ge=2)] = 14


def at(clock: BarClock | None, **values: Any) -> Any:
    return resolve(ToyConfig, values, source="toy.yml", clock=clock)


@pytest.mark.parametrize(
    ("clock", "bars"), [(MINUTES, 240), (HOURS, 10), (NEW_YORK, 10), (DAYS, 10), (BarClock(300, 288, 2016), 48)]
)
def test_a_time_is_its_bars_and_never_fewer_than_the_least(clock: BarClock, bars: int) -> None:
    assert at(clock).window_bars == bars
    assert at(clock, window_bars="240m").window_bars == bars


@pytest.mark.parametrize(("clock", "bars"), [(MINUTES, 1440 * 2), (HOURS, 48), (NEW_YORK, 14), (DAYS, 10)])
def test_a_day_is_a_day_of_trading(clock: BarClock, bars: int) -> None:
    assert at(clock, window_bars="2d").window_bars == bars


def test_hours_are_hours_and_weeks_are_weeks_of_trading() -> None:
    assert at(NEW_YORK, window_bars="24h").window_bars == 24
    assert at(NEW_YORK, window_bars="2w").window_bars == 70
    assert at(HOURS, window_bars="1.5w").window_bars == 252


def test_a_number_is_that_many_bars_at_every_clock() -> None:
    for clock in (MINUTES, HOURS, DAYS, SECONDS):
        made = at(clock, window_bars=3, slow_15=2, steps=[3, 7])
        assert (made.window_bars, made.slow_15, made.steps, made.period) == (3, 2, (3, 7), 14)


def test_a_fraction_stays_where_the_key_is_not_whole() -> None:
    assert at(MINUTES).halflife == 2.5
    assert at(BarClock(15, 5_760, 40_320)).halflife == 10.0
    assert at(HOURS).halflife == 2.0


def test_bars_of_a_higher_timeframe_are_as_long_as_that_timeframe_is() -> None:
    assert at(MINUTES).slow_15 == 32  # 8h of 15m
    assert at(HOURS._replace(timeframes=(4, 24, 168)), slow_15="10d").slow_15 == 10
    assert at(SECONDS._replace(timeframes=(300, 900, 3600))).slow_15 == 32


@pytest.mark.parametrize(("clock", "steps"), [(MINUTES, (5, 60)), (HOURS, (4, 24)), (NEW_YORK, (4, 7)), (DAYS, (5, 5))])
def test_of_more_times_than_places_the_first_count_that_make_enough_bars(clock: BarClock, steps: tuple[int, int]) -> None:
    if clock is DAYS:
        assert at(clock, steps=["5m", "1d", "1w", "2w"]).steps == (5, 10)
    else:
        assert at(clock).steps == steps


@pytest.mark.parametrize("value", ["4", "4 hours", "1y", "-4h", "h", ".5h", "1e3s", ""])
def test_what_is_no_time_is_refused_by_name(value: str) -> None:
    for clock in (MINUTES, None):
        with pytest.raises(ConfigError, match=r"^toy.yml: window_bars is .*; write a time, as 30s, .* Default: 4h\.$"):
            at(clock, window_bars=value)


def test_too_many_bars_are_refused_with_key_clock_and_default() -> None:
    with pytest.raises(
        ConfigError, match=r"window_bars is 20d, which is 28800 bars at the data's clock of 1m; input should be"
    ):
        at(MINUTES, window_bars="20d")
    assert at(HOURS, window_bars="20d").window_bars == 480
    assert at(None, window_bars="20d").window_bars == 240  # the clock is not known yet
    with pytest.raises(ConfigError, match=r"window_bars is 1; input should be"):
        at(None, window_bars=1)


def test_defaults_as_written_are_the_defaults_at_minutes() -> None:
    assert [default_written(ToyConfig, key) for key in ToyConfig._fields] == [
        "4h",
        "2.5m",
        "8h",
        ("5m", "1h", "4h", "1d", "1w"),
        14,
    ]
    for record in config_records().values():
        written = {key: default_written(record, key) for key in spans_of(record)}
        assert resolve(record, written, source="defaults") == record()


@pytest.mark.parametrize("seconds", [1, 5, 60, 300, 900, 3_600, 14_400, 86_400])
@pytest.mark.parametrize("session", [86_400, 23_400])
def test_the_shipped_configuration_fits_every_clock(seconds: int, session: int) -> None:
    day = -(-session // seconds)
    clock = BarClock(seconds, day, (7 if session == 86_400 else 5) * day)
    configs = load_configs(defaults(), clock=clock)
    assert configs["data"].bars_a_day == day
    for domain, record in config_records().items():
        for key, span in spans_of(record).items():
            value = getattr(configs[domain], key)
            assert min(value if isinstance(value, tuple) else (value,)) >= span.least, key


def test_an_override_and_a_file_may_say_a_time() -> None:
    configs = load_configs(defaults(), ("kinematics.jump_window_bars=5d", "data.timeframes=[15m, 4h, 1d]"), clock=NEW_YORK)
    assert configs["kinematics"].jump_window_bars == 60
    assert configs["data"].timeframes == (3, 4, 7)


def test_at_sixty_times_the_pace_a_second_is_what_a_minute_was() -> None:
    seconds = load_configs(defaults(), ("data.pace=60",), clock=SECONDS)
    minutes = load_configs(defaults())
    for domain, record in config_records().items():
        for key in spans_of(record):
            if "d" not in str(default_written(record, key)) and "w" not in str(default_written(record, key)):
                assert getattr(seconds[domain], key) == getattr(minutes[domain], key), key
    assert (seconds["data"].timeframes, seconds["kinematics"].volatility_halflife_slow) == ((5, 15, 60), 1440)
    assert seconds["data"].bars_a_day == 86_400


class ToyMoney(NamedTuple):
    order: Annotated[float, setting("quote currency", "an order", gt=0, of_account=True)] = 10_000.0
    sizes: Annotated[tuple[float, float], setting("quote currency", "two", of_account=True)] = (1_000.0, 50_000.0)


def test_an_amount_is_a_share_of_the_account_in_any_currency() -> None:
    assert [default_written(ToyMoney, key) for key in ToyMoney._fields] == ["10%", ("1%", "50%")]
    assert resolve(ToyMoney, {}, source="x") == ToyMoney()
    assert resolve(ToyMoney, {"sizes": ["2%", 7.0]}, source="x", account=10.0) == ToyMoney(1.0, (0.2, 7.0))
    for value in ("ten", "10", "%"):
        with pytest.raises(ConfigError, match=r"x: order is .*; write a share of the account, as 10%.* Default: 10%\."):
            resolve(ToyMoney, {"order": value}, source="x")
    configs = load_configs(defaults(), ("execution.start_cash=10",))
    assert (configs["microstructure"].depth_scale, configs["fusion"].cost_reference_notional) == (1.0, 1.0)


DECAYS = {
    "regime.stay_bars": (12_000, 200, 60, 60),
    "regime.change_every_bars": (30_000, 500, 100, 100),
    "regime.dwell_15": (2, 2, 2, 2),
    "microstructure.impact_halflife_bars": (21_600, 360, 60, 60),
    "microstructure.flow_halflife_bars": (21_600, 360, 240, 240),
    "pattern.lead_halflife_bars": (86_400, 1_440, 240, 240),
    "risk.forecast_bars": (3_600, 60, 10, 10),
    "risk.garch_beta": (0.94, 0.94, 0.94, 0.94),  # a law of bars
}
"""Bars at clocks of a second, a minute, an hour of 24 and a day of 5 a week."""


@pytest.mark.parametrize("key", DECAYS)
def test_a_decay_is_a_time_with_a_least_number_of_bars(key: str) -> None:
    domain, name = key.split(".")
    found = [getattr(load_configs(defaults(), clock=clock)[domain], name) for clock in (SECONDS, MINUTES, HOURS, DAYS)]
    assert found == pytest.approx(DECAYS[key])
