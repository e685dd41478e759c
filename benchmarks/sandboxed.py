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
    environment = os.environ | {
        "SOURCES__PASSONA__API_TOKEN": "sandbox",
        "SOURCES__PASSONA__BASE_URL": address,
        "DESTINATION__WAREHOUSE__CREDENTIALS": str(warehouse),
    }
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "passona", "load", "--json", *arguments], env=environment, stdout=subprocess.PIPE
    )
    printed = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the load ended with {process.returncode}")
    return Ended(time.monotonic() - begun, usage.ru_maxrss / 1024, json.loads(printed))
