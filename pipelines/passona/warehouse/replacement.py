"""A file that is put in place whole: whoever reads it finds the old one or the new one, never a half of one.

    a part beside it, of its owner alone -> mode, group -> fsync -> rename -> fsync of the folder

Readers who have the old one open keep it: it lives on without a name until they let it go.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OWNER_ALONE = 0o600


def usual_mode() -> int:
    """The mode that the user's umask gives to a new file. To be asked before anything changes the umask."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


@dataclass(frozen=True)
class Replacement:
    """What is to be put at `path`. `mode`: that of a new file; one that is there hands on its own, and its group."""

    path: Path
    mode: int = OWNER_ALONE

    @contextlib.contextmanager
    def part(self) -> Iterator[Path]:
        """An empty file to be filled. It is put in place at the end of the block, and removed on any error.

        :raises OSError: it cannot be made or put in place; the old file stays.
        """
        self.clear()
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ALONE))
            yield part
            self._put(part)
        except OSError as error:
            error.filename = str(self.path)  # writing tells no name, and nobody knows the part's
            raise
        finally:
            self.clear()

    def _put(self, part: Path) -> None:
        file = os.open(part, os.O_RDWR)
        try:
            self._dress(file)
            os.fsync(file)
        finally:
            os.close(file)
        part.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _dress(self, file: int) -> None:
        """Gives the part the mode and the group of the file that it replaces."""
        try:
            old = self.path.stat()
        except FileNotFoundError:
            os.fchmod(file, self.mode)
            return
        mode = stat.S_IMODE(old.st_mode)
        if os.fstat(file).st_gid != old.st_gid:
            try:
                os.fchown(file, -1, old.st_gid)
            except PermissionError:
                mode &= ~stat.S_IRWXG  # what its group might read is not for ours
        os.fchmod(file, mode)

    def clear(self) -> None:
        """Removes our part, and those of processes that were killed."""
        name = re.compile(rf"\.{re.escape(self.path.name)}\.(\d+)\.part(\..+)?")
        for file in self.path.parent.iterdir():
            found = name.fullmatch(file.name)
            if found and not _is_another(int(found[1])):
                file.unlink(missing_ok=True)


def _is_another(pid: int) -> bool:
    """Whether there is such a process, and it is not this one."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
