"""A log is filtered as every line of it read would be; what is damaged is named, and the rest is read."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.runlog.reading import LogError, Query, Reading, log_of, root_of, why_nothing

SECOND = 10**9
NOON = 1_772_366_400 * SECOND  # 2026-03-01T12:00:00Z


def line(minute: int, event: str, layer: str, **more: Any) -> dict[str, Any]:
    time = f"{np.datetime64(NOON // SECOND + 60 * minute, 's')}Z"
    return {
        "timestamp": "2026-11-23T00:00:00Z",
        "level": more.pop("level", "info"),
        "event": event,
        "layer": layer,
        "time": time,
        **more,
    }


LINES = [
    line(0, "data_anomaly", "L0", symbol="AAA", kind="gap", level="warning"),
    line(0, "kill_switch", "L81", state="HALT", reasons=["STALE"], level="warning"),
    line(1, "entry", "L4", symbol="AAA", reasons=[], orders=["AAA-4"]),
    line(1, "order", "L5", symbol="AAA", order="AAA-4", intent="PLACE"),
    line(2, "fill", "L90", symbol="AAA", order="AAA-4", quantity=1.5),
    line(2, "bracket", "L96", symbol="AAA", order="AAA-5", parent="AAA-4"),
    line(2, "bracket", "L96", symbol="AAA", order="AAA-6", parent="AAA-4"),
    line(2, "order", "L5", symbol="BBB", order="BBB-4", intent="PLACE"),
    line(3, "order", "L5", symbol="AAA", order="AAA-40", intent="PLACE"),
    line(4, "exit", "L4", symbol="AAA", reasons=["TIME"], orders=["AAA-8"]),
    line(4, "order", "L5", symbol="AAA", order="AAA-8", parent="AAA-4", intent="PLACE"),
    line(5, "fill", "L90", symbol="AAA", order="AAA-8", quantity=-1.5),
    line(5, "cancel", "L90", symbol="AAA", order="AAA-5", parent="AAA-4", reason="POSITION_CLOSED"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(x, ensure_ascii=False) + "\n" for x in LINES), encoding="utf-8")
    return path


def plainly(query: Query) -> list[dict[str, Any]]:
    """The filter as it is said, over every line."""
    severity = {"info": 0, "warning": 1, "error": 2}
    found = []
    for x in LINES:
        at = int(np.datetime64(x["time"][:-1], "ns").astype(np.int64))
        keeps = [x.get(k) == v for k in ("symbol", "layer", "event") if (v := getattr(query, k))]
        keeps += [at >= query.since] if query.since is not None else []
        keeps += [at <= query.until] if query.until is not None else []
        keeps += [severity[x["level"]] >= severity[query.level]] if query.level else []
        found += [x] if all(keeps) else []
    return found


@pytest.mark.parametrize("symbol", [None, "AAA", "BBB"])
@pytest.mark.parametrize("layer", [None, "L5", "L90"])
def test_any_filters_together_are_what_they_say(path: Path, symbol: str | None, layer: str | None) -> None:
    for event, since, until, level in itertools.product(
        (None, "order", "fill"), (None, NOON + 60 * SECOND), (None, NOON + 120 * SECOND), (None, "warning")
    ):
        query = Query(symbol, layer, event, None, since, until, level)
        assert list(Reading(path, query).matches()) == plainly(query), query


@pytest.mark.parametrize("order", ["AAA-4", "AAA-5", "AAA-8"])
def test_an_order_comes_with_its_decision_its_bracket_and_what_closes_it(path: Path, order: str) -> None:
    found = [(x["event"], x.get("order")) for x in Reading(path, Query(order=order)).matches()]
    assert root_of(path, order) == "AAA-4"
    assert found[:5] == [("entry", None), ("order", "AAA-4"), ("fill", "AAA-4"), ("bracket", "AAA-5"), ("bracket", "AAA-6")]
    assert found[-3:] == [("order", "AAA-8"), ("fill", "AAA-8"), ("cancel", "AAA-5")]
    assert ("order", "AAA-40") not in found and ("order", "BBB-4") not in found


def test_an_order_that_is_not_there_is_refused_with_those_that_are(path: Path) -> None:
    with pytest.raises(LogError, match=r"there is no order AAA-99; those of AAA go from AAA-4 to AAA-5$"):
        list(Reading(path, Query(order="AAA-99")).matches())


def test_damaged_lines_are_named_and_the_rest_is_read(path: Path) -> None:
    text = path.read_text().splitlines(keepends=True)
    text[3] = "not a line\n"
    text[4] = '{"event": "fill", "order": }\n'
    path.write_text("".join(text) + '{"event": "fi')
    reading = Reading(path)
    assert len(list(reading.matches())) == len(LINES) - 2
    assert reading.damaged == [(4, "it is no JSON"), (5, "it is no JSON"), (len(LINES) + 1, "it is cut off")]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (Query(event="ordre"), "no line has the event 'ordre'; did you mean order?"),
        (Query(symbol="XYZ"), "no line has the symbol 'XYZ'; there are: AAA, BBB."),
        (Query(layer="L99"), "no line has the layer 'L99'"),
    ],
)
def test_a_name_that_the_log_does_not_have_is_refused(path: Path, query: Query, said: str) -> None:
    with pytest.raises(LogError) as error:
        why_nothing(path, query)
    assert said in str(error.value)


def test_nothing_found_says_why(path: Path) -> None:
    query = Query(symbol="BBB", event="fill", since=NOON + 300 * SECOND)
    assert why_nothing(path, query) == (
        "None of the 13 lines matches: 1 have --symbol BBB, 2 have --event fill, 2 have --since 2026-03-01T12:05:00Z, none all of it."
    )
    path.write_text("")
    assert "nothing has happened" in why_nothing(path, Query())


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"has no log\.jsonl"):
        log_of(tmp_path)
