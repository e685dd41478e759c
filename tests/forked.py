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

# Importing has no effect (tests/pure/test_imports.py), so a process that has imported them is a new one.
IMPORTED = ("duckdb", "pyarrow.compute", "passona.cli", "passona.load", "passona.screen", "passona.status_screen")
SECONDS = 60

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*IMPORTED, __name__])


def run_passona(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `passona` with these arguments in a folder; its exit code and what it printed.

    :raises subprocess.TimeoutExpired: it did not end within a minute.
    """
    with tempfile.TemporaryDirectory() as printed:
        files = Path(printed, "stdout"), Path(printed, "stderr")
        process = _context.Process(target=_command, args=(list(arguments), folder, dict(environment), files))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, SECONDS, *(file.read_bytes() for file in files))
        stdout, stderr = (file.read_text("utf-8") for file in files)
    return subprocess.CompletedProcess(arguments, process.exitcode, stdout, stderr)


def kill_passona(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], after: float) -> None:
    """Runs `passona` with these arguments in a folder, and kills it after so many seconds, if it has not ended."""
    with tempfile.TemporaryDirectory() as printed:
        files = Path(printed, "stdout"), Path(printed, "stderr")
        process = _context.Process(target=_command, args=(list(arguments), folder, dict(environment), files))
        process.start()
        process.join(after)
        process.kill()
        process.join()


def _command(arguments: list[str], folder: Path, environment: dict[str, str], files: tuple[Path, Path]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["passona", *arguments]
    from passona.__main__ import main

    main()
