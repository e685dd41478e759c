"""A work folder that no other process uses, for warehouses that many processes of one machine may write at once.

<warehouse>.<number>.work, locked by its process -> taken over, with its spools, by the next when that is killed
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from passona.spool import LONGEST_AGE


class WorkFolder:
    """A folder held by a lock on it: that of a killed process with what it left, if there is one, or a new one.

    `path`: where it is.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self.path, self._descriptor = self._own()
        self._remove_stale()

    def _own(self) -> tuple[Path, int]:
        for number in itertools.count(1):
            folder = self._base.with_name(f"{self._base.name}.{number}.work")
            folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), folder.stat()):
                    return folder, descriptor
            except (BlockingIOError, FileNotFoundError):  # held, or its owner has just removed it
                pass
            os.close(descriptor)
        raise AssertionError

    def _remove_stale(self) -> None:
        """Personal data are in the spools of killed processes, which are of no use after some hours."""
        oldest = (datetime.now(UTC) - LONGEST_AGE).timestamp()
        for folder in self._left():
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

    def remove_left(self) -> int:
        """Removes all folders of processes that are no more; how many spools were in them."""
        spools = 0
        for folder in self._left():
            spools += len(list(folder.glob("spools/*")))
            shutil.rmtree(folder, ignore_errors=True)
        return spools

    def _left(self) -> Iterator[Path]:
        """The folders of killed processes that nobody has taken up, each held while it is looked at."""
        for folder in self._base.parent.glob(f"{self._base.name}.*.work"):
            if folder != self.path:
                with contextlib.suppress(OSError):
                    descriptor = os.open(folder, os.O_RDONLY)
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        yield folder
                    finally:
                        os.close(descriptor)

    def close(self) -> None:
        """Lets go of it, last of all; it stays where spools of unfinished big walks are in it."""
        with contextlib.suppress(OSError):
            self.path.rmdir()
        os.close(self._descriptor)
