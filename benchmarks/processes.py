"""Run whole processes and measure their time and memory; start the servers that they load from.

Linux only: memory is read from /proc.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# Two samples a second catch a peak that lasts, and cost little: one sample takes 10 ms per gigabyte.
SAMPLE_SECONDS = 0.5
# How much of the output of a failed process to show.
OUTPUT_BYTES = 1_000


class BenchmarkError(Exception):
    """A process failed, or its result is wrong."""


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds, peak resident megabytes of a process and its children, and its standard output."""

    seconds: float
    megabytes: float
    stdout: str

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.megabytes:.0f} MB"

    @property
    def document(self) -> Any:
        """The output, parsed as JSON."""
        return json.loads(self.stdout)


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Measured:
    """Run one process in an empty folder, so that no settings of the user apply.

    :raises BenchmarkError: its exit code is not 0.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as notes:
        usage, errors = Path(notes, "usage.json"), Path(notes, "errors")
        wrapper = [sys.executable, "-S", HERE / "measure.py", usage, *command]
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                wrapper, cwd=folder, env=os.environ | (environment or {}), stdout=subprocess.PIPE, stderr=stderr
            )
            with _MemorySampler(process.pid) as sampler:
                stdout, _ = process.communicate()
        if process.returncode:
            output = (stdout + errors.read_bytes())[-OUTPUT_BYTES:].decode(errors="replace")
            raise BenchmarkError(f"{' '.join(map(str, command[:3]))} ended with {process.returncode}: {output}")
        measured = json.loads(usage.read_text())
    return Measured(measured["seconds"], max(measured["kilobytes"] / 1024, sampler.megabytes), stdout.decode())


def load(address: str, warehouse: Path, *arguments: str) -> Measured:
    """Run `passona load --json`."""
    account = {"SOURCES__PASSONA__API_TOKEN": "sandbox", "SOURCES__PASSONA__BASE_URL": address}
    return passona(warehouse, "load", "--json", *arguments, **account)


def passona(warehouse: Path, *arguments: str | Path, **environment: str) -> Measured:
    """Run the console command on a warehouse."""
    environment |= {"DESTINATION__WAREHOUSE__CREDENTIALS": str(warehouse)}
    return run([sys.executable, "-m", "passona", *arguments], environment)


def script(name: str) -> list[str | Path]:
    """Return the command that runs a script of this folder."""
    return [sys.executable, HERE / name]


@contextmanager
def page_server(**options: object) -> Iterator[str]:
    """Run page_server.py with these options and yield its base address."""
    arguments = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    process = subprocess.Popen([*script("page_server.py"), *arguments], stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address:
            raise BenchmarkError("page_server.py did not start")
        yield address
    finally:
        process.terminate()
        process.wait()


class _MemorySampler(threading.Thread):
    """Sample the memory of a process's child and all its descendants while the block runs.

    Shared memory counts once. A peak between two samples is missed, so the memory of a process
    with children is never overestimated.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.megabytes = 0.0
        self._pid = pid
        self._ended = threading.Event()

    def __enter__(self) -> _MemorySampler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            _, *family = _family(self._pid)
            if len(family) > 1:  # for a single process the kernel reports the peak itself
                self.megabytes = max(self.megabytes, sum(map(_resident, family)))


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _resident(pid: int) -> float:
    """Return the megabytes of a process, shared memory in proportion; 0 if the process has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
