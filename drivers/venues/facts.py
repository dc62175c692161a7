"""Facts of the instruments that a venue's file and a data set's `dataset.yml` may state alike, with their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

PerSymbol: TypeAlias = float | dict[str, float]
FeeCurrency: TypeAlias = Literal["quote", "base"]
Contract: TypeAlias = Literal["linear", "inverse"]

LARGEST: Final = 1e12
"""Of a price, a step or a notional: far beyond any market, and far from where products overflow."""


def values_of(value: Any) -> tuple[Any, ...]:
    """The values of a fact: those of its mapping, or the one that holds for every symbol."""
    return tuple(value.values()) if isinstance(value, Mapping) else (value,)


def within(low: float, high: float) -> AfterValidator:
    """Refuses a fact of which a value is not a finite number from `low` to `high`."""

    def check(value: PerSymbol) -> PerSymbol:
        for x in values_of(value):
            if not low <= x <= high:
                what = "a finite number that is not negative" if low == 0.0 and x < 0.0 else "a finite number"
                raise ValueError(f"{x:g} should be {what}, from {low:g} to {high:g}")
        return value

    return AfterValidator(check)


Step: TypeAlias = Annotated[PerSymbol, within(0.0, LARGEST)]
Fee: TypeAlias = Annotated[PerSymbol, within(0.0, 1_000.0)]
SignedFee: TypeAlias = Annotated[PerSymbol, within(-1_000.0, 1_000.0)]


class InstrumentFacts(BaseModel):
    """What a venue's file and `dataset.yml` have in common. A fact is one number, or a mapping of symbol to number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tick_size: Step = Field(default=0.0, description="quote currency; 0: unknown, no rounding")
    lot_size: Step = Field(default=0.0, description="base units; 0: unknown, no rounding")
    min_notional: Step = Field(default=0.0, description="quote currency; 0: none")
    reduce_only_exempt: bool | dict[str, bool] = Field(default=False, description="min_notional spares reduce-only orders")
    taker_fee_bps: Fee = Field(default=5.0, description="fee of a taker's fill")
    maker_fee_bps: SignedFee = Field(default=2.0, description="fee of a maker's fill; negative: a rebate")
    fee_currency: FeeCurrency | dict[str, FeeCurrency] = Field(
        default="quote", description="base: the fee of a purchase is taken from what is bought, as at many spot venues"
    )
    borrow_rate: Annotated[PerSymbol, within(0.0, 10.0)] = Field(
        default=0.0, description="paid on the value of a short position, fraction a year: 0.05 is 5 % a year"
    )
    maintenance_margin: Annotated[PerSymbol, within(0.0, 0.99)] = Field(
        default=0.0,
        description="equity, as a fraction of all notional, below which the venue liquidates every position; 0: it never does",
    )
    liquidation_fee_bps: Fee = Field(default=0.0, description="fee of a liquidation, beside the taker's")
    contract: Contract | dict[str, Contract] = Field(
        default="linear",
        description="linear: a unit is worth multiplier * price. inverse: multiplier / price, settled in the base",
    )
    multiplier: Annotated[PerSymbol, within(1e-9, 1e9)] = Field(
        default=1.0, description="base units of a linear contract, quote currency of an inverse one: 50, or 100"
    )
    quote_currency: str | dict[str, str] = Field(default="", description="in which prices are, e.g. USDT; else not known")
    settle_currency: str | dict[str, str] = Field(
        default="", description="in which fees, profits and losses are paid; else the quote currency of a linear contract"
    )
    price_band_bps: float = Field(default=0.0, ge=0.0, le=1e4, description="most of a limit from the last close; 0: no band")
    most_orders: int = Field(default=0, ge=0, le=10_000, description="orders of a symbol open at once; 0: no limit")
    orders_per_minute: int = Field(
        default=0, ge=0, le=10_000_000, description="order messages of all symbols together; 0: no limit"
    )


def beyond_margin(leverage: float, maintenance: PerSymbol) -> str:
    """What is wrong with a maintenance margin beside the leverage; empty where nothing is."""
    most = max(values_of(maintenance), default=0.0)
    if most > 0.0 and most * leverage >= 1.0:
        return (
            f"maintenance_margin is {most:g}, and a leverage of {leverage:g} asks for a margin of {1.0 / leverage:g}: what is "
            f"bought with it would be liquidated at once; write less than {1.0 / leverage:g}"
        )
    return ""
