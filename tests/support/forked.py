"""The console command in a process of its own, forked from one that has imported what takes a second to import.

What the command does, how it ends and what it prints is that of a new process; only the imports are done.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Importing has no effect (tests/unit/test_imports.py), so a process that has imported them is a new one.
IMPORTED = (
    "duckdb",
    "pyarrow.compute",
    "passona.cli.main",
    "passona.warehouse.load",
    "passona.cli.screen",
    "passona.cli.load",
)
# A bound for what hangs; a busy machine takes its time.
SECONDS = 600

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*IMPORTED, __name__])


class Begun:
    """`passona` with these arguments, at work in a folder."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.arguments = list(arguments)
        self._printed = tempfile.TemporaryDirectory()
        self._files = Path(self._printed.name, "stdout"), Path(self._printed.name, "stderr")
        self._process = _context.Process(target=_command, args=(self.arguments, folder, dict(environment), self._files))
        self._process.start()

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    @property
    def ended(self) -> bool:
        return self._process.exitcode is not None

    def wait(self, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """Its end and what it printed.

        :raises subprocess.TimeoutExpired: it did not end in time.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.arguments, seconds, *(file.read_bytes() for file in self._files))
        stdout, stderr = (file.read_text("utf-8") for file in self._files)
        return subprocess.CompletedProcess(self.arguments, self._process.exitcode, stdout, stderr)

    def kill(self, after: float = 0) -> None:
        """Ends it after so many seconds, if it has not ended by itself."""
        self._process.join(after)
        self._process.kill()
        self._process.join()


def run_passona(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `passona` with these arguments in a folder; its exit code and what it printed.

    :raises subprocess.TimeoutExpired: it did not end in time.
    """
    return Begun(arguments, folder, environment).wait()


def kill_passona(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], after: float) -> None:
    """Runs `passona` with these arguments in a folder, and kills it after so many seconds, if it has not ended."""
    Begun(arguments, folder, environment).kill(after)


def _command(arguments: list[str], folder: Path, environment: dict[str, str], files: tuple[Path, Path]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["passona", *arguments]
    from passona.__main__ import main

    main()


KILLS = int(os.environ.get("PASSONA_KILLS", "6"))
