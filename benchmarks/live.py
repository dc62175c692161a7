"""Live trading on loopback: from the last frame of a bar to its orders on the wire, and what a long session takes.

python -m benchmarks.live [--symbols 1,20] [--bars 100] [--streams trades,candles,book]
python -m benchmarks.live --soak MINUTES [--speed 100] [--symbols 2]

The practice exchange runs in a process of its own, and a stream with keys in another: the real ccxt, real sockets, journal,
graph and gateway. In the first form a minute takes `--bar` seconds, of which those about each close go at the pace of ours, so
that what waits in queues is what would wait. In the second, time runs at a constant speed; memory and files are looked at
meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

REAL = 0.6
"""Seconds about each close that go at our pace."""


def session(symbols: int, bars: int, bar: float, real: float, streams: list[str], folder: Path, **more: Any) -> dict[str, Any]:
    """One session; what the exchange and the trader have seen."""
    about = {
        "begun": time.monotonic_ns(), "symbols": symbols, "bars": bars, "bar": bar, "real": real, "streams": streams,
        "out": str(folder / "out"), "pace": 0.002 if real else 0.02, "memory": 5.0, "loud": False, "stages": False,
        "swap": False, **more,
    }  # fmt: skip
    own = [sys.executable, "-m", "benchmarks.live_session"]
    pipe = subprocess.PIPE
    exchange = subprocess.Popen([*own, "exchange", json.dumps(about)], stdin=pipe, stdout=pipe, text=True)
    try:
        assert exchange.stdout is not None
        about["address"] = exchange.stdout.readline().strip()
        trader = subprocess.Popen([*own, "trader", json.dumps(about)], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        memory: list[tuple[float, float]] = []
        sizes: list[tuple[float, dict[str, int]]] = []
        said: list[str] = []
        assert trader.stderr is not None and trader.stdout is not None
        reading = threading.Thread(target=_read, args=(trader.stderr, memory, sizes, said, folder), daemon=True)
        reading.start()
        ended = trader.stdout.read()
        if trader.wait():
            raise RuntimeError("the trader failed: " + "".join(said[-12:]))
        reading.join(timeout=10)
        seen, _ = exchange.communicate()
    finally:
        exchange.kill()
    return {"memory": memory, "sizes": sizes, "said": said, **json.loads(seen), **json.loads(ended.splitlines()[-1])}


def _read(lines: Any, memory: list[Any], sizes: list[Any], said: list[str], folder: Path) -> None:
    for line in lines:
        if line.startswith("memory "):
            seconds, mib = map(float, line.split()[1:])
            memory.append((seconds, mib))
            sizes.append((seconds, bytes_of(folder)))
        else:
            said.append(line)


def bytes_of(folder: Path) -> dict[str, int]:
    """Bytes of the files of a session: the journal's segments apart, one by one, from the rest."""
    found: dict[str, int] = {}
    for path in folder.rglob("*"):
        try:
            size = path.stat().st_size if path.is_file() else 0
        except OSError:  # it has just gone
            continue
        name = path.name if "journal" in path.parts else "results"
        found[name] = found.get(name, 0) + size
    return found


def latencies(seen: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """ms from a bar's last frame to its first order on the wire, and to each order within 400 ms, those that answer fills after
    the bar among them. Neither cancels nor brackets count."""
    left = {int(close): at for close, at in seen["left"].items()}
    first: dict[int, float] = {}
    each: list[float] = []
    for at, close, text in seen["arrived"]:
        given = dict(parse_qsl(text.partition("?")[2]))
        target = given.get("type") == "LIMIT" and given.get("reduceOnly") == "true"
        if (
            close not in left
            or "oco" in text
            or target
            or text.startswith("DELETE")
            or given.get("type", "").startswith(("STOP", "TAKE"))
        ):
            continue
        taken = (at - left[close]) / 1e6
        if 0.0 <= taken < 400.0:  # later ones answer to something between two bars
            first.setdefault(close, taken)
            each.append(taken)
    return np.array(list(first.values())), np.array(each)


def told(values: np.ndarray) -> str:
    """Median, p99 and worst."""
    if not len(values):
        return "none"
    return (
        f"{len(values)}: median {np.median(values):.1f} ms, p99 {np.percentile(values, 99):.1f} ms, worst {values.max():.1f} ms"
    )


def latency(symbols: int, bars: int, bar: float, streams: list[str], stages: bool, swap: bool) -> None:
    """Prints it for so many symbols."""
    with tempfile.TemporaryDirectory() as folder:
        seen = session(symbols, bars, bar, REAL, streams, Path(folder), stages=stages, swap=swap)
    first, each = latencies(seen)
    health = seen["health"]
    print(f"{symbols} symbols, {health['streamed_bars']} bars by streams, {health['asked_bars']} by REST")
    print(f"  last frame of a bar to its first order: {told(first)}")
    print(f"  last frame of a bar to each order after it, answers to fills too: {told(each)}", flush=True)
    if stages:
        print_stages(seen)


def print_stages(seen: dict[str, Any]) -> None:
    """When a bar passes each station, after its last frame, and what its thread takes of the processor from the first to the
    last of them."""
    lefts = np.array(sorted(seen["left"].values()))
    rows: dict[int, dict[str, float]] = {}
    for name, marks in seen["marks"].items():
        at = np.array(marks)[:, 0]
        place = np.searchsorted(lefts, at) - 1
        good = place >= 0
        taken = (at[good] - lefts[place[good]]) / 1e6
        print(f"    {name}: {told(taken[taken < 400.0])}")
        for bar, ms in zip(place[good].tolist(), taken.tolist(), strict=True):
            rows.setdefault(bar, {}).setdefault(name, ms)
    if "known" in seen["marks"]:
        known, sent = (np.array(seen["marks"][name]) for name in ("known", "sent"))
        after = np.searchsorted(sent[:, 0], known[:, 0])
        there = after < len(sent)
        busy = (sent[after[there], 1] - known[there, 1]) / 1e6
        print(f"    processor time of the engine's thread from known to sent: {told(busy)}")
    slowest = sorted((row for row in rows.values() if "decided" in row), key=lambda row: row["decided"])[-3:]
    for row in slowest:
        print("    a slow bar: " + ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(row.items(), key=lambda each: each[1])))


def soak(minutes: float, speed: float, symbols: int, streams: list[str], swap: bool) -> None:
    """Prints memory and files over a session of so many minutes."""
    with tempfile.TemporaryDirectory() as folder:
        bar = 60.0 / speed
        seen = session(symbols, int(minutes * 60.0 / bar), bar, 0.0, streams, Path(folder), swap=swap)
    seconds, mib = np.array(seen["memory"]).T
    late = seconds > seconds[-1] / 3.0
    slope = np.polyfit(seconds[late] / 3_600.0, mib[late], 1)[0]
    print(f"{minutes:g} minutes at {speed:g} times real speed, {symbols} symbols: {seen['health']}")
    print(f"  orders and cancels: {len(seen['arrived'])}")
    print(f"  memory: {mib[late][0]:.0f} MiB after a third, {mib[-1]:.0f} MiB at the end, slope {slope:+.1f} MiB an hour")
    for at, sizes in seen["sizes"][:: max(1, len(seen["sizes"]) // 8)]:
        print(f"  {at:6.0f} s: " + ", ".join(f"{name} {size / 2**20:.2f}" for name, size in sorted(sizes.items())) + " MiB")


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", default="")
    parser.add_argument("--bars", type=int, default=100)
    parser.add_argument("--bar", type=float, default=2.0, help="seconds that a minute takes")
    parser.add_argument("--streams", default="trades,candles,book")
    parser.add_argument("--swap", action="store_true", help="perpetual swaps, which may be sold short, in place of spot")
    parser.add_argument("--stages", action="store_true", help="where the time goes")
    parser.add_argument("--soak", type=float, metavar="MINUTES")
    parser.add_argument("--speed", type=float, default=100.0)
    asked = parser.parse_args()
    streams = [name for name in asked.streams.split(",") if name]
    counts = [int(n) for n in (asked.symbols or ("2" if asked.soak else "1,20")).split(",")]
    for symbols in counts:
        if asked.soak:
            soak(asked.soak, asked.speed, symbols, streams, asked.swap)
        else:
            latency(symbols, asked.bars, asked.bar, streams, asked.stages, asked.swap)


if __name__ == "__main__":
    main()
