"""A stream without an engine, as a process: a gateway at the practice exchange with a journal and a heartbeat, which enters once.

python -m tests.drivers.watchdog.small_stream OUT ADDRESS OPERATOR
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from drivers.exchanges.access import Exchange
from drivers.exchanges.account_access import Account, keys_of
from drivers.monitor.heartbeat import Heartbeat
from drivers.store.segments import Segments
from tests.drivers.exchanges.desk import entry
from tests.drivers.exchanges.test_user_stream import rules_at

MS = 1_000_000


def main(out: str, address: str, operator: str) -> None:
    folder = Path(f"{out}.partial")
    folder.mkdir(parents=True)
    exchange = Exchange("practice", rules_at(address))
    ahead = exchange.now() - time.time_ns()

    def clock() -> int:
        return time.time_ns() + ahead

    gateway = Account(
        exchange, ("BTC/USDT",), keys_of("practice"), clock, step=60_000 * MS, begins=clock(), cash=50_000.0, notify=print
    ).gateway
    journal = Segments(folder / "journal")
    journal.begin({"kind": "begin", "venue": gateway.memory(), "clock": {"seconds": 60}}, {})

    def note(about: object, sync: bool) -> bool:
        journal.append(about, sync=sync)  # type: ignore[arg-type]
        return True

    gateway.note = note
    asked = {"venue": "practice", "mode": "testnet", "symbols": ["BTC/USDT"], "operator_file": operator, "project": None}
    (folder / "stream.json").write_text(json.dumps({**asked, "project": str(Path(operator).parent), "live_from": 1}))
    gateway.begin()
    uid, price = gateway.markets[0].uid, gateway.reconciler.price("BTC")
    gateway.submit(entry("BTCUSDT", 4, 0.02, clock() // MS, price)._replace(id=uid << 32 | 4))
    heart = Heartbeat(folder, SimpleNamespace())
    while True:
        gateway.flush()
        list(gateway.events(clock()))
        heart.beat()
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
