"""A sandbox in a process of its own, and loads against it in processes of their own, timed and weighed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ended:
    """What a process took: wall seconds, peak resident megabytes, and what it printed as JSON."""

    seconds: float
    megabytes: float
    document: dict[str, Any]


@contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """The base address of a sandbox that ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "passona", "sandbox", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process.stdout.readline().strip() if process.stdout else ""
    finally:
        process.terminate()
        process.wait()


def load(address: str, warehouse: Path, *arguments: str) -> Ended:
    """One `passona load --json`, whole process."""
    source = {"SOURCES__PASSONA__API_TOKEN": "sandbox", "SOURCES__PASSONA__BASE_URL": address}
    return passona(warehouse, "load", *arguments, **source)


def passona(warehouse: Path, verb: str, *arguments: str, **environment: str) -> Ended:
    """One verb with --json, whole process; it must end with 0."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "passona", verb, "--json", *arguments],
        env=os.environ | environment | {"DESTINATION__WAREHOUSE__CREDENTIALS": str(warehouse)},
        stdout=subprocess.PIPE,
    )
    printed = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"passona {verb} ended with {process.returncode}")
    return Ended(time.monotonic() - begun, usage.ru_maxrss / 1024, json.loads(printed))
