"""Which of the layers' values a run keeps.

all: every value at every bar, in `features/`. decisions: every value at the bars and symbols that `log.jsonl` has a line about,
in `decided/`, and what the report draws at every bar. none: neither. Orders, fills, ledger, decisions, logs and what the epoch
layers returned (`epochs/`) are always kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

Features = Literal["all", "decisions", "none"]

CHOICES: Final[tuple[Features, ...]] = get_args(Features)
ALL_UP_TO: Final = 250_000
"""Bars times symbols up to which a run keeps all where nobody says what to keep: some 400 MB."""

REPORTED: Final = frozenset(
    {
        *(f"l0_market_feed.bars.{name}" for name in ("open", "high", "low", "close", "volume")),
        *(f"l0_market_feed.quality.{kind}" for kind in ("missing", "filled", "outlier", "crossed", "duplicates", "late")),
        "l0_market_feed.quality.stale",
        "l0_market_feed.quality.listed",
        "l1_regime.label",
        "l3_action_proposal.edge_bps",
        "l3_action_proposal.parts_bps",
        "l7_ensemble.score",
        "l66_signal_matrix.values",
        "l81_kill_switch.overall",
        "l81_kill_switch.overall_reason",
        "l91_drawdown_throttle",
        "l92_loss_limits.halt_entries",
        "l96_order_lifecycle.stop_price",
        "l96_order_lifecycle.target_price",
        "l100_decision_audit.delay_bps",
        "l100_decision_audit.filled_notional",
    }
)
"""The values that the report reads at every bar."""


def usual(rows: int | None) -> Features:
    """What a run keeps where nobody says it. rows: its bars times symbols; None of a stream, which does not know its end.

    `explain`, `domain run` and `features` from Python answer for every bar of a run that keeps all. Of a long run, that costs
    as much time as the layers of the market side take, and much disk.
    """
    return "all" if rows is None or rows <= ALL_UP_TO else "decisions"


def kept_of(about: Mapping[str, Any]) -> str:
    """What a run kept, of its run.json. Runs of a domain, and older ones, keep all."""
    return str(about.get("features", "all"))


def instead(kept: str) -> str:
    """What a run that kept so much has of its layers, and how to get the rest: the end of a sentence about it."""
    has = "only at the bars that log.jsonl has a line about" if kept == "decisions" else "nowhere"
    return f"--features {kept} kept the layers' values {has}; run it again with --features all"
