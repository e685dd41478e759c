"""The warehouse file made anew: what was deleted is in no freed page of it, nor in a log beside it.

DuckDB marks pages as free and leaves what is in them. So all that the file holds goes into a new one,
which takes its place at once. Packed texts cannot be found in bytes, so what proves that a number is gone
is a second copy, not packed, which is searched and removed.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from passona.database import Database, open_database
from passona.duckdb_file import STORAGE_VERSION, DuckDBFile
from passona.erasure import StillThere, check_catalog, still_there
from passona.lake_rewriting import REWRITING
from passona.phone_search import held
from passona.quoting import literal, quoted

__all__ = ["StillThere", "rewrite", "rewritten"]

# Bytes that are searched at once; a number with all that may stand in it is shorter than what two pieces share.
_PIECE, _OVERLAP = 4 * 1024 * 1024, 1024


def rewrite(database: Database, gone: Sequence[str] = ()) -> int:
    """Puts a new file in the place of the open one, and gives the bytes searched. The connection is of no use then.

    `gone`: what may stand in no byte of it. A server frees its pages itself, and its bytes are not searched.

    :raises StillThere: it does.
    """
    file = database.engine
    if file.vacuum() or not isinstance(file, DuckDBFile):
        return 0
    file.give_memory()
    # Rows of a campaign stand together, and are found by that.
    file.connection.execute("SET preserve_insertion_order = true")
    file.connection.execute("CHECKPOINT")
    check_catalog(file.connection, gone, file.address)
    searched = _search_unpacked(file, gone) if gone else 0
    fresh = _folder(file) / "fresh.duckdb"
    _copy(file, fresh)
    fresh.chmod(file.address.stat().st_mode & 0o777)
    _sync(fresh)
    if gone:
        _search(fresh, gone, file.address)
    # The old file stays locked by this process until the new one has its place.
    fresh.replace(file.address)
    _sync(file.address.parent)
    return searched


def rewritten(database: Database, wait: float, say: Callable[[str], None]) -> Database:
    """The same, and the warehouse opened again, if it is a file; who waited for it may come between.

    :raises Busy: somebody came, and held it for longer than `wait` seconds.
    """
    rewrite(database)
    if not isinstance(database.engine, DuckDBFile):
        return database
    database.close()
    return open_database(database.address, wait, say)


def _search_unpacked(file: DuckDBFile, gone: Sequence[str]) -> int:
    plain = _folder(file) / "plain.duckdb"
    file.connection.execute("PRAGMA force_compression = 'uncompressed'")
    try:
        _copy(file, plain)
        _search(plain, gone, file.address)
        return plain.stat().st_size
    finally:
        file.connection.execute("PRAGMA force_compression = 'auto'")
        plain.unlink(missing_ok=True)


def _folder(file: DuckDBFile) -> Path:
    """Where the copies are made, with DuckDB's logs of them: emptied whenever the warehouse is opened or closed."""
    folder = file.work / REWRITING
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _copy(file: DuckDBFile, target: Path) -> None:
    """All schemas, tables, views and comments."""
    target.unlink(missing_ok=True)
    connection = file.connection
    ((name,),) = connection.execute("SELECT current_database()").fetchall()
    connection.execute(f"ATTACH {literal(str(target))} AS fresh (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        connection.execute(f"COPY FROM DATABASE {quoted(name)} TO fresh")
    finally:
        connection.execute("DETACH fresh")


def _search(file: Path, gone: Sequence[str], path: Path) -> None:
    found: set[str] = set()
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at in range(0, len(data), _PIECE):
            found |= held(data[max(0, at - _OVERLAP) : at + _PIECE], gone)
    if found:
        raise still_there(path, len(found), len(gone))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
