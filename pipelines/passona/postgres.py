"""A warehouse in a Postgres database: held by an advisory lock, spoken to as DuckDB is.

    Server -> lock, on a session of its own -> leftovers of killed runs away -> PostgresServer

The lock is the database's, so it holds for all machines, and the server lets go of it when the session ends,
however its process ended. All sessions of a run have its name; whoever gets the lock ends those that have such
a name still: of a process that was killed while the server worked for it, or that lost its lock.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa

from passona.address import Server
from passona.errors import Busy, ConfigurationError, NotWritten
from passona.postgres_copy import Postgres, copy_into
from passona.quoting import literal, quoted
from passona.schema import DATASET, SQL_TYPES, TABLES
from passona.times import UTC_TIME
from passona.waiting import Taken, reason, wait_for

# Two numbers that name the lock among all advisory locks of a database: "pass" in ASCII, and 1 for writing.
_LOCK = (0x70617373, 1)
_RUN, _WAITS, _READS = "passona on", "passona waits on", "passona reads on"
# What pg_stat_activity shows of a name is cut at 63 bytes.
_HOST = socket.gethostname()[:32]
_NAME = f"{_RUN} {_HOST} (process {{pid}})"
# A machine that is gone keeps its sessions, and the lock, for a minute: 30 s of silence, then three questions.
_KEEPALIVE = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
_STAGING = f"{DATASET}_staging_"
# A server takes milliseconds to end a session, unless its disk is slow.
_ENDING_SECONDS = 10.0

_ARROW_TYPES = {16: pa.bool_(), 19: pa.string(), 20: pa.int64(), 23: pa.int64(), 25: pa.string(), 1043: pa.string(),
                1184: UTC_TIME}  # fmt: skip
_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\?|%|\$\w+""")


class Session:
    """A connection that is used as those of DuckDB are (`connection.Connection`)."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def execute(self, query: str, parameters: Any = None) -> _Rows:
        cursor = self._raw.cursor()
        if parameters:
            cursor.execute(_translated(query), parameters)
        else:
            cursor.execute(query)
        return _Rows(cursor)

    def sql(self, query: str, *, params: Any = None) -> _Rows:
        return self.execute(query, params)

    def register(self, view_name: str, python_object: pa.Table) -> None:
        """A temporary table: other than DuckDB's, a copy."""
        columns = ", ".join(f"{quoted(field.name)} {SQL_TYPES[field.type]}" for field in python_object.schema)
        self.execute(f"CREATE TEMP TABLE {quoted(view_name)} ({columns})")
        with self._raw.cursor() as cursor:
            copy_into(cursor, quoted(view_name), python_object)

    def unregister(self, view_name: str) -> None:
        self.execute(f"DROP TABLE {quoted(view_name)}")

    def begin(self) -> None:
        self._raw.autocommit = False

    def commit(self) -> None:
        self._raw.commit()
        self._raw.autocommit = True

    def rollback(self) -> None:
        self._raw.rollback()
        self._raw.autocommit = True

    def close(self) -> None:
        self._raw.close()

    def is_written(self) -> bool:
        """Whether a run is at work on this database."""
        return _holder(self) is not None


class _Rows:
    """What a statement gave, as DuckDB gives it."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def description(self) -> Any:
        return self._cursor.description

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall() if self._cursor.description else [(self._cursor.rowcount,)]

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def to_arrow_table(self) -> pa.Table:
        columns = list(zip(*self._cursor.fetchall(), strict=True)) or [()] * len(self.description)
        return pa.table(
            {
                column.name: pa.array(cells, _ARROW_TYPES[column.type_code])
                for column, cells in zip(self.description, columns, strict=True)
            }
        )


class PostgresServer:
    """The database, held by this run (`database.Engine`)."""

    def __init__(self, address: Server, lock: Session, connection: Session) -> None:
        self.address, self.connection, self._lock = address, connection, lock
        # Spools stay where the run is: on another machine a killed walk begins anew.
        self.work = Path.cwd() / f"{address.name}.work"
        self._staging = _STAGING + secrets.token_hex(4)

    def destination(self) -> Any:
        """For dlt: sessions of this run's name, and a staging dataset of its own, which nobody else truncates."""
        credentials = self.address.credentials.copy()
        credentials.query = {**(credentials.query or {}), "application_name": run_name()}
        return Postgres(
            credentials=credentials, destination_name="warehouse", staging_dataset_name_layout=self._staging
        )

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

    def check(self) -> None:
        """Nothing, where the lock is held still.

        :raises NotWritten: its session was ended, so another run may be at work.
        """
        try:
            self._lock.execute("SELECT 1")
        except psycopg2.Error as error:
            raise NotWritten(
                f"{self.address} has ended the session that holds the lock: nothing is written any more, run again"
            ) from error

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
            "PASSONA_APPLICATION": run_name(),
        }

    def keep(self, run_id: str) -> None:
        """Nothing: what is said of a run is in the database as soon as it is said."""

    def close(self) -> None:
        """Lets go of the database, at last of the lock. What a dead session leaves, the next run takes away."""
        with contextlib.suppress(psycopg2.Error):
            self.connection.rollback()
            self.connection.execute(f"DROP SCHEMA IF EXISTS {quoted(self._staging)} CASCADE")
        for session in (self.connection, self._lock):
            with contextlib.suppress(psycopg2.Error):
                session.close()


def open_server(server: Server, wait: float, say: Callable[[str], None]) -> PostgresServer:
    """Opens the database for writing, alone. Waits up to `wait` seconds for whoever holds it.

    :raises Busy: it is still held after that; names the holder.
    :raises ConfigurationError: it cannot be reached, or does not keep its texts in UTF-8.
    :raises NotWritten: it broke off, or does not let this role take hold of it.
    """
    lock = Session(_connected(server, f"{_WAITS} {_HOST} (process {os.getpid()})"))
    try:
        _check_encoding(server, lock)
        # Of Postgres 14 and later; it would end the session that only holds the lock.
        lock.execute("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'")
        for name, value in _KEEPALIVE.items():
            lock.execute(f"SET {name} = {value}")
        wait_for(lambda: _take(lock), str(server), wait, say)
        lock.execute(f"SET application_name = {literal(run_name())}")
        _end_leftovers(lock)
        return PostgresServer(server, lock, Session(_connected(server, run_name())))
    except psycopg2.Error as error:
        lock.close()
        raise NotWritten(f"{server} could not be taken hold of: {reason(error)}") from error
    except BaseException:
        lock.close()
        raise


def read_server(server: Server) -> Session:
    """The database at one moment, for reading: nobody is waited for.

    :raises ConfigurationError: it cannot be reached.
    """
    raw = _connected(server, f"{_READS} {_HOST} (process {os.getpid()})")
    # Not read-only: what is asked for may be a temporary table.
    raw.set_session(isolation_level="REPEATABLE READ", autocommit=False)
    return Session(raw)


def run_name() -> str:
    """What the server shows of this run's sessions, and others of who holds the warehouse."""
    return _NAME.format(pid=os.getpid())


def _connected(server: Server, name: str) -> Any:
    try:
        raw = psycopg2.connect(server.credentials.to_native_representation(), application_name=name)
    except psycopg2.OperationalError as error:
        line = str(error).strip().splitlines()[-1][:200]
        raise ConfigurationError(f"{server} cannot be reached: {line}") from error
    raw.autocommit = True
    with raw.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
    return raw


def _check_encoding(server: Server, session: Session) -> None:
    (encoding,) = session.execute("SHOW server_encoding").fetchone()
    if encoding != "UTF8":
        raise ConfigurationError(
            f"{server} keeps its texts in {encoding}, which has no place for all of them: make the warehouse's "
            "database with ENCODING 'UTF8'"
        )


def _take(lock: Session) -> None:
    (taken,) = lock.execute("SELECT pg_try_advisory_lock(?, ?)", list(_LOCK)).fetchone()
    if not taken:
        raise Taken(_holder(lock) or "a run that ends just now")


def _holder(session: Session) -> str | None:
    """Who holds the lock, None if nobody does."""
    found = session.execute(
        "SELECT application_name, pg_locks.pid FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) "
        "WHERE locktype = 'advisory' AND granted AND classid = ? AND objid = ? "
        "AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        list(_LOCK),
    ).fetchone()
    if found is None:
        return None
    name, backend = found
    # Between lock and name, the holder still has the name of those who wait; a stranger's may be hidden.
    return str(name).replace(_WAITS, _RUN) if name else f"another user's session (backend {backend})"


def _end_leftovers(lock: Session) -> None:
    """Ends the sessions of runs that are no more, and drops their staging datasets.

    :raises Busy: the server cannot end one.
    """
    others = (
        "FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user "
        f"AND application_name LIKE '{_RUN} %' AND pid <> pg_backend_pid()"
    )
    until = time.monotonic() + _ENDING_SECONDS
    while lock.execute(f"SELECT pg_terminate_backend(pid) {others}").fetchall():
        if time.monotonic() >= until:
            raise Busy("the server cannot end a session of a run that was killed; look for it in pg_stat_activity")
        time.sleep(0.05)
    found = lock.execute(
        "SELECT nspname FROM pg_namespace WHERE left(nspname, ?) = ?", [len(_STAGING), _STAGING]
    ).fetchall()
    for (schema,) in found:
        lock.execute(f"DROP SCHEMA IF EXISTS {quoted(schema)} CASCADE")


@lru_cache(maxsize=256)
def _translated(query: str) -> str:
    """`?` and `$name` as psycopg2 has them; % is none of its own."""

    def anew(found: re.Match[str]) -> str:
        token = found[0]
        if token == "?":  # noqa: S105  # no password
            return "%s"
        return f"%({token[1:]})s" if token[0] == "$" else token.replace("%", "%%")

    return _TOKENS.sub(anew, query)
