"""`python -m benchmarks [--quick]`: every figure in one run, as a table for docs/figures.md and as JSON."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

from benchmarks import cases
from benchmarks.setup import YEAR_BARS


def main() -> None:
    """Runs the cases and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: to try the benchmarks, not to quote them")
    parser.add_argument("--json", type=Path, help="where to put the figures")
    asked = parser.parse_args()
    cut = 10 if asked.quick else 1
    found: dict[str, Any] = {"machine": platform.machine(), "python": platform.python_version()}

    def put(case: str, figures: dict[str, float]) -> None:
        """Shows a case as soon as it is measured: the whole takes most of an hour."""
        found[case] = figures
        for name, value in figures.items():
            if value == value:
                print(f"| {case} | {name.replace('_', ' ')} | {value:,.2f} |", flush=True)
        if asked.json:
            asked.json.write_text(json.dumps(found, indent=2))

    print("| case | figure | value |\n|---|---|---|")
    put("batch, 1 symbol", cases.batch(1, YEAR_BARS // cut))
    with cases.threads(1):
        put("batch, 1 symbol, one core", cases.batch(1, YEAR_BARS // cut))
    put("batch, 20 symbols", cases.batch(20, YEAR_BARS // (10 * cut)))
    for symbols in (1, 10, 100):
        put(f"step stage, {symbols} symbols", cases.step_stage(symbols, 14_400 // cut))
    put("step stage, compilation", cases.step_compilation())
    for symbols, bars in ((1, 5000), (20, 3000), (200, 1000)):
        put(f"stream, {symbols} symbols", cases.latency(symbols, bars // cut))
    put("ns a bar of each layer", cases.layer_times(1, 50_000 // cut))
    put("start", cases.starts())
    put("a year of 20 symbols", cases.year_memory(20, YEAR_BARS // cut))
    put("a stream of 1,000,000 bars", cases.stream_memory(1_000_000 // cut))


if __name__ == "__main__":
    main()
