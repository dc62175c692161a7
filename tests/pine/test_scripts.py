"""The scripts as text: what is checked in, limits of TradingView, hostile names, and the payload by itself."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cli.main import run_command
from drivers.pine.checked_in import files
from drivers.pine.export import export, folder_names, payload_of
from drivers.pine.payload import (
    FILLS,
    LITERAL,
    MOST,
    STATES,
    TRIPS,
    USUAL,
    PayloadError,
    checksum,
    pack,
    price_digits,
    unpack,
)  # fmt: skip
from drivers.pine.render import MIRROR, SCRIPTS, literal, number, script
from drivers.pine.schema import schema
from drivers.pine.settings import default_settings, settings_of
from tests.pine.cases import Case
from tests.pine.lint import problems, strings

ROOT = Path(__file__).parents[2]
HOSTILE = [
    '"',
    "\\",
    '\\"',
    '");strategy.entry("x',
    "a\nb",
    "//",
    "{{ticker}}",
    "{% raw %}",
    "é中",
    "\u202e",
    "'",
    "*/",
    "${x}",
]


@pytest.mark.parametrize("name", sorted(files()))
def test_what_is_checked_in_is_what_the_templates_render(name: str) -> None:
    text = (ROOT / "pine" / name).read_text(encoding="utf-8")
    assert text == files()[name], "run: python -P -m drivers.pine.checked_in pine"


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_keep_the_limits_of_tradingview(name: str) -> None:
    assert problems(script(name, default_settings(), symbol="BTCUSDT")) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_longest_payload_that_is_a_literal_keeps_them_too(name: str) -> None:
    longest = "1" * LITERAL
    assert problems(script(name, default_settings(), symbol="BTCUSDT", payload=longest)) == []
    assert longest + "1" not in script(name, default_settings(), payload=longest + "1")


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("symbol", HOSTILE)
def test_no_name_of_a_symbol_breaks_out(name: str, symbol: str) -> None:
    """Beside its strings and its first comment, a script with this name is the script with a plain one."""
    made, plain = (script(name, default_settings(), symbol=s) for s in (symbol, "PLAIN"))
    assert len(made.splitlines()) == len(plain.splitlines())
    assert problems(made) == []
    code = [[line for line in strings(text)[0].splitlines() if not line.startswith("//")] for text in (made, plain)]
    assert code[0] == code[1]


@given(st.text(max_size=30))
def test_a_literal_is_one_string_for_pine(text: str) -> None:
    made = literal(text)
    bare, found = strings(f"x = {made} + y\n")
    assert (bare, len(found)) == ('x = "" + y\n', 1)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_as_it_was(x: float) -> None:
    assert float(number(x)) == x
    assert "." in number(x)


ROWS = st.integers(-(2**53) + 1, 2**53 - 1)
HEAD = st.fixed_dictionaries({key: st.integers(0, 2**31) for key in ("m", "t0", "t1", "dt", "e", "tk")}).map(
    lambda head: {**head, "st": -1, "sd": 1}
)


@given(
    HEAD,
    st.lists(st.lists(ROWS, min_size=len(STATES), max_size=len(STATES)), min_size=1, max_size=4),
    st.lists(st.lists(ROWS, min_size=len(TRIPS), max_size=len(TRIPS)), max_size=3),
    st.lists(st.lists(ROWS, min_size=len(FILLS), max_size=len(FILLS)), max_size=3),
    st.data(),
)
def test_a_payload_comes_back_whole_or_not_at_all(head, states, trips, fills, data) -> None:  # type: ignore[no-untyped-def]
    text = pack(head, states, trips, fills)
    found = unpack(text)
    assert [found[key] for key in "spf"] == [states, trips, fills]
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from("0123456789,[]-"))
    damaged = text[:at] + put + text[at + 1 :]
    if damaged != text:
        with pytest.raises(PayloadError):
            unpack(damaged)
    with pytest.raises(PayloadError):
        unpack(text[:at])


def test_the_checksum_is_the_one_of_the_schema() -> None:
    crc = 1
    for x in (5, -7, 2**40):
        crc = (crc * 257 + abs(x) % 2147483647 + (1 if x < 0 else 0)) % 2147483647
    assert checksum([5, -7, 2**40]) == crc


@pytest.mark.parametrize(
    ("price", "tick", "digits"), [(60_000.0, 0.1, 4), (2.2, 1e-5, 8), (1e-5, 1e-8, 13), (60_000.0, 1e-6, 6)]
)
def test_a_price_keeps_nine_digits_and_those_of_its_tick(price: float, tick: float, digits: int) -> None:
    assert price_digits(price, tick) == digits


def test_records_and_payload_are_as_the_schema_says(sample: Case) -> None:
    made = sample.exported()
    validator = jsonschema.Draft202012Validator(schema())
    jsonschema.Draft202012Validator.check_schema(schema())
    for value in (json.loads(made.payload), *made.records):
        assert not list(validator.iter_errors(value))
    assert len(made.records) == made.bars == 500
    assert len(made.payload) < MOST
    broken = {**made.records[0], "regime": "WILD"}
    assert list(validator.iter_errors(broken))


def test_a_run_with_the_defaults_has_the_scripts_of_the_repository(sample: Case) -> None:
    assert settings_of(sample.run.about) == default_settings()
    assert default_settings().model != settings_of({**sample.run.about, "clock_seconds": 300}).model
    made = script(MIRROR, default_settings())
    assert f"int    MODEL          = {default_settings().model}\n" in made


def test_bars_that_are_no_whole_clocks_apart_are_refused(sample: Case) -> None:
    """Days of an exchange, an hour longer or shorter as clocks change."""
    opened = sample.recorded.opened.copy()
    opened[-50:] += 30
    odd = dataclasses.replace(sample.recorded, opened=opened)
    with pytest.raises(PayloadError, match="whole bars of the clock apart"):
        payload_of(odd, default_settings(), odd.comparable[-100:])


def test_a_payload_keeps_to_its_length_and_says_how_many_bars_fit(sample: Case) -> None:
    made = export(sample.run, sample.symbol)
    assert len(made.payload) <= USUAL
    assert made.bars == made.asked == 120
    with pytest.raises(PayloadError, match=r"Pine takes 40,000; --bars \d+"):
        export(sample.run, sample.symbol, 6_000)


def test_folders_are_named_after_plain_symbols_only() -> None:
    found = folder_names(["BTCUSDT", "btc", "BTC", "../x", "BTC/USD", "ETH-PERP", "é"])
    assert found == {
        "BTCUSDT": "BTCUSDT", "btc": "symbol.2", "BTC": "symbol.3", "../x": "symbol.4", "BTC/USD": "symbol.5",
        "ETH-PERP": "ETH-PERP", "é": "symbol.7",
    }  # fmt: skip


def test_the_command_writes_and_prints(sample: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(sample.run.folder)
    assert run_command(["pine", "export", run, "-o", str(tmp_path / "chart")]) == 0
    assert {path.name for path in (tmp_path / "chart").iterdir()} == {*SCRIPTS, "payload.json", "records.json"}
    capsys.readouterr()
    assert run_command(["pine", "export", run, "--print", "payload"]) == 0
    printed = capsys.readouterr().out.strip()
    assert printed == (tmp_path / "chart" / "payload.json").read_text()
    assert literal(printed) in (tmp_path / "chart" / MIRROR).read_text()
    assert run_command(["pine", "export", run, "--symbol", "SIMX"]) == 2
    assert "there is no symbol 'SIMX'" in capsys.readouterr().err
