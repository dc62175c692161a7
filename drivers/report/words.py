"""The codes of the results in plain words. A code that has none here is shown as it is written, in small letters."""

from __future__ import annotations

from typing import Final

VERDICTS: Final = {
    "HOLD": "nothing to change",
    "APPROVED": "approved in full",
    "REDUCED": "approved, but smaller",
    "REJECTED": "refused",
    "EXIT": "ordered to close",
}
REFUSALS: Final = {
    "AVOID": "the market was not fit to trade: too thin, too wide, too stale or chaotic",
    "NOT_LEARNED": "too few observations stood behind the edge",
    "EDGE_BELOW_COST": "the expected move was smaller than the cost of a round trip",
    "EDGE_UNCERTAIN": "the expected move was within its own error",
    "UNKNOWN_INPUT": "an input was not known",
    "NO_SIGNAL": "there was no edge, on either side",
    "NO_SIZE": "the size came out as zero",
}
REASONS: Final = {
    "NOT_PERMITTED": "the proposal itself was not allowed to enter",
    "UNKNOWN_INPUT": "an input of the gate was not known",
    "NO_STOP": "no stop could be set",
    "EQUITY": "equity was not positive",
    "INSTRUMENT_CAP": "the cap of a single instrument",
    "VOLATILITY_TARGET": "the volatility target",
    "GROSS_CAP": "the cap of gross exposure",
    "NET_CAP": "the cap of net exposure",
    "CONCENTRATION": "the cap of concentration",
    "OPEN_RISK": "the cap of open risk",
    "TAIL_BUDGET": "the tail budget",
    "DRAWDOWN_THROTTLE": "the drawdown throttle",
    "LOSS_LIMIT": "a daily or weekly loss limit",
    "LOCKOUT": "the side was locked after an exit",
    "HALTED": "the kill switch had halted entries",
    "FLATTENED": "the kill switch closed everything",
    "STOP": "the stop was reached",
    "TARGET": "the target was reached",
    "TRAIL": "the trailing stop was reached",
    "TIME": "the holding time was over",
    "CLOSE_FIRST": "a change of side closes first",
    "FLAT_PROPOSAL": "no case for the position any more",
    "LATE": "too late in the position's life to add to it",
    "NO_SHORT": "the venue takes no short positions",
}
KILLS: Final = {
    "DRAWDOWN": "the drawdown reached its hard limit",
    "EQUITY": "equity fell to 0 or below",
    "OPERATOR_FLATTEN": "the operator said FLATTEN",
    "LOSS_LIMIT": "a daily or weekly loss limit was reached",
    "OPERATOR_HALT": "the operator said HALT",
    "RECONCILIATION": "our books and the venue's differed for too long",
    "REJECTS": "the venue rejected too many orders",
    "STALE": "the feed was too old",
    "CHAOTIC": "the market was chaotic",
    "TAIL": "the tail was extreme",
    "LIQUIDITY": "nothing could be traded safely",
    "UNKNOWN": "an input was not known",
    "HALF_OF_SYMBOLS": "more than half of the symbols were halted",
}
REJECTIONS: Final = {
    "NONE": "none",
    "WOULD_CROSS": "a post-only order would have crossed the spread",
    "NO_ROOM": "no room for another order",
    "REDUCE_ONLY": "it would have opened a position, and may only reduce one",
    "NOT_LISTED": "the symbol was not listed",
    "BAD_QUANTITY": "its quantity is impossible",
    "BAD_PRICE": "its price is impossible",
    "LIFETIME": "its time was over",
    "IMMEDIATE": "not filled at once (IOC, FOK)",
    "UNKNOWN_ORDER": "the venue did not know it",
    "POSITION_CLOSED": "its position was closed by something else",
    "PRICE_BAND": "its price was outside the venue's band",
    "MIN_NOTIONAL": "it was worth less than the venue takes",
    "NO_SHORT": "the venue takes no short sales",
    "MOST_ORDERS": "the venue takes no more open orders of the symbol",
    "RATE": "the venue takes no more messages in a bar",
    "DELISTED": "the symbol was delisted, and its position settled",
    "LIQUIDATED": "the venue liquidated the account",
    "DUST_SWEPT": "too little was left to sell, and the venue turned it into cash",
    "NO_BALANCE": "the account had too little for it",
    "PERMISSION": "the account may not do that",
    "VENUE": "the venue refused it",
    "LAST_GATE": "the last gate before the venue refused it",
    "STALE": "it was too old to be sent",
    "ADOPTED": "the account held it before the stream began",
    "WATCHDOG": "the watchdog beside the stream closed the position",
    "DELEVERAGED": "the venue closed part of the position because other traders could not pay",
}
DROPS: Final = {
    "LOT": "the change was smaller than the venue's lot",
    "MIN_NOTIONAL": "the change was worth less than the venue takes",
    "RATE": "the venue takes no more messages in a bar",
    "UNKNOWN_PRICE": "the price was not known",
    "NO_SHORT": "the venue takes no short sales",
    "MARGIN": "the account had too little free margin",
}
TYPES: Final = {
    "MARKET": "market",
    "LIMIT": "limit",
    "POST_ONLY": "post-only limit",
    "STOP_MARKET": "stop",
    "STOP_LIMIT": "stop-limit",
    "TAKE_PROFIT": "target",
}
REGIMES: Final = {
    "UNKNOWN": "unknown",
    "CALM": "calm",
    "TREND_UP": "trend up",
    "TREND_DOWN": "trend down",
    "HIGH_VOL": "high volatility",
    "CHAOTIC": "chaotic",
}


def in_words(code: str, words: dict[str, str]) -> str:
    """A code in words."""
    return words.get(code, code.lower().replace("_", " "))


def in_words_all(codes: str, words: dict[str, str], none: str) -> str:
    """Codes joined by `|` in words; `none` where there is no code."""
    return "; ".join(in_words(code, words) for code in codes.split("|") if code) or none
