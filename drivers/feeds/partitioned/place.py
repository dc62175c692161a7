"""Files below a folder or a URL: read whole, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drivers.feeds.errors import DataError
from drivers.feeds.source import Source
from drivers.files.atomic import write_atomic_bytes


class Place:
    """A folder, or what fsspec finds behind a URL. Raises DataError naming the place and the cure."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._remote: Any = None
        self._root = ""
        if not isinstance(source, Path):
            from fsspec.core import url_to_fs

            try:
                self._remote, self._root = url_to_fs(str(source))
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
                there = f"{self._root}/{name}"
                self._remote.makedirs(there.rpartition("/")[0], exist_ok=True)
                self._remote.pipe_file(there, content)
        except Exception as error:  # see above
            raise self._unreachable(error) from None

    def remove(self, folder: str) -> None:
        """Removes a folder with all that is in it, where there is one."""
        try:
            if isinstance(self.source, Path):
                if (self.source / folder).is_dir():
                    shutil.rmtree(self.source / folder)
            elif self._remote.exists(f"{self._root}/{folder}"):
                self._remote.rm(f"{self._root}/{folder}", recursive=True)
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
