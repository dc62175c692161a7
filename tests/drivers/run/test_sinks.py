"""While results are taken beside the bars, threads take short turns; afterwards Python has the turns that it had."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from drivers.run.sinks import TURN, Sinks


def test_turns_are_short_while_there_are_sinks_and_as_before_when_the_last_has_ended() -> None:
    before, recorder = sys.getswitchinterval(), Any
    sys.setswitchinterval(0.004)
    try:
        first = Sinks(recorder)  # type: ignore[arg-type]
        second = Sinks(recorder)  # type: ignore[arg-type]
        assert sys.getswitchinterval() == pytest.approx(TURN)
        first.stop()
        first.stop()  # once more takes back nothing of the other
        assert sys.getswitchinterval() == pytest.approx(TURN)
        second.stop()
        assert sys.getswitchinterval() == pytest.approx(0.004)
    finally:
        sys.setswitchinterval(before)
