"""Fields mean what the comments beside them say, and codes have the names of their constants."""

from __future__ import annotations

import pytest

from dataflows.fusion.types import Proposal
from dataflows.risk.types import KILL_REASONS, VERDICTS, Approval, KillSwitch
from drivers.diagrams.meaning import codes_of, comments_of, meaning_of, meanings
from drivers.project.locate import defaults

NAMES = {"LEVELS": ("RUN", "HALT"), "DOWN": -1, "LEVEL": 0, "UP": 1, "HALT": 1}


def test_a_code_has_the_names_of_its_tuple() -> None:
    codes = meaning_of(Approval).leaves["verdict"].codes
    assert codes is not None and not codes.mask
    assert codes.names == dict(enumerate(VERDICTS))


def test_a_mask_has_a_name_for_each_bit() -> None:
    codes = meaning_of(KillSwitch).leaves["overall_reason"].codes
    assert codes is not None and codes.mask
    assert tuple(codes.names.values()) == KILL_REASONS


def test_listed_constants_name_their_values() -> None:
    codes = meaning_of(Proposal).leaves["side"].codes
    assert codes is not None and codes.names == {-1: "SHORT", 0: "FLAT", 1: "LONG", 2: "UNKNOWN"}


@pytest.mark.parametrize(
    ("about", "names"),
    [
        ("a LEVELS code", {0: "RUN", 1: "HALT"}),
        ("a LEVELS index, -1 unknown", {-1: "UNKNOWN", 0: "RUN", 1: "HALT"}),
        ("DOWN, LEVEL, UP", {-1: "DOWN", 0: "LEVEL", 1: "UP"}),
        ("1: HALT or UP for the symbol", None),
        ("quote currency; NaN without a position", None),
    ],
)
def test_a_comment_is_read_as_it_is_written(about: str, names: dict[int, str] | None) -> None:
    codes = codes_of(about, NAMES)
    assert (None if codes is None else codes.names) == names


def test_a_comment_within_brackets_belongs_to_its_field() -> None:
    from dataflows.execution.types import Constrained

    assert comments_of(Constrained)["dust"].startswith("quantity that cannot be closed")


def test_every_layer_says_what_it_returns() -> None:
    found = meanings(defaults())
    assert all(each.leaves for each in found.values())
    assert all(name == "" or each.record for each in found.values() for name in each.leaves)
