"""Results of a run behind a URL: put there when they are whole, and brought back as a folder for those who read them.

`run.json` is put last and, where results are replaced, removed first: a place that has one holds a whole run.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from dataflows.runtime.code_folder import cache_root, make_cache_root
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.place import Place
from drivers.feeds.source import Source, Url, source_of
from drivers.store.errors import StoreError, TakenError
from drivers.store.folder import foreign_names
from drivers.store.reader import RecordedError

ABOUT: Final = "run.json"
COPIES: Final = "results"
"""Below the cache folder: copies of what was read from URLs."""


@contextmanager
def publishing(url: Url, *, overwrite: bool, tell: Callable[[str], None]) -> Iterator[Path]:
    """Gives a folder of this machine for a run's results, and puts them behind the URL when the block has ended without an
    error. The folder is then removed.

    overwrite: the results of a run that are there may be replaced; they stay until the new ones are whole. Raises TakenError
    before the block where something else is there; StoreError, naming the folder, which stays, where the results cannot be put.
    It stays too where anything else ends that (Ctrl-C); `tell` is then called with a sentence that names it.
    """
    place = Place(url)
    _refuse_taken(place, overwrite)
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="stratoquant-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        folder = scratch / url.name
        yield folder
        try:
            _put(folder, place, overwrite)
        except BaseException as error:  # what was there before may be gone by now
            stack.pop_all()
            where = f"The results of this run are whole, in {folder}"
            if isinstance(error, (DataError, TakenError)):
                raise StoreError(f"{error}. {where}") from None
            tell(f"{where}; not all of them are at {place.source}.")
            raise


def _refuse_taken(place: Place, overwrite: bool) -> list[str]:
    """The names of a run's files that are in the way. Raises TakenError where they may not be replaced."""
    there = place.names()
    strange = foreign_names(there)
    if strange:
        raise TakenError(f"{place.source} holds {strange[0]}, which no run writes; name another place")
    if ABOUT in there and not overwrite:
        raise TakenError(f"{place.source} holds the results of a run already; name another place, or give --overwrite")
    return there


def _put(folder: Path, place: Place, overwrite: bool) -> None:
    stale = _refuse_taken(place, overwrite)  # what has appeared there meanwhile is somebody else's
    place.remove(*sorted(stale, key=lambda name: name != ABOUT))
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    for name in sorted(names, key=lambda name: name == ABOUT):
        place.put(folder / name, name)


def holds_run(url: Url) -> bool:
    """Whether whole results of a run lie behind a URL. Raises DataError where it cannot be read."""
    return Place(url).read(ABOUT) is not None


def results_folder(source: Source | str) -> Path:
    """The folder of a run's results: a path is that folder; what lies behind a URL is copied into the cache folder, once.

    Raises RecordedError where no whole run lies behind the URL, DataError where it cannot be read.
    """
    source = source_of(source) if isinstance(source, str) else source
    if isinstance(source, Path):
        return source
    place = Place(source)
    about = place.read(ABOUT)
    if about is None:
        raise RecordedError(
            f"{source} has no {ABOUT}, so it holds no finished run; name the address that a run was given as --out"
        )
    copies = make_cache_root() / COPIES / hashlib.sha256(source.text.encode()).hexdigest()[:16]
    whole = copies / hashlib.sha256(about).hexdigest()[:16] / source.name
    if not whole.is_dir():
        shutil.rmtree(copies, ignore_errors=True)  # of what was there before
        copies.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=cache_root() / COPIES) as scratch:
            names = place.names()
            strange = set(foreign_names(names))
            for name in names:
                if name not in strange and name != ABOUT:
                    place.get(name, Path(scratch) / source.name / name)
            (Path(scratch) / source.name).mkdir(exist_ok=True)
            (Path(scratch) / source.name / ABOUT).write_bytes(about)
            whole.parent.mkdir()
            (Path(scratch) / source.name).rename(whole)
    return whole
