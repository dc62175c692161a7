"""A venue's file: what it says reaches the layers as facts of the instruments, and what is wrong with it is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from drivers.project.locate import defaults
from drivers.venues.description import VenueError, read_venue
from tests.drivers.feeds.folders import NOW, bars, write

SHIPPED = sorted((defaults().config / "venues").glob("*.yml"))


def venue(folder: Path, **over: object) -> Path:
    values = {"about": "a test", "kind": "perpetual", "taker_fee_bps": 4.0, "maker_fee_bps": -1.0, **over}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mine.yml"
    path.write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not None}), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_the_venues_that_are_shipped_are_whole(path: Path, tmp_path: Path) -> None:
    rules = read_venue(path)
    facts = open_dataset(write(tmp_path / "data", bars=bars(), description=f"venue: {path.stem}"), now=NOW).instruments
    assert (facts.taker_fee_bps == rules.taker_fee_bps).all()
    assert (facts.long_only == (rules.kind == "spot")).all()
    assert (facts.margin == 1.0 / rules.leverage).all()
    assert (facts.most_orders == rules.most_orders).all()
    assert (facts.maintenance_margin == rules.maintenance_margin).all()
    assert (facts.liquidation_fee_bps == rules.liquidation_fee_bps).all()
    assert (facts.orders_per_bar == rules.orders_per_minute).all(), "the clock is a minute"


def test_without_a_venue_nothing_is_asked(tmp_path: Path) -> None:
    facts = open_dataset(write(tmp_path, bars=bars()), now=NOW).instruments
    for name in ("price_band_bps", "long_only", "margin", "most_orders", "orders_per_bar"):
        assert not getattr(facts, name).any(), name


def test_what_the_data_set_says_goes_before_its_venue(tmp_path: Path) -> None:
    own = "venue: spot\ntaker_fee_bps: 1\nshorting: true\nleverage: 4\n"
    facts = open_dataset(write(tmp_path, bars=bars(), description=own), now=NOW).instruments
    assert (facts.taker_fee_bps[0], facts.long_only[0], facts.margin[0]) == (1.0, 0, 0.25)
    assert facts.maker_fee_bps[0] == 10.0


def test_a_project_s_venue_goes_before_the_package_s_and_a_path_is_from_the_data_s_folder(tmp_path: Path) -> None:
    venue(tmp_path / "venues", orders_per_minute=90).rename(tmp_path / "venues" / "spot.yml")
    folder = write(tmp_path / "data", bars=bars(), description="venue: spot")
    assert open_dataset(folder, now=NOW).instruments.taker_fee_bps[0] == 10.0
    assert open_dataset(folder, now=NOW, venues=tmp_path / "venues").instruments.taker_fee_bps[0] == 4.0
    folder = write(tmp_path / "other", bars=bars(), description="venue: ../venues/spot.yml")
    facts = open_dataset(folder, now=NOW).instruments
    assert (facts.maker_fee_bps[0], facts.orders_per_bar[0]) == (-1.0, 90)


def test_a_venue_may_list_symbols_that_the_data_do_not_have(tmp_path: Path) -> None:
    venue(tmp_path, tick_size={"AAA": 0.5, "ZZZ": 2.0})
    facts = open_dataset(write(tmp_path / "data", bars=bars(), description="venue: ../mine.yml"), now=NOW).instruments
    assert set(facts.tick_size.tolist()) <= {0.5, 0.0}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "option"}, "kind is 'option'"),
        ({"kind": "spot", "leverage": 3.0}, "leverage is 3; at a spot venue positions are paid in full"),
        ({"most_orders": 3}, "most_orders is 3; an entry with its bracket and exits needs 8"),
        ({"taker_fee": 1.0}, "taker_fee is not a key of this file; did you mean taker_fee_bps?"),
        ({"taker_fee_bps": None}, "taker_fee_bps is missing"),
        ({"price_band_bps": -1.0}, "price_band_bps is -1.0"),
        (
            {"kind": "spot", "maintenance_margin": 0.1},
            "maintenance_margin is given; at a spot venue positions are paid in full",
        ),
        ({"leverage": 10.0, "maintenance_margin": 0.1}, "maintenance_margin is 0.1, and a leverage of 10"),
        ({"borrow_rate": 11.0}, "borrow_rate is 11.0: 11 should be a finite number, from 0 to 10"),
    ],
)
def test_a_wrong_venue_is_refused_by_file_and_key(wrong: dict[str, object], says: str, tmp_path: Path) -> None:
    path = venue(tmp_path, **wrong)
    with pytest.raises(VenueError, match=r"mine\.yml") as refused:
        read_venue(path)
    assert says in str(refused.value)


def test_a_venue_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config/venues has no perpetal\.yml; did you mean perpetual\?"):
        open_dataset(write(tmp_path, bars=bars(), description="venue: perpetal"), now=NOW)
    with pytest.raises(DataError, match=r"nowhere\.yml: no such file"):
        open_dataset(write(tmp_path, bars=bars(), description="venue: nowhere.yml"), now=NOW)
