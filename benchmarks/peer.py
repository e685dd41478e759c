"""The Singer tap and target that we are compared with, in an environment of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from rounds import say

HERE = Path(__file__).resolve().parent
VENV = HERE.parent / ".venv-peer"
PYTHON = VENV / "bin" / "python"
# DuckDB 1.0.0, which it rests on, was built for none newer.
VERSIONS = ("3.12", "3.11")
# A package index that cannot be reached is given up; all of it takes less than a minute.
LIMIT = 600
NAMES = ("singer-sdk", "target-duckdb", "duckdb", "requests")


class NotInstalled(Exception):  # noqa: N818  # named for what happened
    """The peer cannot be had here; says why."""


def install() -> None:
    """Makes its environment, if it is not there yet.

    :raises NotInstalled: it cannot be made; nothing of it stays.
    """
    if (VENV / "bin" / "target-duckdb").exists():
        return
    say("installing the Singer peer into .venv-peer (once)")
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--quiet", "--requirement", HERE / "peer-requirements.txt"]
    try:
        for command in ([_python(), "-m", "venv", "--clear", str(VENV)], pip):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT)
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(VENV, ignore_errors=True)
        said = getattr(error, "stderr", None) or str(error)
        raise NotInstalled(f"the Singer peer cannot be installed: {said.strip().splitlines()[-1][:200]}") from error


def _python() -> str:
    """An interpreter that it runs on: ours if that will do."""
    if "{}.{}".format(*sys.version_info) in VERSIONS:
        return sys.executable
    found = next(filter(None, (shutil.which(f"python{version}") for version in VERSIONS)), None)
    if found is None:
        raise NotInstalled(f"the Singer peer needs Python {' or '.join(VERSIONS)}, and there is none")
    return found


def versions() -> str:
    """Its parts with their versions; "not installed" where it is not."""
    if not PYTHON.exists():
        return "not installed"
    code = f"from importlib.metadata import version as v; print(*(f'{{n}} {{v(n)}}' for n in {NAMES}), sep=', ')"
    python = "import platform; print('Python', platform.python_version(), end=', '); "
    return subprocess.run([PYTHON, "-c", python + code], check=True, capture_output=True, text=True).stdout.strip()
