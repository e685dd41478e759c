"""Atomic writes of files: readers see the old file or the new one, never a part.

    private part beside the file -> mode, group -> fsync -> rename -> fsync of the folder

Open readers keep the old file.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OWNER_ALONE = 0o600


def usual_mode() -> int:
    """Return the mode that the user's umask gives to a new file. Call it before the program changes the umask."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


@dataclass(frozen=True)
class AtomicFile:
    """A file to be put at `path`. `mode`: of a new file; an existing one passes on its mode and group."""

    path: Path
    mode: int = OWNER_ALONE

    @contextlib.contextmanager
    def part(self) -> Iterator[Path]:
        """Yield an empty file to fill. Put it in place at the end of the block; remove it on any error.

        :raises OSError: it cannot be created or put in place; the old file stays.
        """
        if self.path.exists() and not self.path.is_file():  # a rename would replace /dev/null, too
            raise FileExistsError(errno.EEXIST, "it exists and is not a regular file", str(self.path))
        self.clear()
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ALONE))
            yield part
            self._put(part)
        except OSError as error:
            error.filename = str(self.path)  # errors of writing name no file, others the part
            raise
        finally:
            self.clear()

    def _put(self, part: Path) -> None:
        file = os.open(part, os.O_RDWR)
        try:
            self._set_mode(file)
            os.fsync(file)
        finally:
            os.close(file)
        part.replace(self.path)
        sync(self.path.parent)

    def _set_mode(self, file: int) -> None:
        """Give the part the mode and the group of the file that it replaces."""
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
                mode &= ~stat.S_IRWXG  # another group must not read it
        os.fchmod(file, mode)

    def clear(self) -> None:
        """Remove the part of this process, and those of killed processes."""
        name = re.compile(rf"\.{re.escape(self.path.name)}\.(\d+)\.part(\..+)?")
        for file in self.path.parent.iterdir():
            match = name.fullmatch(file.name)
            if match and not _is_another_process(int(match[1])):
                file.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_another_process(pid: int) -> bool:
    """Return True if this process exists and is not the current one."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
