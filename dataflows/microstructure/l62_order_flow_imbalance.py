"""L62: what was added to and taken from the book, and what that says of the next bar."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.order_flow import OrderFlow, order_flow
from dataflows.microstructure.types import OrderFlowImbalance, TradePressure, by_sides


class OrderFlowImbalanceCarry(NamedTuple):
    """What L62 needs of the past."""

    flow: Annotated[OrderFlow, Bind(W="flow_window_bars")]


@layer("L62")
def l62_order_flow_imbalance(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l10_trade_pressure: TradePressure,
    microstructure: MicrostructureConfig,
    carry: OrderFlowImbalanceCarry,
) -> OrderFlowImbalance:
    """Order-flow imbalance of the touch and of the first `flow_levels` levels joined; signed volume without a book,
    where the data have the sides of trades. Panels (T, N).

    ofi, ofi_integrated: base units, positive where bids were added or asks taken. ofi_z: the second's distance from its mean
    over `flow_window_bars`, in their deviations. predicted_bps: of the next bar's return, by least squares that forget
    (`flow_halflife_bars`) of returns on the z of the bar before; NaN until taught by `flow_least_bars`. NaN on bars that
    are not valid and where a level's flow is not known; z until the window is whole. Bid and ask exchanged, the sign
    flips.
    Source: Cont, Kukanov and Stoikov (2014); the levels' weights: Cont, Cucuringu and Zhang (2023), one step of a power
    iteration a bar.
    """
    book = l0_market_feed.book
    top, joined, z, predicted = order_flow(
        ofi=book.ofi,
        has_feed=book.has_feed,
        signed=by_sides(l10_trade_pressure.signed_volume, l10_trade_pressure.proxied),
        r=l2_returns_volatility.r_1,
        on=l0_market_feed.quality.valid,
        most=microstructure.flow_levels,
        forget=1.0 - halflife_alpha(microstructure.flow_halflife_bars),
        least=microstructure.flow_least_bars,
        state=carry.flow,
    )
    return OrderFlowImbalance(ofi=top, ofi_integrated=joined, ofi_z=z, predicted_bps=predicted)
