"""The files of a run beside the warehouse.

<warehouse>.work/spools        unfinished big walks, which a later run may resume
<warehouse>.work/run.<token>   temporary files of this run: of dlt, dbt and DuckDB, copies of imported files
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from passona.config.path_syntax import plain_folder


@dataclass(frozen=True)
class WorkFolder:
    """The work folder of the run that has locked the warehouse. `own`: its temporary files.

    A run that has lost its lock on a server may still be active in the same folder.
    """

    path: Path
    own: Path
    # The folder for dlt, if this path has characters that are syntax to dlt.
    elsewhere: Path | None = None

    @classmethod
    def take(cls, path: Path) -> WorkFolder:
        """Create the folder, and remove the leftovers of killed runs, except spools.

        :raises OSError: it cannot be created.
        """
        path.mkdir(mode=0o700, exist_ok=True)
        for leftover in path.iterdir():
            if leftover.name != "spools":
                shutil.rmtree(leftover, ignore_errors=True)
        plain = plain_folder(path / "dlt")
        work = cls(path, path / f"run.{secrets.token_hex(4)}", None if plain.parent == path else plain)
        work._remove_elsewhere()
        for folder in (work.spools, work.own):
            folder.mkdir(mode=0o700, exist_ok=True)
        return work

    @property
    def spools(self) -> Path:
        return self.path / "spools"

    def folder(self, name: str) -> Path:
        """Create an empty folder of this run."""
        folder = self.own / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    def folder_for_dlt(self) -> Path:
        """Create an empty folder of this run at a path without syntax."""
        if self.elsewhere is None:
            return self.folder("dlt")
        self._remove_elsewhere()
        self.elsewhere.mkdir(mode=0o700)  # fails if another user's is there
        return self.elsewhere

    def _remove_elsewhere(self) -> None:
        if self.elsewhere is not None:
            shutil.rmtree(self.elsewhere, ignore_errors=True)

    def release(self) -> None:
        """Remove the files of this run, and the folder itself if it holds no spools."""
        self._remove_elsewhere()
        shutil.rmtree(self.own, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.spools.rmdir()
            self.path.rmdir()
