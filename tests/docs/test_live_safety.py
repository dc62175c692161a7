"""The page about the safety of live accounts names tests and files that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_and_files_of_every_rule_exist() -> None:
    page = (ROOT / "docs" / "explanation" / "live-safety.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if re.match(r"\| \d+ \| ", line)]
    assert [int(row[0].strip("| ")) for row in rows] == list(range(1, 16))
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row[3])
        assert named, row[0]
        for file, test in named:
            path = ROOT / (file if "/" in file else f"tests/drivers/exchanges/{file}")
            assert f"def {test}(" in path.read_text(encoding="utf-8"), (file, test)
        for place in re.findall(r"`([a-z_/]+(?:\.py|/))`", row[2]):
            assert (ROOT / "drivers" / place).exists(), place
