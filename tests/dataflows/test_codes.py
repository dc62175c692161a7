"""A code and the list that gives its name agree: `REFUSALS[k]` names the bit 1 << k, `REGIMES[k]` the code k, and so on."""

from __future__ import annotations

from types import ModuleType

import pytest

from dataflows.fusion import types as fusion
from dataflows.microstructure import types as microstructure
from dataflows.regime import types as regime

CODES = [
    (fusion, fusion.SOURCES, tuple(range(fusion.K))),
    (fusion, fusion.REFUSALS, tuple(1 << k for k in range(len(fusion.REFUSALS)))),
    (regime, regime.REGIMES, tuple(range(len(regime.REGIMES)))),
    (regime, regime.FEATURES, tuple(range(len(regime.FEATURES)))),
    (microstructure, microstructure.LIQUIDITY, tuple(range(len(microstructure.LIQUIDITY)))),
]


@pytest.mark.parametrize(("module", "names", "codes"), CODES, ids=lambda v: v.__name__ if isinstance(v, ModuleType) else "")
def test_every_name_stands_at_its_code(module: ModuleType, names: tuple[str, ...], codes: tuple[int, ...]) -> None:
    assert tuple(getattr(module, name.upper()) for name in names) == codes
