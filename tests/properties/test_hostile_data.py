"""Market data with any numbers in them: refused when they are read, by file and row, or the whole graph runs over them to a clean end."""

from __future__ import annotations

import functools
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine.engine import Chunk, Engine
from drivers.engine.guards import Guards
from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from tests.drivers.small_market import START, market
from tests.properties.graph import guards_of, plan_of

MINUTE = pd.Timedelta(minutes=1)
SYMBOLS = ("AAA", "BBB")
BARS = 240
NUMBERS = (
    0.0, 5e-324, 1e-300, 1e-154, 1e-30, 1e-18, 1e-12, 1e-6, 1e-3, 0.5, 1.0, 3.0, 99.0, 100.0, 101.0, 1e3, 1e6, 1e9, 1e12, 1e15,
    1e18, 1e30, 1e100, 1e154, 1e300, 1.7e308, np.inf, np.nan, -1e-12, -0.5, -1.0, -1e12, -1e300, -np.inf,
)  # fmt: skip


@functools.cache
def files() -> dict[str, pd.DataFrame]:
    times = pd.date_range(START + MINUTE / 2, periods=BARS - 1, freq="min", unit="ns")
    each = pd.DataFrame({"timestamp": times.repeat(2), "symbol": list(SYMBOLS) * len(times)})
    rng = np.random.default_rng(3)
    close = each["symbol"].map({"AAA": 100.0, "BBB": 200.0}) + rng.normal(0.0, 0.05, len(each))
    levels = {f"{side}_px_{d}": close + sign * (0.01 + 0.01 * d) for side, sign in (("bid", -1), ("ask", 1)) for d in range(2)}
    sizes = {f"{side}_sz_{d}": rng.uniform(1.0, 9.0, len(each)) for side in ("bid", "ask") for d in range(2)}
    side = np.where(rng.random(len(each)) < 0.5, "buy", "sell")
    bars = market(BARS, SYMBOLS)
    return {
        "bars": bars.assign(vwap=(bars["high"] + bars["low"]) / 2.0),
        "book": each.assign(**levels, **sizes),
        "trades": each.assign(price=close, size=rng.uniform(0.1, 5.0, len(each)), side=side),
        "funding": pd.DataFrame({"timestamp": pd.date_range(START.floor("8h"), periods=4, freq="8h", unit="ns")}).assign(
            symbol="AAA", funding_rate=1e-4
        ),
        "alpha": each.assign(value=rng.normal(0.0, 1.0, len(each))),
    }


CELLS = [(stem, column) for stem, frame in files().items() for column in frame.columns if frame[column].dtype.kind == "f"]
PLANTED = st.tuples(
    st.sampled_from(CELLS),
    st.sampled_from(NUMBERS) | st.floats(),
    st.floats(0.0, 0.99),
    st.sampled_from((0.0, 0.0, 0.01, 0.3, 1.0)),
    st.booleans(),
)
FACTS = st.dictionaries(
    st.sampled_from(("tick_size", "lot_size", "min_notional")), st.sampled_from((0.0, 1e-12, 1e-6, 1.0, 1e6, 1e12)), max_size=2
)


def write(folder: Path, planted: list[Any], facts: dict[str, float], stems: list[str]) -> None:
    frames = {stem: files()[stem].copy() for stem in ("bars", *stems)}
    for (stem, column), number, begin, share, bar in planted:
        if stem in frames:
            frame = frames[stem]
            at = int(begin * len(frame))
            rows = frame.index[at : at + 1 + int(share * len(frame))]
            whole = ["open", "high", "low", "close"] if bar and column in ("open", "close") else [column]
            frame.loc[rows, whole] = number
    for stem, frame in frames.items():
        frame.to_parquet(folder / f"{stem}.parquet", index=False)
    text = "".join(f"{key}: {value}\n" for key, value in {"clock": "1m", **facts}.items())
    (folder / "dataset.yml").write_text(text, encoding="utf-8")


@functools.cache
def guard_of(symbols: int, depth: int) -> Guards:
    """A guard has machine code of its own, which is never freed: one for all examples of a shape."""
    return guards_of(plan_of(), symbols)


def outcome(planted: list[Any], facts: dict[str, float], stems: list[str]) -> str:
    """`refused` or `ran`; fails where the graph does not end clean, or the refusal names no place."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), planted, facts, stems)
        try:
            data = open_dataset(Path(folder))
        except DataError as error:
            assert re.match(r"(\w+\.parquet(, row \d+)?|dataset\.yml): ", str(error)), error
            return "refused"
        guard = guard_of(len(data.symbols), data.depth)
        engine = Engine(plan_of(), data.symbols, {"instruments": data.instruments}, depth=data.depth, guard=guard)
        for rows in data.chunks(150):
            ledger = engine.advance(Chunk(rows.time, data.inputs(rows))).values["l97_ledger"]
            assert np.isfinite(np.asarray(ledger.equity)).all() and np.isfinite(np.asarray(ledger.cash)).all()
        return "ran"


def check(examples: int) -> None:
    """Draws so many markets; some must be refused, and some must run."""
    outcomes = set()

    @settings(max_examples=examples)
    @given(
        st.lists(PLANTED, min_size=1, max_size=4),
        FACTS,
        st.lists(st.sampled_from(("book", "trades", "funding", "alpha")), unique=True),
    )
    def run(planted: list[Any], facts: dict[str, float], stems: list[str]) -> None:
        outcomes.add(outcome(planted, facts, stems))

    run()
    assert outcomes == {"refused", "ran"}


def test_hostile_numbers_are_refused_when_read_or_run_to_a_clean_end() -> None:
    assert outcome([], {}, ["book", "trades", "funding", "alpha"]) == "ran"
    check(60)


@pytest.mark.long
def test_many_hostile_numbers_are_refused_when_read_or_run_to_a_clean_end() -> None:
    check(1500)


@pytest.mark.parametrize(
    ("stem", "column", "number"),
    [("funding", "funding_rate", 1e100), ("bars", "volume", 1e300), ("bars", "close", 1e300), ("trades", "price", 1e300)],
)
def test_what_used_to_break_a_boundary_in_the_middle_of_a_run(stem: str, column: str, number: float) -> None:
    assert outcome([((stem, column), number, 0.5, 0.0, True)], {}, [stem] if stem != "bars" else []) == "refused"
