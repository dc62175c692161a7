from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dataflows.boundary import schema_of
from dataflows.config import ConfigError, resolve
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.schema import ExecutionBoundary
from dataflows.execution.types import Audit, Constrained, Ledger, Orders, Slice, Style
from dataflows.fusion.types import K
from dataflows.panel import walk

FILE = Path(__file__).parents[3] / "config" / "execution.yml"


def test_the_file_holds_every_key_in_order_at_its_default() -> None:
    values = yaml.safe_load(FILE.read_text())
    assert tuple(values) == ExecutionConfig._fields
    assert resolve(ExecutionConfig, values, source="config/execution.yml") == ExecutionConfig()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"style_post_ratio": 1.0}, "style_post_ratio is 1.0 and below style_limit_ratio, 2.0"),
        ({"queue_share": 0.5}, "queue_share is 0.5 and above participation, 0.1"),
        ({"slots": 4}, "slots"),
        ({"participation": 0.0}, "participation"),
        ({"participaton": 0.1}, "did you mean participation"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        resolve(ExecutionConfig, wrong, source="config/execution.yml")


def test_the_boundary_has_a_column_for_every_recorded_field() -> None:
    layers = {
        "l96_order_lifecycle": Orders,
        "l97_ledger": Ledger,
        "l69_order_style": Style,
        "l88_order_slicing": Slice,
        "l89_venue_constraints": Constrained,
        "l100_decision_audit": Audit,
    }
    fields = {
        f"{name}.{'.'.join(path)}{at}": kind
        for name, record in layers.items()
        for path, kind in walk(record)
        for at in ([f".{k}" for k in range(K)] if "K" in kind.axes else [""])
        if kind.recorded and kind.within is None  # those bring their column themselves
    }
    columns = schema_of(ExecutionBoundary).columns
    assert set(columns) == set(fields)
    for name, kind in fields.items():
        assert str(columns[name].dtype) == {"f8": "float64", "i8": "int64"}[kind.dtype]
