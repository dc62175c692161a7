"""What `pine/` of the repository holds, from its one source: `python -P -m drivers.pine.checked_in pine`."""

from __future__ import annotations

import sys
from pathlib import Path

from drivers.files.atomic import write_atomic
from drivers.pine.render import SCRIPTS, script
from drivers.pine.schema import schema_text
from drivers.pine.settings import default_settings

SCHEMA = "mirror.schema.json"


def files() -> dict[str, str]:
    """The scripts with default settings and without a payload, and the schema; name to text."""
    return {SCHEMA: schema_text()} | {name: script(name, default_settings()) for name in SCRIPTS}


def main(folder: Path) -> None:
    """Writes them."""
    for name, text in files().items():
        write_atomic(folder / name, text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
