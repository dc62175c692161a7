"""Which cap decided the size of an increase: each step of the ladder in turn, and a plain count over random ladders."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.risk import types as risk
from drivers.store.deciding_caps import AFTER, deciding_caps


def ladder(rows: list[tuple[float, float, float, float, float, float]], *, grows: Any = 0, l86: int = 0, l4: int = 0) -> Any:
    """Bars of one symbol: what L3 asks for, and the weights of L86, L87, L93, L95 and L4."""
    asked, *weights = (np.array(column)[:, None] for column in zip(*rows, strict=True))
    flags = np.full(asked.shape, grows)
    values = {
        "l3_action_proposal": SimpleNamespace(size_fraction=asked),
        "l86_exposure_cap": SimpleNamespace(weight=weights[0], reasons=np.full(asked.shape, l86)),
        "l4_risk_gate": SimpleNamespace(target_weight=weights[4], reduce_only=flags, reasons=np.full(asked.shape, l4)),
    }
    return values | {node: SimpleNamespace(weight=w) for (_, node), w in zip(AFTER, weights[1:4], strict=True)}


@pytest.mark.parametrize(
    ("row", "about", "name"),
    [
        ((0.2, 0.2, 0.2, 0.2, 0.2, 0.2), {}, "AS_ASKED"),
        ((0.2, -0.2, -0.2, -0.2, -0.2, -0.2), {}, "AS_ASKED"),
        ((0.2, 0.1, 0.1, 0.1, 0.1, 0.1), {"l86": risk.WHY_VOLATILITY_TARGET}, "VOLATILITY_TARGET"),
        ((0.2, 0.1, 0.1, 0.1, 0.1, 0.1), {"l86": risk.WHY_VOLATILITY_TARGET | risk.WHY_GROSS_CAP}, "GROSS_CAP"),
        ((0.2, 0.1, 0.1, 0.1, 0.05, 0.05), {"l86": risk.WHY_VOLATILITY_TARGET}, "TAIL_BUDGET"),
        ((0.2, -0.2, -0.1, -0.1, -0.1, -0.1), {}, "CONCENTRATION"),
        ((0.2, 0.2, 0.1, 0.09, 0.09, 0.09), {}, "OPEN_RISK"),
        ((0.2, 0.2, 0.2, 0.2, 0.1, 0.08), {"l4": risk.WHY_NET_CAP | risk.WHY_TAIL_BUDGET}, "NET_CAP"),
        ((0.2, 0.2, 0.2, 0.2, 0.2 * (1 - 1e-12), 0.2), {}, "AS_ASKED"),
    ],
)
def test_the_last_cap_that_lowered_it_decided(row: Any, about: dict[str, int], name: str) -> None:
    assert deciding_caps(ladder([row], **about)) == Counter({name: 1})


def test_only_increases_count() -> None:
    assert deciding_caps(ladder([(0.2, 0.1, 0.1, 0.1, 0.1, 0.1)], grows=1)) == Counter()


@given(st.lists(st.tuples(*[st.sampled_from([1.0, 0.9, 0.5])] * 3), min_size=1, max_size=20))
def test_the_counts_are_those_of_a_plain_walk_down_the_ladder(cuts: list[tuple[float, float, float]]) -> None:
    rows, expected = [], []
    for cut in cuts:
        sizes = [0.2, 0.2]
        for c in cut:
            sizes.append(sizes[-1] * c)
        rows.append((*sizes, sizes[-1]))
        lowered = [name for (name, _), c in zip(AFTER, cut, strict=True) if c < 1.0]
        expected.append(lowered[-1] if lowered else "AS_ASKED")
    assert deciding_caps(ladder(rows)) == Counter(expected)
