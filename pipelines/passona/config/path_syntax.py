"""Avoid paths in which DuckDB or dlt would see syntax.

DuckDB derives a catalog's name from the file's name, and reads parameters after a `?`. dlt formats file names with `%`,
and writes them into SQL unescaped, where DuckDB also reads `*` as a pattern and `a=b` as a column.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from passona.errors import ConfigurationError

_PLAIN = re.compile(r"[\w /.,+@()&-]*")


def catalog_name(path: Path) -> str:
    """Return DuckDB's name for the catalog of a file, in lower case."""
    return path.name.partition("?")[0].lstrip(".").partition(".")[0].lower()


def log_of(path: Path) -> Path:
    """Return the path of DuckDB's write-ahead log of a file."""
    name, mark, parameters = path.name.partition("?")
    return path.with_name(f"{name}.wal{mark}{parameters}")


def work_folder(path: Path) -> Path:
    """Return the folder for temporary files beside a warehouse. DuckDB opens files in it, so it has no `?`."""
    if "?" not in path.name:
        return path.with_name(f"{path.name}.work")
    return path.with_name(f"{path.name.replace('?', '_')}-{_digest(path.name)}.work")


def plain_folder(folder: Path) -> Path:
    """Return a path without syntax for a temporary folder: itself, or a folder in the system's temp folder.

    Deterministic, so the next run finds what a killed run left.

    :raises ConfigurationError: the system's temp folder has syntax in its path, too.
    """
    real = os.path.realpath(folder)
    if _PLAIN.fullmatch(real):
        return folder
    return _temp_folder() / f"passona-{os.getuid()}-{_digest(real)}"


def _temp_folder() -> Path:
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108  # the new folder is private
        real = Path(folder).resolve()
        if _PLAIN.fullmatch(str(real)) and real.is_dir():
            return real
    raise ConfigurationError(
        "the system's temp folder has characters in its path that are syntax: set TMPDIR to another"
    )


def _digest(text: str) -> str:
    return hashlib.blake2b(os.fsencode(text), digest_size=8).hexdigest()
