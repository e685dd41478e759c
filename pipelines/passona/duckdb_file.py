"""A warehouse that is a DuckDB file: opened once and held for the whole run, read by many while nobody writes.

DuckDB lets one process write, so the file itself is the lock: whoever opens it is alone.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import duckdb

from passona.address import Address
from passona.capable import Capable
from passona.errors import ConfigurationError, causes
from passona.quoting import literal
from passona.schema import DATASET
from passona.waiting import Taken, wait_for, writing

# Readers of DuckDB 1.2 and later can open the file, whichever version writes it.
STORAGE_VERSION = "v1.2.0"
# DuckDB's buffers; beyond it spills to the work folder, so memory stays flat however large a package
# is. Loads of 2,000,000 rows are no slower with it than without.
MEMORY_LIMIT = "64MB"


class _Destination(Capable, dlt.destinations.duckdb):
    """dlt's DuckDB."""

    destination_type = "dlt.destinations.duckdb"  # what dlt's own tools know it by


@dataclass
class DuckDBFile:
    """The open file. `work`: where its work folder is to be.

    `usual_memory`: what DuckDB would take if it were not told to take less. `file`: a descriptor to copy
    from, closed behind the connection: a process that closes any descriptor of a file loses its locks on it.
    """

    address: Path
    connection: duckdb.DuckDBPyConnection
    work: Path
    usual_memory: str
    file: int

    def destination(self) -> Any:
        """For dlt: this very connection, so that nobody comes between two of its jobs."""
        return _Destination(self.connection, destination_name="warehouse")

    def budget(self, _per_minute: int) -> None:
        """None that is shared: nobody else loads."""

    def comments(self) -> dict[tuple[str, str | None], str | None]:
        """What is said of each table (with None) and of each column of the dataset."""
        found = self.connection.execute(
            "SELECT table_name, NULL, comment FROM duckdb_tables() WHERE schema_name = $schema UNION ALL "
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = $schema",
            {"schema": DATASET},
        ).fetchall()
        return {(table, column): comment for table, column, comment in found}

    def sha256(self, text: str) -> str:
        """SQL of the digest of a text, in hexadecimal."""
        return f"sha256({text})"

    def index(self) -> None:
        """Nothing: rows of a campaign stand together, and are found by that."""

    # The file stays locked while it is open.
    shared = False

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Nothing: nobody else can write."""
        return contextlib.nullcontext()

    def claim(self, run_id: str) -> None:
        """Nothing: nobody else can be at work."""

    def living(self, _run_ids: Iterable[str]) -> set[str]:
        """None: whoever was at work is no more."""
        return set()

    def lacked_memory(self, error: BaseException) -> bool:
        """Whether the flat memory was what failed; then there is more from now on."""
        if not any(isinstance(cause, duckdb.OutOfMemoryException) for cause in causes(error)):
            return False
        self.give_memory()
        return True

    def give_memory(self, gigabytes: int | None = None) -> None:
        """As much as DuckDB would take by itself, or no more than so many gigabytes."""
        limit = self.usual_memory if gigabytes is None else _less(self.usual_memory, gigabytes)
        self.connection.execute(f"SET memory_limit = {literal(limit)}")

    def take_memory_back(self) -> None:
        """The flat memory of a load again."""
        self.connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")

    def use_all_cores(self) -> None:
        self.connection.execute("RESET threads")

    def vacuum(self) -> bool:
        """Whether what was deleted is gone from the pages: never, the file has to be made anew (`rewriting`)."""
        return False

    @property
    def dbt_target(self) -> str:
        """The target of the project's profile (pipelines/warehouse/profiles.yml)."""
        return "warehouse"

    @contextlib.contextmanager
    def dbt(self) -> Iterator[dict[str, str]]:
        """The environment by which dbt finds the same file in this block."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        try:
            yield {"PASSONA_WAREHOUSE": str(self.address)}
        finally:
            # It would hold the file until the process ends.
            DuckDBConnectionManager.close_all_connections()

    def keep(self, run_id: str) -> None:
        """Nothing: what is said of a run is in the database as soon as it is said."""

    def drop_left_spools(self) -> int:
        """None: there is one work folder, whose spools the run has."""
        return 0

    def still(self) -> Still:
        """The same file, while nothing is written to it.

        :raises NotWritten: the database could not take its checkpoint.
        """
        _checkpoint(self.connection)
        return Still(self.address, self.connection, self.file)

    def close(self) -> None:
        self.connection.close()
        os.close(self.file)


@dataclass(frozen=True)
class Still:
    """A warehouse whose file holds all that was written, and that nobody writes to: it can be copied from `file`."""

    path: Path
    connection: duckdb.DuckDBPyConnection
    file: int


def open_file(path: Path, wait: float, say: Callable[[str], None]) -> DuckDBFile:
    """Opens a file for writing, alone. Waits up to `wait` seconds for whoever holds it.

    :raises Busy: it is still held after that; names the holder.
    :raises ConfigurationError: it is no DuckDB file, or its folder is not there.
    """
    _keep_private(path)
    connection = _connected(path, wait, say)
    work = path.with_name(f"{path.name}.work")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET temp_directory = {literal(str(work / 'duckdb'))}")
    ((usual_memory,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    connection.execute("SET preserve_insertion_order = false")
    ((threads,),) = connection.execute("SELECT current_setting('threads')").fetchall()
    # The other half of the cores walks meanwhile; on two, a package is written in two thirds of the time.
    connection.execute(f"SET threads = {max(1, threads // 2)}")
    return DuckDBFile(path, connection, work, usual_memory, os.open(path, os.O_RDONLY))


def read_file(path: Path, wait: float, say: Callable[[str], None]) -> duckdb.DuckDBPyConnection:
    """A file for reading; many may do so at once, but not while it is written.

    :raises Busy: it is still held for writing after `wait` seconds.
    """
    return _connected(path, wait, say, read_only=True)


@contextlib.contextmanager
def open_still(path: Address, wait: float, say: Callable[[str], None]) -> Iterator[Still]:
    """The warehouse while nobody writes to it, read by us and by whoever else likes to.

    :raises Busy: it is still held for writing after `wait` seconds.
    :raises ConfigurationError: there is none, or it is no DuckDB file.
    """
    if not isinstance(path, Path) or not path.is_file():
        raise ConfigurationError(f"there is no warehouse at {path}: run passona load first")
    connection = _connected(path, wait, say, read_only=True)
    if killed := log_of(path).exists():  # whoever wrote it left something there that is not in the file
        connection.close()
        _keep_private(path)
        connection = _connected(path, wait, say)
    file = os.open(path, os.O_RDONLY)
    try:
        if killed:
            _checkpoint(connection)
        yield Still(path, connection, file)
    finally:
        connection.close()
        os.close(file)


def log_of(path: Path) -> Path:
    """Where DuckDB keeps what is not in its file yet."""
    return path.with_name(f"{path.name}.wal")


def _keep_private(path: Path) -> None:
    """A new warehouse is its owner's alone: phone numbers are in it. That of an existing file stays as it is.

    Holds for all files that this process makes: DuckDB makes a log beside its file.
    """
    if not path.exists() or not path.stat().st_mode & 0o077:
        os.umask(0o077)


def _checkpoint(connection: duckdb.DuckDBPyConnection) -> None:
    with writing("the checkpoint", duckdb.Error):
        connection.execute("CHECKPOINT")


def _connected(
    path: Path, wait: float, say: Callable[[str], None], *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    if not path.parent.is_dir():
        raise ConfigurationError(f"the folder of the warehouse does not exist: {path.parent}; make it first")

    def connect() -> duckdb.DuckDBPyConnection:
        try:
            if read_only:
                return duckdb.connect(str(path), read_only=True)
            return duckdb.connect(str(path), config={"storage_compatibility_version": STORAGE_VERSION})
        except duckdb.IOException as error:
            holder = _holder(str(error))
            if holder is None:
                raise ConfigurationError(f"{path} cannot be opened as a DuckDB file: {_first_line(error)}") from error
            raise Taken(holder) from None

    return wait_for(connect, path.name, wait, say)


def _holder(message: str) -> str | None:
    """Who holds the file, from DuckDB's error; None if the error is another one."""
    if "Could not set lock on file" not in message:
        return None
    found = re.search(r"held in (.+?) \(PID (\d+)\)", message)
    return f"{Path(found[1]).name} (process {found[2]})" if found else "another process"


def _less(usual: str, gigabytes: int) -> str:
    """The less of the two; `usual` as DuckDB writes it, `18.7 GiB`."""
    number, unit = usual.split()
    size = float(number) * 1024.0 ** ("KiB", "MiB", "GiB", "TiB").index(unit) / 1024**2
    return min((size, usual), (gigabytes, f"{gigabytes} GiB"))[1]


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200]
