"""The layouts of `layouts.yml` as files, and as the table of docs/how-to/import-data.md.

`python -m tests.drivers.feeds.layouts` writes that table anew.
"""

from __future__ import annotations

import gzip
import io
import re
import shlex
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from drivers.feeds.importing.presets import PRESETS

PAGE: Final = Path(__file__).parents[3] / "docs" / "how-to" / "import-data.md"


@dataclass(frozen=True)
class Layout:
    """An entry of `layouts.yml`."""

    layout: str
    file: str
    text: str
    rows: str
    by: str = ""
    says: str = ""
    encoding: str = "utf-8"
    entry: str = ""  # `in` of the file

    @property
    def words(self) -> list[str]:
        """Options of the command."""
        return shlex.split(self.by)

    @property
    def expected(self) -> pd.DataFrame:
        """The rows, numbers as floats, `-` as missing."""
        made = pd.read_csv(io.StringIO(self.rows), sep=" ", dtype={"trade_id": str, "side": str, "symbol": str})
        made["timestamp"] = pd.to_datetime(made["timestamp"], utc=True, format="ISO8601").astype("datetime64[ns, UTC]")
        return made.replace({"side": {"-": None}}) if "side" in made else made

    @property
    def kind(self) -> str:
        """The kind of its rows, by their columns."""
        marks = {"bid_px_0": "book", "funding_rate": "funding", "value": "alpha", "price": "trades"}
        return next((kind for mark, kind in marks.items() if mark in self.rows.splitlines()[0].split()), "bars")

    def write(self, folder: Path) -> Path:
        """The file in a folder."""
        path, content = folder / self.file, self.text.encode(self.encoding)
        if self.file.endswith(".zip"):
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(self.entry, content)
            content = packed.getvalue()
        path.write_bytes(gzip.compress(content) if self.file.endswith(".gz") else content)
        return path


def _layouts() -> list[Layout]:
    told: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("layouts.yml").read_text(encoding="utf-8"))
    return [Layout(**{("entry" if key == "in" else key): value for key, value in one.items()}) for one in told]


LAYOUTS: Final = _layouts()


def table() -> str:
    """The layouts and what each needs, as a Markdown table."""
    rows = ["| layout | kind | needs |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| {x.layout} | {x.kind} | {f'`{x.by}`' if x.by else ''} |" for x in LAYOUTS)]) + "\n"


def presets() -> str:
    """The presets as a Markdown table."""
    rows = ["| preset | kind | what it is |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| `{name}` | {p.kind} | {p.about} |" for name, p in PRESETS.items())]) + "\n"


def page(text: str) -> str:
    """The page with its tables as they are to be."""
    for name, made in (("layouts", table()), ("presets", presets())):
        between = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)
        text = between.sub(lambda _, made=made: f"\n{made}\n", text)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
