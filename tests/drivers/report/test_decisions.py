"""Counts of decisions, contributions and data quality against pandas, and the words for every code."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from dataflows.execution.types import DROPS, ORDER_TYPES, REJECTIONS
from dataflows.fusion.types import EDGE_PARTS, REFUSALS, SOURCES
from dataflows.regime.types import REGIMES
from dataflows.risk.types import REASONS, VERDICTS
from drivers.report import words
from drivers.report.contents import RunReport


def frame(report: RunReport, name: str) -> pd.DataFrame:
    return pd.read_parquet(report.run.folder / f"{name}.parquet")


@pytest.mark.parametrize("name", ["traded", "hasty", "idle"])
def test_decisions_are_counted_as_run_json_and_pandas_count_them(reports: dict[str, RunReport], name: str) -> None:
    report = reports[name]
    told, summary = report.decisions, report.run.about["summary"]
    assert told is not None
    assert {k: n for k, n in told.verdicts.items() if n} == summary["decisions"]["by_verdict"]
    assert {k: sum(by.values()) for k, by in told.reasons.items()} == summary["decisions"]["by_reason"]
    assert told.refusals == Counter(summary["proposals"]["by_refusal"])
    assert (told.with_edge, told.refused) == (summary["proposals"]["with_an_edge"], summary["proposals"]["may_not_enter"])
    rows = frame(report, "decisions")
    exploded = rows.assign(reason=rows.reasons.astype(str).str.split("|")).explode("reason")
    for (reason, verdict), n in exploded[exploded.reason != ""].groupby(["reason", "verdict"], observed=True).size().items():
        assert verdict == "HOLD" or told.reasons[reason][verdict] == n


def test_the_example_of_a_refusal_is_the_one_with_the_largest_edge(reports: dict[str, RunReport]) -> None:
    report = reports["idle"]
    rows = frame(report, "decisions")
    refused = rows[(rows.side != "UNKNOWN") & (rows.may_enter == 0) & ~rows.refusal.astype(str).str.contains("NO_SIGNAL")]
    assert report.decisions is not None and report.decisions.refusal_examples
    for name, example in report.decisions.refusal_examples.items():
        own = refused[refused.refusal.astype(str).str.split("|").map(lambda names, name=name: name in names)]
        assert abs(example.edge_bps) == own.edge_bps.abs().max()
        at = own[(own.timestamp == pd.Timestamp(example.time, tz="UTC")) & (own.symbol == example.symbol)]
        assert len(at) == 1 and at.side.iloc[0] == example.side and at.score.iloc[0] == example.score


PARTS_OF_EDGE = [f"l3_action_proposal.parts_bps.{name}" for name in EDGE_PARTS]


def test_shares_of_the_edge_are_those_of_its_parts(traded: RunReport) -> None:
    found = traded.contribution
    assert found is not None
    table = frame(traded, "features/fusion")
    known = table["l3_action_proposal.edge_bps"].notna()
    loud = table.loc[known, PARTS_OF_EDGE].abs().sum()
    assert [s.name for s in found.sources] == list(EDGE_PARTS)
    assert [s.share for s in found.sources] == pytest.approx((loud / loud.sum()).tolist())


def test_profit_by_share_adds_up_to_the_profit_of_the_trips(traded: RunReport) -> None:
    """By the parts of the edge, worked out anew from L67's slopes and L66: at L70's horizon they are in their proportion."""
    found = traded.contribution
    assert found is not None and found.entries + found.left_out == len(traded.book.trips) and not found.left_out
    assert sum(s.profit for s in found.sources) == pytest.approx(sum(t.profit for t in traded.book.trips))
    table = frame(traded, "features/fusion").set_index(["timestamp", "symbol"])
    expected = np.zeros(len(EDGE_PARTS))
    for trip in traded.book.trips:
        row = table.loc[(pd.Timestamp(trip.decided, tz="UTC"), traded.symbols[trip.symbol])]
        parts = row[PARTS_OF_EDGE].to_numpy(float)
        assert parts.sum() == pytest.approx(row["l3_action_proposal.edge_bps"])
        if row["l70_horizon.bars"] == 60.0:  # to which slope_by_source belongs
            said = np.nan_to_num(row[[f"l66_signal_matrix.values.{name}" for name in SOURCES]].to_numpy(float))
            learned = said * row[[f"l67_expectancy.slope_by_source.{name}" for name in SOURCES]].to_numpy(float)
            side = np.sign(trip.side)
            learned *= abs(parts[:-1]).sum() / abs(learned).sum() if abs(learned).sum() else 0.0
            np.testing.assert_allclose(side * learned, parts[:-1], rtol=1e-6, atol=1e-9)
        expected += trip.profit * parts / parts.sum()
    assert [s.profit for s in found.sources] == pytest.approx(expected.tolist())


def test_the_rank_correlation_is_scipy_s_over_returns_that_do_not_overlap(traded: RunReport) -> None:
    found = traded.contribution
    assert found is not None
    h = found.horizon
    table = frame(traded, "features/fusion").pivot(index="timestamp", columns="symbol")
    close = frame(traded, "features/data").pivot(index="timestamp", columns="symbol")["l0_market_feed.bars.close"]
    ahead = np.log(close.shift(-h) / close).iloc[::h]
    for source, name in zip(found.sources[:-1], SOURCES, strict=True):
        said = table[f"l66_signal_matrix.values.{name}"].iloc[::h]
        both = ahead.notna() & said.notna()
        stated = said.to_numpy()[both]
        varies = len(stated) > 0 and np.ptp(stated) > 0.0  # of a constant there is no rank correlation
        expected = spearmanr(stated, ahead.to_numpy()[both]).statistic if varies else np.nan
        assert source.correlation == pytest.approx(expected, nan_ok=True)
    assert found.times <= len(ahead) - 1 and found.error == pytest.approx(found.times**-0.5)


def test_quality_and_regimes_are_what_run_json_sums_up(traded: RunReport) -> None:
    quality, labels = traded.quality, traded.regimes
    assert quality is not None and labels is not None
    summary = traded.run.about["summary"]
    assert {kind: int(found.sum()) for kind, found in quality.flagged.items()} == summary["data_quality"]
    assert quality.silence.max() == frame(traded, "features/data")["l0_market_feed.quality.stale"].max()
    shares = {name: float(np.mean(labels == code)) for code, name in enumerate(REGIMES)}
    assert {k: v for k, v in shares.items() if v} == pytest.approx(
        {k: v for k, v in summary["regimes"].items() if k != "UNKNOWN"}
    )


def test_delay_is_the_reference_against_the_decision(traded: RunReport) -> None:
    fills = frame(traded, "fills").merge(frame(traded, "orders")[["order_id", "decision_price"]], on="order_id")
    signed = np.where(fills.side == "BUY", fills.quantity, -fills.quantity)
    cost = (signed * (fills.reference_price - fills.decision_price)).groupby(fills.symbol.astype(str)).sum()
    assert traded.delay is not None
    assert traded.delay.tolist() == pytest.approx([cost.get(s, 0.0) for s in traded.symbols], abs=1e-6)


@pytest.mark.parametrize(
    ("codes", "known"),
    [
        (VERDICTS, words.VERDICTS),
        (REFUSALS, words.REFUSALS),
        (REASONS, words.REASONS),
        (REJECTIONS, words.REJECTIONS),
        (DROPS[1:], words.DROPS),
        (ORDER_TYPES, words.TYPES),
        (("UNKNOWN", *REGIMES), words.REGIMES),
    ],
)
def test_every_code_has_its_words_and_no_words_are_without_a_code(codes: tuple[str, ...], known: dict[str, str]) -> None:
    assert set(known) == set(codes)
    assert words.in_words("SOME_NEW_CODE", known) == "some new code"
