"""What DuckDB and dlt take for syntax in a path, and paths without it, whatever the user's folders are called.

DuckDB names the catalog of a file by the file's name, and takes what follows a `?` for parameters. dlt makes file
names with `%`, and writes them into SQL as they are, where DuckDB also takes `*` for a pattern and `a=b` for a column.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from passona.errors import ConfigurationError

_PLAIN = re.compile(r"[\w /.,+@()&-]*")


def catalog_name(path: Path) -> str:
    """Return what DuckDB calls the catalog of a file, in lower case."""
    return path.name.partition("?")[0].lstrip(".").partition(".")[0].lower()


def log_of(path: Path) -> Path:
    """Return where DuckDB keeps what is not in a file yet."""
    name, mark, parameters = path.name.partition("?")
    return path.with_name(f"{name}.wal{mark}{parameters}")


def work_folder(path: Path) -> Path:
    """Return the folder beside a warehouse for what is temporary; DuckDB opens files in it, so it has no `?`."""
    if "?" not in path.name:
        return path.with_name(f"{path.name}.work")
    return path.with_name(f"{path.name.replace('?', '_')}-{_digest(path.name)}.work")


def plain_folder(folder: Path) -> Path:
    """Return a path without syntax for a temporary folder: the same, or one of its own in the system's temp folder.

    The same for the same folder, so that what a killed run left there is found by the next.

    :raises ConfigurationError: the system's temp folder has syntax in its path, too.
    """
    real = os.path.realpath(folder)
    if _PLAIN.fullmatch(real):
        return folder
    return _temp_folder() / f"passona-{os.getuid()}-{_digest(real)}"


def _temp_folder() -> Path:
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108  # what is made there is its owner's alone
        real = Path(folder).resolve()
        if _PLAIN.fullmatch(str(real)) and real.is_dir():
            return real
    raise ConfigurationError(
        "the system's temp folder has characters in its path that are syntax: set TMPDIR to another"
    )


def _digest(text: str) -> str:
    return hashlib.blake2b(os.fsencode(text), digest_size=8).hexdigest()
