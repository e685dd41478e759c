"""What it was measured on and with, for the head of the page. Names no host and no path."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

NAMES = ("passona-warehouse", "dlt", "duckdb", "pyarrow", "requests", "orjson")


def versions() -> str:
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in NAMES)])


def machine() -> str:
    """Processor, cores that we may use, memory, system."""
    memory = int(_found(r"MemTotal:\s+(\d+)", "/proc/meminfo", "0")) / 2**20
    processor = _found(r"model name\s*:\s*(.+)", "/proc/cpuinfo", platform.machine())
    system = _found(r'PRETTY_NAME="?([^"\n]+)', "/etc/os-release", platform.system())
    cores = len(os.sched_getaffinity(0))
    return f"{processor}, {cores} cores, {memory:.0f} GB of memory, {system}, Linux {platform.release()}"


def _found(pattern: str, file: str, otherwise: str) -> str:
    path = Path(file)
    match = re.search(pattern, path.read_text()) if path.exists() else None
    return match[1].strip() if match else otherwise
