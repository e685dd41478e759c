"""A warehouse in a Postgres database: locked by one run at a time, spoken to as DuckDB is.

Server -> RunLock -> PostgresServer
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import psycopg2

from passona.address import Server
from passona.engine import Workload
from passona.errors import ConfigurationError, NotWritten, reason
from passona.postgres_destination import Postgres
from passona.postgres_lock import RunLock, is_locked
from passona.postgres_session import Session, connected
from passona.quoting import quoted
from passona.schema import DATASET, TABLES
from passona.work_folder import WorkFolder


class PostgresServer:
    """The database, which this run has locked (`engine.Engine`)."""

    dbt_target = "postgres"
    out_of_memory = ()
    # The server's administrator has tuned it.
    settings: Mapping[Workload, Sequence[str]] = MappingProxyType({})
    # Rows are looked for by campaign: by each load that replaces them, and by most questions.
    indexes = tuple(
        f"CREATE INDEX IF NOT EXISTS {quoted(f'{table.name}_by_campaign')} "
        f"ON {DATASET}.{quoted(table.name)} (campaign_id)"
        for table in TABLES.values()
        if "campaign_id" in table.merge_key
    )

    def __init__(self, address: Server, wait: float, say: Callable[[str], None]) -> None:
        """Lock the database. Wait up to `wait` seconds for the run that has locked it.

        :raises Busy: it is still locked after that; names the holder.
        :raises ConfigurationError: it cannot be reached, or does not store texts in UTF-8.
        :raises NotWritten: the connection broke, or this role has no right to lock it.
        """
        self.address = address
        self._lock = RunLock(address)
        self.connection = self._lock.session
        try:
            _check_encoding(address, self.connection)
            self._lock.acquire(wait, say)
            # Spools stay where the run is: on another machine a killed walk begins again.
            self.work = WorkFolder.take(Path.cwd() / f"{address.name}.work")
        except psycopg2.Error as error:
            self._lock.release()
            raise NotWritten(f"{address} could not be locked: {reason(error)}") from error
        except BaseException:
            self._lock.release()
            raise

    def destination(self) -> Any:
        credentials = self.address.credentials.copy()
        credentials.query = {**(credentials.query or {}), "application_name": self._lock.name}
        return Postgres(
            credentials=credentials,
            destination_name="warehouse",
            staging_dataset_name_layout=self._lock.staging,
            supports_transactions=True,  # or the DELETE and the INSERT of a merge would be in two
        )

    def comments(self) -> dict[tuple[str, str | None], str | None]:
        tables = "FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        where = f"WHERE relkind = 'r' AND nspname = '{DATASET}'"
        found = self.connection.execute(
            f"SELECT relname, NULL, obj_description(pg_class.oid, 'pg_class') {tables} {where} UNION ALL "  # constants
            f"SELECT relname, attname, col_description(pg_class.oid, attnum) {tables} "
            f"JOIN pg_attribute ON attrelid = pg_class.oid {where} AND attnum > 0 AND NOT attisdropped"
        ).fetchall()
        return {(table, column): comment for table, column, comment in found}

    def sha256(self, text: str) -> str:
        return f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"

    @contextlib.contextmanager
    def dbt(self) -> Iterator[dict[str, str]]:
        found = self.address.credentials
        yield {
            "PASSONA_HOST": str(found.host),
            "PASSONA_PORT": str(found.port),
            "PASSONA_DATABASE": str(found.database),
            "PASSONA_USER": str(found.username),
            "DBT_ENV_SECRET_PASSONA_PASSWORD": str(found.password or ""),
            "PASSONA_SSLMODE": str((found.query or {}).get("sslmode", "prefer")),
            "PASSONA_APPLICATION": self._lock.name,
        }

    def checkpointed(self) -> NoReturn:
        raise ConfigurationError(
            f"{self.address} cannot be published: that is for a DuckDB file, which nobody can read while it is "
            "written, and a server's tables can be read at any time; leave it out"
        )

    def rewrite(self, _gone: Sequence[str], _wait: float, _say: Callable[[str], None]) -> int:
        """Write the tables without what was deleted from them; nobody reads them meanwhile. Searches no bytes."""
        found = self.connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
            "AND table_schema IN ('passona', 'analytics', 'analytics_staging')"
        ).fetchall()
        for schema, table in found:
            self.connection.execute(f"VACUUM (FULL) {quoted(schema)}.{quoted(table)}")
        return 0

    def close(self) -> None:
        self.work.release()
        self._lock.release()


class Reader(Session):
    """The database as it was when the first statement ran."""

    def __init__(self, raw: Any) -> None:
        super().__init__(raw)
        self._locked = is_locked(self)

    def has_writer(self) -> bool:
        """Return True if a run held the lock when the session began, or holds it now."""
        return self._locked or is_locked(self)


def read_server(server: Server) -> Reader:
    """The database at one moment, for reading: nobody is waited for.

    :raises ConfigurationError: it cannot be reached.
    """
    raw = connected(server, f"passona reads on {socket.gethostname()[:24]} (process {os.getpid()})")
    reader = Reader(raw)
    # Not read-only: a query may need a temporary table.
    raw.set_session(isolation_level="REPEATABLE READ", autocommit=False)
    return reader


def _check_encoding(server: Server, session: Session) -> None:
    (encoding,) = session.execute("SHOW server_encoding").fetchone()
    if encoding != "UTF8":
        raise ConfigurationError(
            f"{server} keeps its texts in {encoding}, which has no place for all of them: make the warehouse's "
            "database with ENCODING 'UTF8'"
        )
