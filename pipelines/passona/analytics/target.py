"""The PATH of a published copy, checked before anything is loaded or copied."""

import stat
from pathlib import Path

from passona.config.address import Address, check_file_name
from passona.config.path_syntax import catalog_name, log_of
from passona.errors import ConfigurationError
from passona.warehouse.atomic_file import OWNER_ALONE, AtomicFile, usual_mode

_MAGIC = slice(8, 12)


def target(path: Path, warehouse: Address, *, personal: bool) -> AtomicFile:
    """Return where to put a copy of `warehouse`. `personal`: it has rows of persons, so only its owner may read it.

    :raises ConfigurationError: no copy can be there.
    """
    if not isinstance(warehouse, Path):
        raise ConfigurationError(
            f"{warehouse} cannot be published: that is for a DuckDB file, which nobody can read while it is written, "
            "and a server's tables can be read at any time; leave it out"
        )
    if not path.parent.is_dir():
        raise ConfigurationError(f"the folder of the copy does not exist: {path.parent}; make it first")
    place = path.resolve()
    _check_name(place)
    if place == warehouse.resolve() or (place.exists() and warehouse.exists() and place.samefile(warehouse)):
        raise ConfigurationError(f"{path} is the warehouse itself; give the copy another place")
    _check_old(path, place)
    check_unwritten(place)
    return AtomicFile(place, OWNER_ALONE if personal else usual_mode())


def check_unwritten(place: Path) -> None:
    """Check that there is no write-ahead log of an old copy, which DuckDB would apply to the new one.

    :raises ConfigurationError: there is one.
    """
    log = log_of(place)
    if log.exists():
        raise ConfigurationError(
            f"{log} exists: somebody has written to the copy, which is for reading alone; let it end, remove "
            f"{log.name}, and publish again"
        )


def _check_name(place: Path) -> None:
    check_file_name(place, "the copy", "readers.duckdb")
    if place.suffix.lower() == ".wal" or not catalog_name(place):
        raise ConfigurationError(f"{place.name} cannot be the copy: choose a name such as readers.duckdb")


def _check_old(path: Path, place: Path) -> None:
    """Refuse to replace anything but a DuckDB file."""
    if not place.exists():
        return
    if place.is_dir():
        raise ConfigurationError(f"{path} is a folder; give the copy a name in it, such as {path / 'readers.duckdb'}")
    if not stat.S_ISREG(place.stat().st_mode) or not _is_database(place):
        raise ConfigurationError(f"{path} exists and is no DuckDB file; it is left alone, give the copy another place")


def _is_database(place: Path) -> bool:
    with place.open("rb") as file:
        return file.read(_MAGIC.stop)[_MAGIC] == b"DUCK"
