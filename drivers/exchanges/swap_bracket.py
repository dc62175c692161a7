"""The bracket of a perpetual swap's position: a native conditional stop and a resting limit as target, both reduce-only.

Nothing is locked. So the stop rests for all that is held, beside an exit too, and it is replaced by placing the new one before
the old one is taken off. The target rests for what no exit closes. A fill of one reduces the position that the others close:
the exchange lets no reduce-only order open one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dataflows.execution.types import ACCEPT
from drivers.exchanges.legs import STOP, Book, Leg

if TYPE_CHECKING:
    from drivers.exchanges.gateway import Gateway, Market
    from drivers.exchanges.steering import Steering


class SwapBracket:
    """Of one gateway."""

    def __init__(self, gateway: Gateway, steering: Steering, most: int) -> None:
        self.gateway, self.steering, self.most = gateway, steering, most

    def hold(self, stop: Book, target: Book | None, guards: list[Leg], held: Decimal, want: Decimal, market: Market) -> None:
        """The next step towards a stop for all that is held and a target for `want`, what no exit closes. guards: the legs of
        both."""
        if stop.market:
            self._to_market(stop, guards, want, market)
            return
        if self._stand(stop, guards, held, market) and target is not None and self.gateway.now() >= target.wait:
            self._stand(target, guards, want, market)

    def _stand(self, book: Book, guards: list[Leg], want: Decimal, market: Market) -> bool:
        """One step towards an order that rests for so much. True: nothing is to be done for it."""
        mine = [leg for leg in guards if leg.owner == book.id and leg.kind != "market"]
        right = [leg for leg in mine if leg.price == book.limit and leg.trigger == book.trigger]
        total = sum((leg.left for leg in right), Decimal(0))
        if total != want and right and right[-1].left == want:
            right, total = right[-1:], want
        wrong = [leg for leg in mine if leg not in right]
        first = book.role == STOP  # a stop is there before the old one goes; two targets at once may be too much for a position
        if wrong and (total == want or not first):
            for leg in wrong:
                self.steering.take_off(leg)
            return False
        if total == want:
            if book.changing:
                book.changing = False
                self.gateway.say(ACCEPT, book.symbol, book.id)
                self.gateway.state.touch(book)
            return True
        more = want - total
        if more < 0 or len(right) >= self.most:
            if not first:
                for leg in right:
                    self.steering.take_off(leg)
                return False
            more = want
        if more > 0 and self.gateway.may_call(urgent=True):
            kind = "target" if not first else "stop_limit" if book.limit else "stop"
            self.steering.place(book, market, kind, more, urgent=True)
        elif more == 0:
            for leg in right:
                self.steering.take_off(leg)
        return False

    def _to_market(self, stop: Book, guards: list[Leg], want: Decimal, market: Market) -> None:
        """What a stop cannot protect is closed now; what rests of the bracket goes when the position is closed."""
        under_way = sum((leg.left for leg in guards if leg.kind == "market"), Decimal(0))
        if want > under_way and self.gateway.may_call(urgent=True):
            self.steering.place(stop, market, "market", want - under_way, urgent=True)
