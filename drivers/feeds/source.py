"""Where market data lie: a folder, or a URL of a partitioned data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from drivers.feeds.errors import DataError


@dataclass(frozen=True)
class Url:
    """A place that fsspec knows: s3://bucket/market, gs://…, memory://…

    Raises DataError where the text bears a password: it would end in run.json and in messages.
    """

    text: str

    def __post_init__(self) -> None:
        if urlsplit(self.text).password is not None:
            raise DataError(
                "the URL bears a password, which would be kept in run.json; leave it out and give the keys in the environment, "
                "as the storage asks for them"
            )

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.text.rstrip("/").rpartition("/")[2] or self.text

    def __str__(self) -> str:
        return self.text


Source: TypeAlias = Path | Url


def source_of(text: str) -> Source:
    """A URL where the text has the form of one, else a path."""
    return Url(text.rstrip("/")) if "://" in text else Path(text)
