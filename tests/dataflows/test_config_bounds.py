"""Every key of every domain has a least and a greatest value, and nothing beyond them is accepted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import pytest

from dataflows.config import RANGES, ConfigError, file_keys, model_of, resolve, setting
from drivers.project.configs import load_configs
from drivers.project.domains import config_records
from drivers.project.locate import defaults

MOST_BYTES = 8 * 1024 * 1024
"""What one window of one symbol may take: 100 symbols then take less than a gigabyte."""


class Key(NamedTuple):
    domain: str
    name: str
    whole: bool  # integers
    size: int  # 0 of a number, the length of a tuple, 1 where it may be empty
    least: float  # the least and greatest accepted values
    most: float

    def override(self, value: float) -> str:
        text = repr(int(value) if self.whole and math.isfinite(value) and value == int(value) else float(value))
        text = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(text, text)
        return f"{self.domain}.{self.name}={'[' + ', '.join([text] * self.size) + ']' if self.size else text}"


def keys() -> Iterator[Key]:
    for domain, record in config_records().items():
        properties = model_of(record).model_json_schema()["properties"]
        for name, default in record._field_defaults.items():
            of = properties[name]
            of = of.get("items") or (of.get("prefixItems") or [of])[0]
            assert not {"minimum", "exclusiveMinimum"}.isdisjoint(of), f"{domain}.{name} has no least value"
            assert not {"maximum", "exclusiveMaximum"}.isdisjoint(of), f"{domain}.{name} has no greatest value"
            least = of["minimum"] if "minimum" in of else math.nextafter(of["exclusiveMinimum"], math.inf)
            most = of["maximum"] if "maximum" in of else math.nextafter(of["exclusiveMaximum"], -math.inf)
            size = max(1, len(default)) if isinstance(default, tuple) else 0
            yield Key(domain, name, of["type"] == "integer", size, least, most)


KEYS = list(keys())


def test_every_key_of_every_domain_has_finite_bounds_around_its_default() -> None:
    assert len(KEYS) == sum(len(record._fields) for record in config_records().values()) > 250
    for key in KEYS:
        default = config_records()[key.domain]._field_defaults[key.name]
        values = default if isinstance(default, tuple) else (default,)
        assert math.isfinite(key.least) and math.isfinite(key.most), key
        assert all(key.least <= value <= key.most for value in values), key
        assert max(abs(key.least), abs(key.most)) <= 1e12, key
        if key.whole:
            assert key.most * 8 <= MOST_BYTES, key


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.domain}.{key.name}")
def test_a_value_at_a_bound_is_accepted_and_one_beyond_it_is_refused_by_name(key: Key) -> None:
    record: Any = config_records()[key.domain]
    for value in (key.least, key.most):
        value = int(value) if key.whole else value
        try:
            resolve(record, {key.name: (value,) * key.size if key.size else value}, source="here")
        except ConfigError as error:  # it may contradict another key's default, which is another sentence
            assert "input should be" not in str(error), error
    step = 1.0 if key.whole else 0.0
    beyond = (
        math.nextafter(key.least, -math.inf) if not step else key.least - step,
        math.nextafter(key.most, math.inf) if not step else key.most + step,
        -1e300, 1e300, 2.0**63, 1e20, math.inf, -math.inf, math.nan,
    )  # fmt: skip
    for value in beyond:
        with pytest.raises(ConfigError, match=rf"^here: {key.name}\S* is .*(input should be|unable to parse input)"):
            resolve(record, {key.name: (value,) * key.size if key.size else value}, source="here")
    if key.name not in file_keys(record):
        with pytest.raises(ConfigError, match=f"--set .*: {key.name} is a fact of the data"):
            load_configs(defaults(), (key.override(key.least),))
        return
    with pytest.raises(
        ConfigError, match=rf"--set {key.domain}\.{key.name}=.*: {key.name}\S* is .*(input should be|unable to parse input)"
    ):
        load_configs(defaults(), (key.override(beyond[1]),))


class Toy(NamedTuple):
    far: Annotated[float, setting("parsecs", "a unit without a range of its own")] = 1.0


def test_a_unit_without_a_range_takes_the_common_one() -> None:
    assert all(math.isfinite(least) and math.isfinite(most) and least < most for least, most in RANGES.values())
    assert resolve(Toy, {"far": -1e6}, source="here").far == -1e6
    for value in (1.1e6, -1.1e6, math.inf, math.nan):
        with pytest.raises(ConfigError, match=r"far is .*; input should be"):
            resolve(Toy, {"far": value}, source="here")


def test_infinity_in_a_file_is_refused() -> None:
    record: Any = config_records()["fusion"]
    with pytest.raises(ConfigError, match="prior_slope_bps is inf; input should be"):
        resolve(record, {"prior_slope_bps": math.inf}, source="config/fusion.yml")
