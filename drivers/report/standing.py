"""What a trader asks first: does the account still trade, and if not, since when, why, and what lifts it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dataflows.risk.types import KILL_REASONS, LATCHES, LEVELS
from drivers.report.decisions import coded
from drivers.report.market import Codes
from drivers.report.scan import BarTimes, holds, panels
from drivers.report.text import listed, moment
from drivers.report.words import KILLS, REASONS, REFUSALS, in_words
from drivers.store.reader import RecordedRun
from drivers.text.counts import plural
from drivers.text.times import rounded_duration

_OVERALL: Final = "l81_kill_switch.overall"
_WHY: Final = "l81_kill_switch.overall_reason"
_THROTTLE: Final = "l91_drawdown_throttle"
_LIMIT: Final = "l92_loss_limits.halt_entries"
_LET: Final = ("APPROVED", "REDUCED")
QUIET_SHARE: Final = 0.2
"""Of the run: so long without an approved increase, and at least QUIET_BARS, is told."""
QUIET_BARS: Final = 100


def standing(run: RecordedRun, clock: BarTimes) -> list[str]:
    """Sentences on what keeps the account from trading at the last bar; none where it trades.

    First the states that bar every entry (kill switch, drawdown throttle, loss limits), each with its beginning and its cure.
    Without one: that no increase has been approved for long, and what the proposals since were refused for.
    """
    said = _barred(run, clock)
    return said or _quiet(run, clock)


def _barred(run: RecordedRun, clock: BarTimes) -> list[str]:
    names = [name for name in (_OVERALL, _WHY, _THROTTLE, _LIMIT) if holds(run, "features/risk", [name])]
    if not names:
        return []
    series: dict[str, Codes | Any] = {name: np.empty(clock.bars) for name in names}
    for first, part in panels(run, "features/risk", names):
        for name in names:
            series[name][first : first + len(part[name])] = part[name][:, 0]
    said = []
    level = series.get(_OVERALL)
    if level is not None and level[-1] > 0 and _WHY in series:
        mask = int(series[_WHY][-1])
        causes = [name for i, name in enumerate(KILL_REASONS) if mask >> i & 1]
        why = ", ".join(in_words(name, KILLS) for name in causes)
        cure = "RELEASE lifts it once the cause is gone" if mask & LATCHES else "it ends after its cause and the cool-down"
        stands = LEVELS[int(level[-1])]
        said.append(f"Not trading since {_since(level > 0, clock)}: the kill switch stands at {stands} ({why}); {cure}.")
    throttle = series.get(_THROTTLE)
    if throttle is not None and throttle[-1] == 0.0:
        said.append(
            f"Not trading since {_since(throttle == 0.0, clock)}: the drawdown throttle (L91) allows no new risk; the "
            "operator's REBASE lifts it."
        )
    limit = series.get(_LIMIT)
    if limit is not None and limit[-1] != 0:
        said.append(
            f"No new risk since {_since(limit != 0, clock)}: a loss limit (L92) was reached; it ends with its UTC day or week."
        )
    return said


def _since(mask: Any, clock: BarTimes) -> str:
    """The close of the first bar of the stretch that lasts until the end."""
    free = np.flatnonzero(~np.asarray(mask, bool))
    return moment(int(clock.closes(np.array([free[-1] + 1 if len(free) else 0]))[0]))


def _quiet(run: RecordedRun, clock: BarTimes) -> list[str]:
    columns = ("timestamp", "verdict", "reasons", "refusal", "may_enter", "reduce_only")
    if not holds(run, "decisions", columns):
        return []
    parts: list[tuple[Any, ...]] = []
    last = clock.first - clock.step
    for table in run.groups("decisions", columns):
        stamp = table["timestamp"].cast("int64").to_numpy()
        verdict, verdicts = coded(table["verdict"])
        let = np.isin(verdict, [i for i, name in enumerate(verdicts) if name in _LET]) & (table["reduce_only"].to_numpy() == 0)
        if let.any():
            last = int(stamp[np.flatnonzero(let)[-1]])
            parts.clear()
        parts.append((stamp, table))
    silent = clock.last - last
    if silent < max(QUIET_SHARE * clock.span, QUIET_BARS * clock.step):
        return []
    refused: dict[str, int] = {}
    weighed = 0
    for stamp, table in parts:
        later = table.filter(stamp > last)
        may = later["may_enter"].to_numpy() == 1
        for column, mask in (("refusal", ~may), ("reasons", may)):
            codes, names = coded(later[column])
            for code, n in enumerate(np.bincount(codes[mask], minlength=len(names)).tolist()):
                told = [name for name in names[code].split("|") if name]
                if "NO_SIGNAL" not in told:
                    weighed += n
                    for name in told:
                        refused[name] = refused.get(name, 0) + n
    since = f"since {moment(last)}" if last >= clock.first else "in the whole run"
    for_long = f"No increase was approved {since} ({rounded_duration(silent)})"
    if not weighed:
        return [f"{for_long}: no proposal had an edge on either side."]
    why = listed({name: n for name, n in refused.items() if n}, {**REFUSALS, **REASONS})
    return [f"{for_long}. {plural(weighed, 'proposal')} since then came to nothing: {why}."]
