"""Opens a file whatever it is packed in: gzip, zstd, bzip2, or a zip archive of one table."""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa

from drivers.feeds.errors import DataError

_CODECS: Final = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}


def unpacked(path: Path, packed: BinaryIO, stack: ExitStack) -> Any:
    """A stream of the text in an opened file; closed with `stack`. Raises DataError for an archive of no or several tables."""
    if path.suffix.lower() == ".zip":
        archive = stack.enter_context(zipfile.ZipFile(packed))
        names = [i.filename for i in archive.infolist() if not i.is_dir() and i.filename.lower().endswith((".csv", ".txt"))]
        if len(names) != 1:
            what = f"holds {len(names)} csv files; unpack it and import them" if names else "holds no csv file"
            raise DataError(f"{path.name}: {what}")
        return stack.enter_context(archive.open(names[0]))
    codec = _CODECS.get(path.suffix.lower())
    return packed if codec is None else stack.enter_context(pa.CompressedInputStream(packed, codec))
