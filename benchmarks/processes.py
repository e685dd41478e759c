"""Whole processes, timed and weighed, and the servers they ask. On Linux: memory is read from /proc.

serving / sandbox -> base address -> run / load -> Ended
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
# Twice a second: a peak of tens of seconds is seen, and reading it (10 ms a gigabyte) is not.
WEIGHED_EVERY = 0.5
# Of what a failed process said last, enough to see why.
SHOWN = 1_000


class Failed(Exception):  # noqa: N818  # named for what happened
    """A process ended badly, or did not do its job; says which, and what it said."""


@dataclass(frozen=True)
class Ended:
    """What a process took: wall seconds, peak resident megabytes of it and its children, what it printed."""

    seconds: float
    megabytes: float
    printed: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.printed)


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Ended:
    """One process from its start to its end, in a folder where no settings of anyone's are found.

    :raises Failed: its exit code is not 0.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as notes:
        taken, errors = Path(notes, "taken.json"), Path(notes, "errors")
        weigher = [sys.executable, "-S", HERE / "weigh.py", taken, *command]
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                weigher, cwd=folder, env=os.environ | (environment or {}), stdout=subprocess.PIPE, stderr=stderr
            )
            with _Balance(process.pid) as balance:
                printed, _ = process.communicate()
        if process.returncode:
            said = (printed + errors.read_bytes())[-SHOWN:].decode(errors="replace")
            raise Failed(f"{' '.join(map(str, command[:3]))} ended with {process.returncode}: {said}")
        found = json.loads(taken.read_text())
    return Ended(found["seconds"], max(found["kilobytes"] / 1024, balance.megabytes), printed.decode())


def load(address: str, warehouse: Path, *arguments: str) -> Ended:
    """One `passona load --json`, whole process."""
    account = {"SOURCES__PASSONA__API_TOKEN": "sandbox", "SOURCES__PASSONA__BASE_URL": address}
    return passona(warehouse, "load", "--json", *arguments, **account)


def passona(warehouse: Path, *arguments: str, **environment: str) -> Ended:
    """The console command on a warehouse, whole process."""
    environment |= {"DESTINATION__WAREHOUSE__CREDENTIALS": str(warehouse)}
    return run([sys.executable, "-m", "passona", *arguments], environment)


def script(name: str) -> list[str | Path]:
    """The command that runs a script of this folder."""
    return [sys.executable, HERE / name]


@contextmanager
def serving(*flags: str, **options: object) -> Iterator[str]:
    """The base address of a bare page server that ends with the block; `flags` and `options` are its own."""
    given = [*flags]
    given += [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    with _served([*script("page_server.py"), *given]) as address:
        yield address


@contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """The base address of a sandbox that ends with the block."""
    with _served([sys.executable, "-m", "passona", "sandbox", *options]) as address:
        yield address


@contextmanager
def _served(command: Sequence[str | Path]) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address:
            raise Failed(f"{command[1]} did not begin to serve")
        yield address
    finally:
        process.terminate()
        process.wait()


class _Balance(threading.Thread):
    """Weighs the child of a process together with its own children while the block runs, if it has any.

    Memory that they share counts once. A peak between two looks is missed, so what has children is
    found lighter than it is, never heavier.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.megabytes = 0.0
        self._pid = pid
        self._ended = threading.Event()

    def __enter__(self) -> _Balance:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(WEIGHED_EVERY):
            _, *family = _family(self._pid)
            if len(family) > 1:  # the kernel itself keeps the peak of one that is alone
                self.megabytes = max(self.megabytes, sum(map(_weight, family)))


def _family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _weight(pid: int) -> float:
    """Megabytes of a process, shared ones in proportion; 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
