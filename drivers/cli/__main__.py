"""`python -P -m drivers.cli`: the commands, where `stratoquant` is not on the path."""

from __future__ import annotations

from drivers.cli.main import main

main()
