"""The facts of instruments that a data set takes from the venue that its `dataset.yml` names.

`venue: spot` takes fees, steps and rules from `config/venues/spot.yml` of the project, or of the package; a path that ends in
.yml is taken as it is, from the data set's folder. What `dataset.yml` says itself goes before it.
"""

from __future__ import annotations

from pathlib import Path

from drivers.feeds.description import Description, describe
from drivers.feeds.errors import DataError
from drivers.project.locate import defaults
from drivers.text.suggestions import did_you_mean
from drivers.venues.description import VenueError, read_venue

OWN_VENUES = defaults().config / "venues"
"""The package's own venues."""


def described(about: Description, folder: Path, venues: Path | None = None) -> Description:
    """A data set's description with what its venue adds to it. venues: the project's folder of venues, before the package's.

    Raises DataError naming the file and the key when there is no such venue, or its file is wrong.
    """
    if about.venue is None:
        return about
    places = [v for v in (venues, OWN_VENUES) if v is not None]
    try:
        venue = read_venue(_file(about.venue, folder, places))
    except VenueError as error:
        raise DataError(str(error)) from None
    given = {key: getattr(about, key) for key in about.model_fields_set}
    return describe(venue.facts(Description.model_fields) | given)


def _file(name: str, folder: Path, places: list[Path]) -> Path:
    if name.endswith((".yml", ".yaml")):
        return folder / name
    for place in places:
        if (place / f"{name}.yml").is_file():
            return place / f"{name}.yml"
    known = sorted({path.stem for place in places if place.is_dir() for path in place.glob("*.yml")})
    raise DataError(f"dataset.yml: venue is {name!r}, and config/venues has no {name}.yml; {did_you_mean(name, known)}")
