"""Why an order was sent, or why there was none, in one paragraph: the case for it, its size, what came of it."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from drivers.explain.ladder import Rung, ladder, number_in
from drivers.explain.trace import Explanation, found
from drivers.report.words import DROPS, REASONS, REFUSALS, REJECTIONS, in_words
from drivers.store.deciding_caps import CAP_REASONS
from drivers.text.times import duration, stamp

SIDES: Final = {"LONG": "long", "SHORT": "short"}
VERBS: Final = {"BUY": ("buy", "bought"), "SELL": ("sell", "sold")}
FORMS: Final = {"MARKET": "at the market", "LIMIT": "with a limit of {}", "POST_ONLY": "with a post-only limit of {}"}


def paragraph(explanation: Explanation) -> str:
    """The whole story as one paragraph."""
    target = explanation.target
    parts = [_order(explanation)] if target.order is not None else [_no_order(explanation)]
    if _between_bars(explanation):
        parts.append(_by_its_reasons(explanation))
    elif explanation.on_the_way("l4_risk_gate"):
        parts += [_why(explanation), size_sentence(explanation)]
    if target.order is not None:
        parts.append(_outcome(target.order, target.fills))
    if target.trip is not None:
        parts.append(target.trip.sentence())
    return " ".join(part for part in parts if part)


def _order(explanation: Explanation) -> str:
    """What kind of order it is, and when it was decided."""
    target = explanation.target
    order = target.order or {}
    name, symbol = order["order_id"], order["symbol"]
    do, _ = VERBS[order["side"]]
    what = f"{do} {order['quantity']:.10g} {symbol}"
    if target.entry is not None:
        kind = "target" if order["type"] == "TAKE_PROFIT" else "stop"
        return (
            f"{name} is the {kind} of {target.entry['order_id']}: it would {what} at {_price(order):.10g}. "
            f"The rest is about the decision that sent {target.entry['order_id']}, at the close of {stamp(target.time)}."
        )
    how = FORMS.get(order["type"], f"as {order['type']} at {{}}").format(f"{_price(order):.10g}")
    return f"{name} was sent at the close of {stamp(target.time)} to {what} {how}."


def _no_order(explanation: Explanation) -> str:
    target = explanation.target
    if target.sent:
        return f"At the close of {stamp(target.time)}, {target.symbol} was sent {_and(list(target.sent))}."
    dropped = found(explanation, "l89_venue_constraints").get("dropped")
    why = "" if dropped is None or dropped.text == "NONE" else f": {in_words(dropped.text, DROPS)}"
    return f"At the close of {stamp(target.time)}, no order was sent for {target.symbol}{why}."


def _why(explanation: Explanation) -> str:
    """The reason for what was decided."""
    order = explanation.target.entry or explanation.target.order
    gate = found(explanation, "l4_risk_gate")
    verdict = gate["verdict"].text if "verdict" in gate else ""
    reasons = (order["reason"] or "").split("|") if order is not None else explanation.named("l4_risk_gate", "reasons")
    reasons = [name for name in reasons if name]
    if order is not None and not order["reduce_only"]:
        return _case(explanation, "It was sent because")
    if order is not None or verdict == "EXIT" or (verdict in ("REDUCED", "APPROVED") and _shrinks(explanation)):
        return _reduction(explanation, reasons)
    if verdict in ("REDUCED", "APPROVED"):
        return _case(explanation, "L4 approved a larger position because")
    if verdict == "REJECTED":
        return _refused(explanation, reasons)
    return _held(explanation)


def _between_bars(explanation: Explanation) -> bool:
    """Whether an order was decided between two bars, so that the values of the last close are not what decided it."""
    order = explanation.target.entry or explanation.target.order
    return order is not None and pd.Timestamp(order["timestamp"]).value != explanation.target.time


def _by_its_reasons(explanation: Explanation) -> str:
    order = explanation.target.entry or explanation.target.order or {}
    reasons = [in_words(name, REASONS) for name in (order["reason"] or "").split("|") if name and name not in CAP_REASONS]
    return f"Why: {'; '.join(reasons)}." if reasons else ""


def _case(explanation: Explanation, start: str) -> str:
    """Edge against cost, score, chance and horizon."""
    proposal, horizon = found(explanation, "l3_action_proposal"), found(explanation, "l70_horizon")
    side = _side(explanation)
    edge, error = number_in(proposal, "edge_bps"), number_in(proposal, "edge_std_bps")
    if side is None or edge is None or error is None:
        return ""
    said = [f"{start} a {side} position was expected to gain {edge:.4g} bps (standard error {error:.3g} bps)"]
    bars, net = number_in(proposal, "horizon"), number_in(horizon, "net_edge_bps")
    if bars is not None:
        said.append(f" over {_bars(explanation, bars)}")
    if net is not None:
        said.append(f", while a round trip costs {abs(edge) - net:.4g} bps")
    said.append(".")
    score, chance = number_in(proposal, "score"), number_in(proposal, "p_success")
    if score is not None and chance is not None:
        said.append(f" The score was {score:+.2f} (from -1, down, to 1, up); the chance of success was {_percent(chance)}.")
    return "".join(said)


def _reduction(explanation: Explanation, reasons: list[str]) -> str:
    """Why a position was reduced or closed."""
    gate = found(explanation, "l4_risk_gate")
    weight, held = number_in(gate, "target_weight"), held_weight(explanation)
    closing = [name for name in reasons if name not in CAP_REASONS and name not in ("NOT_PERMITTED", "UNKNOWN_INPUT")]
    side = "" if not held else "long " if held > 0 else "short "
    whole = weight == 0.0
    what = f"It was sent to {'close' if whole else 'reduce'} the {side}position"
    if explanation.target.order is None:
        what = f"L4 {'closed' if whole else 'reduced'} the {side}position"
    if closing:
        return f"{what}: {'; '.join(in_words(name, REASONS) for name in closing)}."
    caps = [name for name in reasons if name in CAP_REASONS]
    if caps:
        return f"{what}, which was larger than {_and([in_words(name, REASONS) for name in caps])} allowed."
    return f"{what}{': ' + '; '.join(in_words(name, REASONS) for name in reasons) if reasons else ''}."


def _refused(explanation: Explanation, reasons: list[str]) -> str:
    """Why an increase was refused."""
    proposal = found(explanation, "l3_action_proposal")
    why = [name for name in reasons if name not in CAP_REASONS]
    said = (
        f"L3 proposed {_side(explanation) or 'no'} at up to {_percent(number_in(proposal, 'size_fraction') or 0.0)} of equity"
    )
    refusals = explanation.named("l3_action_proposal", "refusal")
    if why == ["NOT_PERMITTED"] and refusals:
        return (
            f"{said}, but allowed no entry: {'; '.join(in_words(name, REFUSALS) for name in refusals)}. {_numbers(explanation)}"
        )
    named = [in_words(name, REASONS) for name in why or reasons]
    words = f": {'; '.join(named)}" if why else f", which {_and(named)} did not allow"
    return f"{said}. L4 refused to add to the position{words}. {_numbers(explanation)}"


def _held(explanation: Explanation) -> str:
    """Why nothing was to change."""
    proposal = found(explanation, "l3_action_proposal")
    side = proposal["side"].text if "side" in proposal else "UNKNOWN"
    refusals = explanation.named("l3_action_proposal", "refusal")
    why = f": {'; '.join(in_words(name, REFUSALS) for name in refusals)}" if refusals else ""
    if side == "UNKNOWN":
        return f"L3 knew too little to say a side, so the position stayed as it was{why}. {_numbers(explanation)}"
    if side == "FLAT":
        return f"L3 saw no case for a position and none was held{why}. {_numbers(explanation)}"
    return f"L3 proposed {SIDES[side]}; the position was already as large as it asked for{why}. {_numbers(explanation)}"


def _numbers(explanation: Explanation) -> str:
    """The expected move beside its cost, where no entry was made of it."""
    proposal, horizon = found(explanation, "l3_action_proposal"), found(explanation, "l70_horizon")
    edge, error, net = (*(number_in(proposal, k) for k in ("edge_bps", "edge_std_bps")), number_in(horizon, "net_edge_bps"))
    if edge is None or error is None or net is None:
        return ""
    bars = number_in(proposal, "horizon")
    over = f" over {_bars(explanation, bars)}" if bars is not None else ""
    return f"Expected: {edge:.4g} bps (standard error {error:.3g} bps){over}; cost of a round trip: {abs(edge) - net:.4g} bps."


def size_sentence(explanation: Explanation) -> str:
    """The ladder of caps in words, and which of them decided. Empty where nothing was asked for."""
    rungs, held = ladder(explanation), held_weight(explanation)
    gate = found(explanation, "l4_risk_gate")
    if not rungs or gate["verdict"].text in ("HOLD", "EXIT"):
        return ""
    if gate["verdict"].text != "REJECTED" and gate["reduce_only"].value:
        stays = _percent(abs(gate["target_weight"].value))
        return f"Size: {_percent(abs(held or 0.0))} of equity was held, of which {stays} stays."
    start = f"Size: L3 asked for {_percent(abs(rungs[0].weight))} of equity"
    if gate["verdict"].text == "REJECTED":
        caps = [rung for rung in rungs[1:] if rung.who != "L4"]
        allowed = f"; the caps allowed {_percent(abs(caps[-1].weight))}" if caps else ""
        return f"{start}{allowed}; {_percent(abs(held or 0.0))} was held and stayed."
    steps = [f"{_lowered_by(rung)} ({rung.who}) to {_percent(abs(rung.weight))}" for rung in rungs[1:]]
    if not steps:
        return f"{start}, and no cap lowered it."
    steps[0] = steps[0].replace(") to ", ") lowered it to ", 1)
    decided = "; the last one decided" if len(steps) > 1 else ""
    return f"{start}; {_and(steps)}{decided}{f'; {_percent(abs(held))} was held before' if held else ''}."


def _lowered_by(rung: Rung) -> str:
    return _and([in_words(name, REASONS) for name in rung.reasons]) if rung.reasons else "a cap"


def _outcome(order: dict[str, Any], fills: tuple[dict[str, Any], ...]) -> str:
    """What became of the order."""
    end = f" ({in_words(order['end_reason'], REJECTIONS)})" if order["end_reason"] else ""
    if not fills:
        return f"It was never filled: {order['status'].lower()}{end}."
    total = sum(fill["quantity"] for fill in fills)
    mean = sum(fill["quantity"] * fill["price"] for fill in fills) / total
    _, done = VERBS[order["side"]]
    last = stamp(pd.Timestamp(fills[-1]["timestamp"]).value)
    fee = sum(fill["fee"] for fill in fills)
    rest = "" if order["status"] == "FILLED" else f", and then it was {order['status'].lower()}{end}"
    several = f" in {len(fills)} fills, the last" if len(fills) > 1 else ""
    return f"It {done} {total:.10g} at {mean:.10g}{several} at {last}, with a fee of {fee:.4g}{rest}."


def _shrinks(explanation: Explanation) -> bool:
    gate = found(explanation, "l4_risk_gate")
    return bool(gate["reduce_only"].value)


def held_weight(explanation: Explanation) -> float | None:
    """Signed weight of the position at that close; None where the run did not record it."""
    ledger = found(explanation, "l97_ledger")
    held, unit, equity = (number_in(ledger, k) for k in ("held", "unit_value", "equity"))
    if held is None or equity is None or not equity > 0.0:
        return None
    return 0.0 if held == 0.0 else None if unit is None else float(held * unit / equity)


def _side(explanation: Explanation) -> str | None:
    proposal = found(explanation, "l3_action_proposal")
    return SIDES.get(proposal["side"].text) if "side" in proposal else None


def _bars(explanation: Explanation, bars: float) -> str:
    clock = explanation.target.clock
    return f"{bars:.4g} bars" + (f" of {duration(clock)}" if clock else "")


def _price(order: dict[str, Any]) -> float:
    return float(next((order[k] for k in ("limit_price", "stop_price") if order[k] is not None), float("nan")))


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
