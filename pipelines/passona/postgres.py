"""A warehouse in a Postgres database: held by advisory locks, spoken to as DuckDB is.

Server -> Hold, alone or with other loads -> PostgresServer
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg2

from passona.address import Server
from passona.errors import ConfigurationError, NotWritten
from passona.postgres_budget import SharedBudget
from passona.postgres_destination import Postgres
from passona.postgres_locks import Hold, living
from passona.postgres_session import Session, connected
from passona.quoting import quoted
from passona.schema import DATASET, TABLES
from passona.waiting import reason
from passona.work_folder import WorkFolder


class PostgresServer:
    """The database, held by this run (`database.Engine`). `shared`: other loads hold it, too."""

    def __init__(self, address: Server, hold: Hold, connection: Session, *, shared: bool) -> None:
        self.address, self.connection, self.shared = address, connection, shared
        self._hold = hold
        self._budget: SharedBudget | None = None
        # Spools stay where the run is: on another machine a killed walk begins anew.
        self._folder = WorkFolder(Path.cwd() / address.name)
        self.work = self._folder.path

    def destination(self) -> Any:
        """For dlt: sessions of this run's name, and a staging dataset of its own, which nobody else truncates."""
        credentials = self.address.credentials.copy()
        credentials.query = {**(credentials.query or {}), "application_name": self._hold.name}
        return Postgres(
            credentials=credentials, destination_name="warehouse", staging_dataset_name_layout=self._hold.staging
        )

    def budget(self, per_minute: int) -> Callable[[], float]:
        """What all loads of the database may send in a minute together: takes a request of it, and gives 0, or the
        seconds until one is free."""
        self._budget = SharedBudget(self.address, self._hold.name, per_minute)
        return self._budget.take

    def comments(self) -> dict[tuple[str, str | None], str | None]:
        """What is said of each table (with None) and of each column of the dataset."""
        tables = "FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        where = f"WHERE relkind = 'r' AND nspname = '{DATASET}'"
        found = self.connection.execute(
            f"SELECT relname, NULL, obj_description(pg_class.oid, 'pg_class') {tables} {where} UNION ALL "  # constants
            f"SELECT relname, attname, col_description(pg_class.oid, attnum) {tables} "
            f"JOIN pg_attribute ON attrelid = pg_class.oid {where} AND attnum > 0 AND NOT attisdropped"
        ).fetchall()
        return {(table, column): comment for table, column, comment in found}

    def sha256(self, text: str) -> str:
        """SQL of the digest of a text, in hexadecimal."""
        return f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"

    def index(self) -> None:
        """Rows are looked for by campaign: by each load that replaces them, and by most questions."""
        for table in TABLES.values():
            if "campaign_id" in table.merge_key:
                self.connection.execute(
                    f"CREATE INDEX IF NOT EXISTS {quoted(f'{table.name}_by_campaign')} "
                    f"ON {DATASET}.{quoted(table.name)} (campaign_id)"
                )

    def writing(self) -> AbstractContextManager[None]:
        """Nobody else writes in this block; a block within another is a part of it.

        :raises NotWritten: the server has ended the session that holds the locks, so others may be writing.
        """
        return self._hold.writing()

    def claim(self, run_id: str) -> None:
        """Others see from now on that this run is at work."""
        self._hold.claim(run_id)

    def living(self, run_ids: Iterable[str]) -> set[str]:
        """Those of these runs that are at work."""
        return living(self.connection, run_ids)

    def lacked_memory(self, _error: BaseException) -> bool:
        return False

    def give_memory(self, gigabytes: int | None = None) -> None:
        """Nothing: the server's own configuration says it."""

    def take_memory_back(self) -> None: ...

    def use_all_cores(self) -> None: ...

    def vacuum(self) -> bool:
        """Writes the tables anew, without what was deleted from them; nobody reads them meanwhile."""
        found = self.connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
            "AND table_schema IN ('passona', 'analytics', 'analytics_staging')"
        ).fetchall()
        for schema, table in found:
            self.connection.execute(f"VACUUM (FULL) {quoted(schema)}.{quoted(table)}")
        return True

    @property
    def dbt_target(self) -> str:
        """The target of the project's profile (pipelines/warehouse/profiles.yml)."""
        return "postgres"

    @contextlib.contextmanager
    def dbt(self) -> Iterator[dict[str, str]]:
        """The environment by which dbt finds the same database in this block, with sessions of this run's name."""
        found = self.address.credentials
        yield {
            "PASSONA_HOST": str(found.host),
            "PASSONA_PORT": str(found.port),
            "PASSONA_DATABASE": str(found.database),
            "PASSONA_USER": str(found.username),
            "DBT_ENV_SECRET_PASSONA_PASSWORD": str(found.password or ""),
            "PASSONA_SSLMODE": str((found.query or {}).get("sslmode", "prefer")),
            "PASSONA_APPLICATION": self._hold.name,
        }

    def keep(self, run_id: str) -> None:
        """Nothing: what is said of a run is in the database as soon as it is said."""

    def drop_left_spools(self) -> int:
        """Removes the work folders of processes that are no more; how many spools were in them."""
        return self._folder.remove_left()

    def close(self) -> None:
        """Lets go of the database, at last of the locks. What a dead session leaves, who writes next takes away."""
        with contextlib.suppress(psycopg2.Error):
            self.connection.rollback()
            self.connection.execute(f"DROP SCHEMA IF EXISTS {quoted(self._hold.staging)} CASCADE")
        with contextlib.suppress(psycopg2.Error):
            self.connection.close()
        if self._budget is not None:
            self._budget.close()
        self._hold.close()
        self._folder.close()


class Reading(Session):
    """The database as it is read, at one moment but for who is at work."""

    def living(self, run_ids: Iterable[str]) -> set[str]:
        """Those of these runs that are at work."""
        return living(self, run_ids)


def open_server(server: Server, wait: float, say: Callable[[str], None], *, alone: bool) -> PostgresServer:
    """Opens the database for writing: `alone`, or beside other loads. Waits up to `wait` seconds for who is in the way.

    :raises Busy: it is still held after that; names the holder.
    :raises ConfigurationError: it cannot be reached, or does not keep its texts in UTF-8.
    :raises NotWritten: it broke off, or does not let this role take hold of it.
    """
    hold = Hold(server)
    try:
        _check_encoding(server, hold.session)
        hold.take(wait, say, alone=alone)
        return PostgresServer(server, hold, Session(connected(server, hold.name)), shared=not alone)
    except psycopg2.Error as error:
        hold.close()
        raise NotWritten(f"{server} could not be taken hold of: {reason(error)}") from error
    except BaseException:
        hold.close()
        raise


def read_server(server: Server) -> Reading:
    """The database at one moment, for reading: nobody is waited for.

    :raises ConfigurationError: it cannot be reached.
    """
    raw = connected(server, f"passona reads on {socket.gethostname()[:24]} (process {os.getpid()})")
    # Not read-only: what is asked for may be a temporary table.
    raw.set_session(isolation_level="REPEATABLE READ", autocommit=False)
    return Reading(raw)


def _check_encoding(server: Server, session: Session) -> None:
    (encoding,) = session.execute("SHOW server_encoding").fetchone()
    if encoding != "UTF8":
        raise ConfigurationError(
            f"{server} keeps its texts in {encoding}, which has no place for all of them: make the warehouse's "
            "database with ENCODING 'UTF8'"
        )
