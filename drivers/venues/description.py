"""A venue's file, `config/venues/<name>.yml`: its fees, the steps of prices and quantities, and its rules for orders."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, model_validator

from drivers.project.errors import ProjectError
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean
from drivers.venues.facts import Fee, InstrumentFacts, SignedFee, beyond_margin, values_of

LEAST_ORDERS: Final = 8
"""An entry, its stop and its target, an exit and its stop, and room for those that are being canceled."""


class VenueError(ValueError):
    """A venue's file cannot be used. The message names the file and the key at fault."""


class VenueRules(InstrumentFacts):
    """The keys of a venue's file. A fact of the instruments is one number, or a mapping of symbol to number."""

    about: str = Field(description="which venue or kind of venue this is, and where the numbers are from")
    kind: Literal["perpetual", "future", "spot"] = Field(
        description="perpetual: short positions, margin, funding. future: the first two, and delivery. spot: none of these"
    )
    taker_fee_bps: Fee = Field(description="fee of a taker's fill")
    maker_fee_bps: SignedFee = Field(description="fee of a maker's fill; negative: a rebate")
    leverage: float = Field(default=1.0, ge=1.0, le=1_000.0, description="most notional over equity")

    @model_validator(mode="after")
    def _makes_sense(self) -> VenueRules:
        if self.kind == "spot" and self.leverage != 1.0:
            raise ValueError(f"leverage is {self.leverage:g}; at a spot venue positions are paid in full, so leave it at 1")
        if self.kind == "spot" and any(values_of(self.maintenance_margin)):
            raise ValueError("maintenance_margin is given; at a spot venue positions are paid in full, so leave it out")
        if wrong := beyond_margin(self.leverage, self.maintenance_margin):
            raise ValueError(wrong)
        if 0 < self.most_orders < LEAST_ORDERS:
            raise ValueError(f"most_orders is {self.most_orders}; an entry with its bracket and exits needs {LEAST_ORDERS}")
        return self

    def facts(self, keys: Collection[str]) -> dict[str, Any]:
        """Its values under those of `keys` that it has."""
        return {key: getattr(self, key) for key in set(type(self).model_fields) & set(keys)}


def read_venue(path: Path) -> VenueRules:
    """A venue's file. Raises VenueError naming the file and the key at fault."""
    try:
        values = read_yaml(path)
    except ProjectError as error:
        raise VenueError(str(error)) from None
    try:
        return VenueRules(**{str(k): v for k, v in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            raise VenueError(f"{path}: {key} is not a key of this file; {did_you_mean(key, VenueRules.model_fields)}") from None
        reason = first["msg"].removeprefix("Value error, ")
        field = VenueRules.model_fields.get(key)
        said = (
            f"{key} is missing" if first["type"] == "missing" else f"{key} is {first['input']!r}: {reason}" if key else reason
        )
        raise VenueError(f"{path}: {said}{f' ({field.description})' if field is not None else ''}") from None
