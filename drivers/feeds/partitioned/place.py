"""Files below a folder or a URL: read whole, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from drivers.feeds.errors import DataError
from drivers.feeds.source import Source
from drivers.files.atomic import write_atomic_bytes

_S3: Final = "s3://"
_PIECE: Final = 8 << 20  # bytes copied at a time


class Place:
    """A folder, or what fsspec finds behind a URL. Raises DataError naming the place and the cure."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._remote: Any = None
        self._root, self._flat = "", str(source).startswith(_S3)
        if not isinstance(source, Path):
            try:
                self._remote, self._root = _opened(str(source))
            except ImportError as error:  # its sentence names the package
                raise DataError(f"{source}: {error}") from None
            except Exception as error:  # any storage has errors of its own: of addresses, keys, regions
                raise self._unreachable(error) from None

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""
        if isinstance(self.source, Path):
            try:
                return (self.source / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise self._unreachable(error) from None
        try:
            return bytes(self._remote.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None
        except Exception as error:  # see above
            raise self._unreachable(error) from None

    def write(self, name: str, content: bytes) -> None:
        """A file that appears whole. An object store puts an object at one stroke; a folder has it renamed into place."""
        try:
            if isinstance(self.source, Path):
                path = self.source / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic_bytes(path, content)
            else:
                self._remote.pipe_file(self._made(name), content)
        except Exception as error:  # see above
            raise self._unreachable(error) from None

    def _made(self, name: str) -> str:
        """The address of a file behind a URL, below a folder that is there, where the storage has folders."""
        there = f"{self._root}/{name}"
        if not self._flat:
            self._remote.makedirs(there.rpartition("/")[0], exist_ok=True)
        return there

    def put(self, file: Path, name: str) -> None:
        """A copy of a local file, which appears whole. It is not read into memory at once."""
        try:
            if isinstance(self.source, Path):
                (self.source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, self.source / f"{name}.partial")
                (self.source / f"{name}.partial").replace(self.source / name)
            else:
                with file.open("rb") as read, self._remote.open(self._made(name), "wb") as written:
                    shutil.copyfileobj(read, written, _PIECE)
        except Exception as error:  # see above
            raise self._unreachable(error) from None

    def get(self, name: str, file: Path) -> None:
        """Copies a file to a local one, whose folder is made. It is not read into memory at once."""
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            if isinstance(self.source, Path):
                shutil.copyfile(self.source / name, file)
            else:
                with self._remote.open(f"{self._root}/{name}", "rb") as read, file.open("wb") as written:
                    shutil.copyfileobj(read, written, _PIECE)
        except Exception as error:  # see above
            raise self._unreachable(error) from None

    def names(self) -> list[str]:
        """The files below the place, sorted; none where there is no such place."""
        try:
            if isinstance(self.source, Path):
                return sorted(p.relative_to(self.source).as_posix() for p in self.source.rglob("*") if p.is_file())
            root = self._remote._strip_protocol(self._root).rstrip("/") + "/"
            return sorted(found.removeprefix(root) for found in self._below(self._root) if found.startswith(root))
        except FileNotFoundError:
            return []
        except Exception as error:  # see above
            raise self._unreachable(error) from None

    def _below(self, there: str) -> list[str]:
        """The addresses of a file, or of all files below a folder."""
        if not self._flat:
            return list(self._remote.find(there))
        from pyarrow.fs import FileSelector, FileType

        arrow = self._remote.fs  # lists all levels by one request, where fsspec makes one for each folder
        found = arrow.get_file_info(FileSelector(there, recursive=True, allow_not_found=True)) or [arrow.get_file_info(there)]
        return [info.path for info in found if info.type == FileType.File]

    def remove(self, *names: str) -> None:
        """Removes files, and folders with all that is in them, where there are any."""
        try:
            for name in names:
                if not isinstance(self.source, Path):
                    for found in self._below(f"{self._root}/{name}"):  # one by one: not every storage removes several
                        self._remote.rm_file(found)
                elif (self.source / name).is_dir():
                    shutil.rmtree(self.source / name)
                else:
                    (self.source / name).unlink(missing_ok=True)
        except Exception as error:  # see above
            raise self._unreachable(error) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Refuses a second writer of a folder. Behind a URL nothing can be locked: there it is the user's to write from one
        place."""
        if not isinstance(self.source, Path):
            yield
            return
        try:
            self.source.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.source / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._unreachable(error) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(f"{self.source}: another process is writing there; wait until it has ended") from None
            yield
        finally:
            os.close(handle)

    def _unreachable(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        return DataError(f"{self.source}: cannot be read or written ({reason}); check the address, the rights and the keys")


def _opened(url: str) -> tuple[Any, str]:
    """What reads and writes below a URL, and the address that it knows the place by."""
    if not url.startswith(_S3):
        from fsspec.core import url_to_fs

        found: tuple[Any, str] = url_to_fs(url)
        return found
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    # Arrow's own client, so that no package is needed. It finds keys and region as Amazon's programs do, but not the endpoint.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return ArrowFSWrapper(S3FileSystem(endpoint_override=endpoint)), url.removeprefix(_S3)
