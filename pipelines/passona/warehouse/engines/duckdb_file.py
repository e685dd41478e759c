"""A warehouse that is a DuckDB file: locked while this run has it open, read by many processes otherwise."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dlt
import duckdb

from passona.config.address import Address
from passona.config.path_syntax import log_of, work_folder
from passona.errors import ConfigurationError
from passona.warehouse._locking import Locked, wait_for, writing
from passona.warehouse._work_folder import WorkFolder
from passona.warehouse.connection import IS_GENERATED, literal, quoted
from passona.warehouse.engines.duckdb_rewriting import STORAGE_VERSION, rewrite
from passona.warehouse.engines.engine import CachedCapabilities, Checkpointed, Workload
from passona.warehouse.ownership import SCHEMAS, Column, Relations, relations

# The catalog's name in every session: dbt cannot quote that of some files.
CATALOG = "warehouse"
# DuckDB's buffers; beyond, it spills to the work folder, so that memory stays flat with packages of any size. Loads of
# 2,000,000 rows take the same time without a limit.
MEMORY_LIMIT = "64MB"

_OURS = "database_name = current_database() AND lower(schema_name) IN $schemas"
_RELATIONS = f"""
SELECT lower(schema_name), lower(table_name), 'table', comment FROM duckdb_tables() WHERE {_OURS}
UNION ALL
SELECT lower(schema_name), lower(view_name), 'view', comment FROM duckdb_views() WHERE {_OURS}
"""  # noqa: S608  # constants
_COLUMNS = f"""
SELECT lower(schema_name), lower(table_name), lower(column_name), data_type, comment,
    NOT is_nullable AND column_default IS NULL
FROM duckdb_columns() WHERE {_OURS} ORDER BY column_index
"""  # noqa: S608  # constants
_OBSTACLES = f"""
SELECT lower(schema_name), lower(table_name), lower(constraint_type) || ' constraint ' || constraint_name
FROM duckdb_constraints() WHERE {_OURS} AND constraint_type <> 'NOT NULL'
UNION ALL
SELECT lower(schema_name), lower(table_name), 'unique index ' || index_name
FROM duckdb_indexes() WHERE {_OURS} AND is_unique
UNION ALL
SELECT lower(schema_name), lower(table_name), 'generated column ' || column_name
FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, schema_name, table_name)
WHERE {_OURS} AND {IS_GENERATED}
"""  # noqa: S608  # constants


class _Destination(CachedCapabilities, dlt.destinations.duckdb):
    """dlt's DuckDB."""

    destination_type = "dlt.destinations.duckdb"  # dlt's own tools know it by this name


class DuckDBFile:
    """The open file (`engine.Engine`).

    `file`: a descriptor to copy from. It is closed after the connection: a process that closes any descriptor of a
    file loses its locks on it.
    """

    out_of_memory = (duckdb.OutOfMemoryException,)
    # Rows of a campaign are stored together, so DuckDB finds them without an index.
    indexes = ()

    def __init__(self, path: Path, wait: float, notify: Callable[[str], None]) -> None:
        """Open a file for writing. Wait up to `wait` seconds for the process that has locked it.

        :raises ConfigurationError: it is no DuckDB file, or its folder does not exist.
        """
        self.address = path
        self._open(wait, notify)

    def _open(self, wait: float, notify: Callable[[str], None]) -> None:
        self.connection, self.work = _open_for_writing(self.address, wait, notify)
        self.file = os.open(self.address, os.O_RDONLY)
        self.settings = _settings(self.connection)
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET preserve_insertion_order = false")

    def destination(self) -> Any:
        """Return dlt's DuckDB on this connection, so that the lock is never released between two of its jobs."""
        return _Destination(
            self.connection,
            destination_name="warehouse",
            supports_transactions=True,  # DELETE and INSERT of a merge share a transaction
        )

    def relations(self) -> Relations:
        """Return what the schemas hold, by names in lower case."""

        def query(sql: str) -> list[Any]:
            return self.connection.execute(sql, {"schemas": list(SCHEMAS)}).fetchall()

        columns = ((schema, name, column, Column(*values)) for schema, name, column, *values in query(_COLUMNS))
        return relations(query(_RELATIONS), columns, query(_OBSTACLES))

    @contextlib.contextmanager
    def dbt(self) -> Iterator[tuple[str, dict[str, str]]]:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.adapters.duckdb.credentials import DuckDBCredentials

        # dbt takes a path for a URL, and would end the file's name at # or ?.
        derived = DuckDBCredentials.path_derived_database_name
        DuckDBCredentials.path_derived_database_name = staticmethod(lambda _path: CATALOG)
        try:
            yield "warehouse", {"PASSONA_WAREHOUSE": str(self.address)}
        finally:
            DuckDBCredentials.path_derived_database_name = derived
            # dbt would keep the file open until the process ends.
            DuckDBConnectionManager.close_all_connections()

    def checkpointed(self) -> Checkpointed:
        checkpoint(self.connection)
        return Checkpointed(self.address, self.connection, self.file)

    def rewrite(self, gone: Sequence[str], wait: float, notify: Callable[[str], None]) -> int:
        """Replace the file by a copy: DuckDB frees pages of deleted rows, and keeps their bytes."""
        searched = rewrite(self.connection, self.address, self.work.folder("rewriting"), gone)
        self.close()
        self._open(wait, notify)
        return searched

    def close(self) -> None:
        if log_of(self.address).exists():
            with contextlib.suppress(duckdb.Error):  # the next run replays the log
                self.connection.execute("CHECKPOINT")
        self.work.release()  # while the file is locked: the next run creates its own
        self.connection.close()
        os.close(self.file)


def _settings(connection: duckdb.DuckDBPyConnection) -> dict[Workload, tuple[str, ...]]:
    ((default, threads),) = connection.execute(
        "SELECT current_setting('memory_limit'), current_setting('threads')"
    ).fetchall()
    all_memory, all_cores = f"SET memory_limit = {literal(default)}", f"SET threads = {threads}"
    return {
        # Walks use the other half of the cores; on two, packages are written in two thirds of the time.
        Workload.WALK: (f"SET memory_limit = '{MEMORY_LIMIT}'", f"SET threads = {max(1, threads // 2)}"),
        Workload.WRITE: (f"SET memory_limit = '{MEMORY_LIMIT}'", all_cores),
        Workload.REBUILD: (all_memory, all_cores),
    }


def read_file(path: Path, wait: float, notify: Callable[[str], None]) -> duckdb.DuckDBPyConnection:
    """Open a file for reading.

    :raises ConfigurationError: it is no DuckDB file, or its folder does not exist.
    """
    connection = _connect(path, wait, notify, read_only=True)
    connection.execute("SET temp_directory = ''")  # a killed reader would leave it behind
    return connection


@contextlib.contextmanager
def open_checkpointed(path: Address, wait: float, notify: Callable[[str], None]) -> Iterator[Checkpointed]:
    """Open a file for copying. Other processes may read it meanwhile, but not write it.

    :raises ConfigurationError: it does not exist, or is no DuckDB file.
    """
    if not isinstance(path, Path) or not path.is_file():
        raise ConfigurationError(f"there is no warehouse at {path}: run passona load first")
    connection = _connect(path, wait, notify, read_only=True)
    if log_of(path).exists():  # of a killed run: not in the file yet
        connection.close()
        connection, work = _open_for_writing(path, wait, notify)
        work.release()
    file = os.open(path, os.O_RDONLY)
    try:
        yield Checkpointed(path, connection, file)
    finally:
        connection.close()
        os.close(file)


def _open_for_writing(
    path: Path, wait: float, notify: Callable[[str], None]
) -> tuple[duckdb.DuckDBPyConnection, WorkFolder]:
    """Open a file with DuckDB's default memory, and write the log of a killed run into it.

    DuckDB replays such a log into memory when it opens the file: with a low limit it would have to spill at once.
    """
    _keep_private(path)
    connection = _connect(path, wait, notify)
    killed = log_of(path).exists()  # checked now: the process that held the lock may have been killed
    try:
        # DuckDB itself spills there while it opens a file.
        shutil.rmtree(path.with_name(f"{path.name}.tmp"), ignore_errors=True)
        work = WorkFolder.take(work_folder(path))
        connection.execute(f"SET temp_directory = {literal(str(work.own / 'duckdb'))}")
        if killed:
            checkpoint(connection)
    except BaseException:
        connection.close()
        raise
    return connection, work


def _keep_private(path: Path) -> None:
    """Let only the owner read a new file, which has phone numbers in it. An existing file keeps its mode.

    Sets the umask of the process, because DuckDB creates a log beside its file.
    """
    if not path.exists() or not path.stat().st_mode & 0o077:
        os.umask(0o077)


def checkpoint(connection: duckdb.DuckDBPyConnection) -> None:
    with writing("the checkpoint", duckdb.Error):
        connection.execute("CHECKPOINT")


def _connect(
    path: Path, wait: float, notify: Callable[[str], None], *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    if not path.parent.is_dir():
        raise ConfigurationError(f"the folder of the warehouse does not exist: {path.parent}; make it first")

    def connect() -> duckdb.DuckDBPyConnection:
        try:
            if read_only:
                return _with_alias(duckdb.connect(str(path), read_only=True))
            return _with_alias(duckdb.connect(str(path), config={"storage_compatibility_version": STORAGE_VERSION}))
        except duckdb.Error as error:
            holder = _holder(str(error))
            if holder is None:
                reason = str(error).splitlines()[0][:200]
                raise ConfigurationError(
                    f"{path} cannot be opened as a DuckDB file: {reason}{_what_to_do(path, str(error))}"
                ) from error
            raise Locked(holder) from None

    return wait_for(connect, path.name, wait, notify)


def _with_alias(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    ((name,),) = connection.execute("SELECT current_database()").fetchall()
    if name != CATALOG:
        connection.execute(f"ALTER DATABASE {quoted(name)} SET ALIAS TO {CATALOG}")
        connection.execute(f"USE {CATALOG}")
    return connection


def _holder(message: str) -> str | None:
    """Return the process that has locked the file, from DuckDB's error; None if that is another error."""
    if "Could not set lock on file" not in message:
        return None
    process = re.search(r"held in (.+?) \(PID (\d+)\)", message)
    return f"{Path(process[1]).name} (process {process[2]})" if process else "another process"


def _what_to_do(path: Path, message: str) -> str:
    if "replaying WAL" in message:
        return f"; if the file is a backup, remove {log_of(path).name}, which is of another state of it, and try again"
    return "; restore a backup, then run passona verify" if "orrupt" in message else ""
