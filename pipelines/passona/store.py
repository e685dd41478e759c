"""Where the objects of a lake are: a folder, or a bucket of an object store.

    names below a root -> bytes, whole or not at all

Readers never see half an object: a store shows one when it is complete, and in a folder it is written beside its
place, under a lock that ends with its writer, and renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

# What a file of a folder ends in while it is written.
PART = ".part"


@dataclass(frozen=True)
class Store:
    """A root in a file system of fsspec. Names are relative to it, with `/`; `local`: whether it is a folder here."""

    files: Any
    root: str
    local: bool

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """The objects of these names, several at once where the store can.

        :raises FileNotFoundError: one is not there.
        """
        paths = {self.path(name): name for name in names}
        if not paths:
            return {}
        if len(paths) == 1:
            ((path, name),) = paths.items()
            return {name: self.files.cat_file(path)}
        return {paths[path]: data for path, data in self.files.cat(list(paths)).items()}

    def reading(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """An object, to be read from any place in it.

        :raises FileNotFoundError: it is not there.
        """
        found: AbstractContextManager[IO[bytes]] = self.files.open(self.path(name), "rb")
        return found

    def exists(self, name: str) -> bool:
        return bool(self.files.exists(self.path(name)))

    def put(self, name: str, data: bytes) -> None:
        """An object, new or in the place of the old one."""
        with self.writing(name) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """An object that is not there yet; False, and nothing is changed, where somebody was before."""
        try:
            if not self.local:
                self.files.pipe_file(self.path(name), data, mode="create")
                return True
            with self._part(Path(self.path(name))) as (part, file):
                file.write(data)
                _sync(file)
                os.link(part, self.path(name))
        except OSError:  # of those stores that are not Amazon's, s3fs does not know their word for "exists"
            if self.put_at(name) is None:
                raise
            return False
        return True

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A new object, in place at the end of the block. On an error none is, or one that nothing names."""
        if not self.local:
            with self.files.open(self.path(name), "wb") as file:
                yield file
            return
        path = Path(self.path(name))
        with self._part(path) as (part, file):
            yield file
            _sync(file)
            part.replace(path)

    @contextlib.contextmanager
    def _part(self, path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
        # Neither DuckDB's patterns nor Spark take a file whose name begins with a dot.
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{secrets.token_hex(8)}{PART}")
        with part.open("xb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield part, file
            finally:
                part.unlink(missing_ok=True)

    def remove_dead_parts(self) -> None:
        """Files of a folder that a killed process did not write to their end; those that are being written stay."""
        for name in self.all() if self.local else ():
            if name.endswith(PART):
                with contextlib.suppress(OSError), Path(self.path(name)).open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    Path(self.path(name)).unlink()

    def keeps_versions(self) -> bool:
        """Whether the store is known to keep what is removed: a bucket with versions. Not everybody may ask."""
        ask = getattr(self.files, "is_bucket_versioned", None)
        with contextlib.suppress(*store_errors()):
            return bool(ask and ask(self.root.partition("/")[0]))
        return False

    def names(self, folder: str) -> list[str]:
        """What is in a folder, without what is being written, in the order of its names."""
        self.files.invalidate_cache()
        try:
            found = self.files.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return []
        names = (str(path).rpartition("/")[2] for path in found)
        return sorted(f"{folder}/{name}" for name in names if name and not name.startswith("."))

    def all(self, folder: str = "") -> dict[str, datetime]:
        """All objects below a folder and when each was put there, also what killed runs left half."""
        self.files.invalidate_cache()
        found = self.files.find(self.path(folder) if folder else self.root, detail=True)
        return {path.removeprefix(f"{self.root}/"): _put_at(facts) for path, facts in found.items()}

    def put_at(self, name: str) -> datetime | None:
        """When an object was put there, None if it is not."""
        self.files.invalidate_cache()
        try:
            return _put_at(self.files.info(self.path(name)))
        except FileNotFoundError:
            return None

    def remove(self, names: Iterable[str]) -> None:
        """Objects that may have gone already, and the folders that were theirs alone."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self.files.rm_file(self.path(name))
            if self.local:
                with contextlib.suppress(OSError):
                    Path(self.path(name)).parent.rmdir()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put_at(facts: dict[str, Any]) -> datetime:
    """When an object was put there (UTC); each store has its own word for it."""
    found = next(facts[word] for word in ("mtime", "LastModified", "last_modified", "updated") if word in facts)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    return found if isinstance(found, datetime) else datetime.fromtimestamp(found, UTC)


def store_errors() -> tuple[type[Exception], ...]:
    """What a store raises that cannot be read or written: errors of the system, and of S3 that are none."""
    botocore = sys.modules.get("botocore.exceptions")
    return (OSError, botocore.BotoCoreError) if botocore else (OSError,)
