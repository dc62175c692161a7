"""`python -m benchmarks [--quick] [--layers]`: the figures of docs/figures.md in one run, as a table.

Each run of all of them is kept in benchmarks/history.jsonl, and what has changed since the last one on this machine is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from benchmarks import cases, history, processes
from benchmarks.setup import DAY_BARS, YEAR_BARS

Case = Callable[[int], dict[str, float]]


def _one_core(cut: int) -> dict[str, float]:
    with cases.threads(1):
        return cases.batch(1, YEAR_BARS // cut)


ALL: Final[dict[str, Case]] = {
    "year of 1 symbol, engine": lambda cut: cases.batch(1, YEAR_BARS // cut),
    "year of 1 symbol, engine, one core": _one_core,
    "month of 20 symbols, engine": lambda cut: cases.batch(20, 30 * DAY_BARS // cut),
    "year of 1 symbol, whole command": lambda cut: processes.whole_command(YEAR_BARS // cut, 1 if cut > 1 else 3),
    "streamed bar, 1 symbol": lambda cut: processes.stream_loop(1, 10_000 // cut, journal=False),
    "streamed bar, 1 symbol, with journal": lambda cut: processes.stream_loop(1, 10_000 // cut, journal=True),
    "streamed bar, 200 symbols": lambda cut: processes.stream_loop(200, 2_000 // cut, journal=False),
    "warm start to the first bar": lambda cut: processes.warm_start(),
    "first run, empty cache": lambda cut: processes.first_run(),
    "2 years of hours, 1 symbol, whole command": lambda cut: processes.other_clock(3600, 1, 17_520 // cut),
    "20 years of days, 4 symbols, whole command": lambda cut: processes.other_clock(86_400, 4, 7_300 // cut),
    "month of 20 symbols, whole command": lambda cut: processes.many_symbols(20, 30 * DAY_BARS // cut),
}
"""What a user feels. One line of the history has all of them."""

LAYERS: Final[dict[str, Case]] = {
    **{f"step stage, {n} symbols": lambda cut, n=n: cases.step_stage(n, 14_400 // cut) for n in (1, 10, 100)},  # type: ignore[misc]
    "step stage, compilation": lambda cut: cases.step_compilation(),
    "ns a bar of each layer": lambda cut: cases.layer_times(1, 50_000 // cut),
    "engine's share of a bar": lambda cut: cases.latency(1, 5_000 // cut),
    "stages of a year": lambda cut: cases.stages(YEAR_BARS // cut),
    "a stream of 1,000,000 bars": lambda cut: cases.stream_memory(1_000_000 // cut),
}
"""Where it goes: the figures of docs/explanation/speed.md."""


def main() -> None:
    """Runs the cases and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: to try the benchmarks, not to quote them")
    parser.add_argument("--layers", action="store_true", help="where the time goes instead: stages, layers, memory")
    parser.add_argument("--only", metavar="TEXT", default="", help="the cases that have this in their name")
    asked = parser.parse_args()
    load = history.load_now()
    if load > history.BUSY:
        print(f"The machine is busy ({load:.1f} processes a core): these are not the figures of a quiet one.")
    found: dict[str, dict[str, float]] = {}
    print("| case | figure | value |\n|---|---|--:|")
    for name, case in (LAYERS if asked.layers else ALL).items():
        if asked.only not in name:
            continue
        found[name] = case(10 if asked.quick else 1)
        for figure, value in found[name].items():
            if value == value:
                print(f"| {name} | {figure.replace('_', ' ')} | {value:,.2f} |", flush=True)
    if asked.quick or asked.layers or asked.only:
        return
    entry = {**history.about(load), "figures": found}
    before = history.last(history.HISTORY, history.machine())
    history.keep(history.HISTORY, entry)
    print(f"\nKept in {history.HISTORY.name}.")
    if before is not None:
        was = f"{before['version']} {before['commit']}{', measured on a busy machine' if before['busy'] else ''}"
        print(f"Since {was}:", *history.change(before["figures"], found), sep="\n  ")


if __name__ == "__main__":
    main()
