"""Describe the machine and the versions of a measurement, without host names or paths."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("passona-warehouse", "dlt", "duckdb", "pyarrow", "requests", "orjson")


def versions() -> str:
    """List the versions of Python and of the packages that matter here."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)])


def machine() -> str:
    """Name the processor, the cores available to this process, memory and operating system."""
    memory = int(_first_match(r"MemTotal:\s+(\d+)", "/proc/meminfo", "0")) / 2**20
    processor = _first_match(r"model name\s*:\s*(.+)", "/proc/cpuinfo", platform.machine())
    system = _first_match(r'PRETTY_NAME="?([^"\n]+)', "/etc/os-release", platform.system())
    cores = len(os.sched_getaffinity(0))
    return f"{processor}, {cores} cores, {memory:.0f} GB of memory, {system}, Linux {platform.release()}"


def _first_match(pattern: str, file: str, default: str) -> str:
    path = Path(file)
    match = re.search(pattern, path.read_text()) if path.exists() else None
    return match[1].strip() if match else default
