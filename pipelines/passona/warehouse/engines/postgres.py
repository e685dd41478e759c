"""A warehouse in a Postgres database, which one run at a time locks.

Server -> RunLock -> PostgresServer
"""

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import psycopg2

from passona.config.address import Server
from passona.errors import ConfigurationError, NotWritten
from passona.masking.messages import reason
from passona.reports.tables import DATASET, TABLES
from passona.warehouse._work_folder import WorkFolder
from passona.warehouse.connection import quoted
from passona.warehouse.engines._postgres_destination import Postgres
from passona.warehouse.engines._postgres_lock import RunLock, is_locked
from passona.warehouse.engines._postgres_session import SETTINGS, Session, connected
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ownership import SCHEMAS, STAGING, Column, Relations, registered_columns, relations

_OURS = "nspname = ANY ($schemas) AND relkind NOT IN ('t', 'I')"
_TABLES = "FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
_RELATIONS = f"""
SELECT nspname, relname, CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
    WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index'
    ELSE 'type' END, obj_description(pg_class.oid, 'pg_class')
{_TABLES} WHERE {_OURS}
UNION ALL
SELECT nspname, '', 'schema', NULL FROM pg_namespace WHERE nspname = ANY ($schemas)
"""  # noqa: S608  # constants
_COLUMNS = f"""
SELECT nspname, relname, attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum),
    (attnotnull OR typnotnull) AND NOT atthasdef AND typdefault IS NULL AND attidentity = ''
{_TABLES} JOIN pg_attribute ON attrelid = pg_class.oid JOIN pg_type ON pg_type.oid = atttypid
WHERE {_OURS} AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum
"""
_OBSTACLES = f"""
WITH ours AS (SELECT pg_class.oid, nspname, relname, relowner, relreplident {_TABLES} WHERE {_OURS} AND relkind = 'r')
SELECT nspname, relname, CASE contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' WHEN 'p' THEN 'primary key'
    WHEN 'u' THEN 'unique' ELSE 'exclusion' END || ' constraint ' || conname
FROM ours JOIN pg_constraint ON conrelid = ours.oid WHERE contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT nspname, relname, 'unique index ' || indexrelid::regclass
FROM ours JOIN pg_index ON indrelid = ours.oid WHERE indisunique
UNION ALL
SELECT nspname, relname, 'generated column ' || attname
FROM ours JOIN pg_attribute ON attrelid = ours.oid WHERE attgenerated <> '' AND NOT attisdropped
UNION ALL
SELECT nspname, relname, 'rule ' || rulename FROM ours JOIN pg_rewrite ON ev_class = ours.oid
UNION ALL
SELECT nspname, relname, 'inheritance: ' || inhrelid::regclass || ' inherits from ' || inhparent::regclass
FROM ours JOIN pg_inherits ON ours.oid IN (inhrelid, inhparent)
UNION ALL
SELECT nspname, relname, 'publication ' || pubname || ' without REPLICA IDENTITY FULL'
FROM ours JOIN pg_publication_tables ON schemaname = nspname AND tablename = relname JOIN pg_publication USING (pubname)
WHERE relreplident <> 'f' AND (pubupdate OR pubdelete)
UNION ALL
SELECT nspname, relname, 'row level security' FROM ours WHERE row_security_active(oid)
UNION ALL
SELECT nspname, relname, 'owner ' || pg_get_userbyid(relowner) || ', of whose rights this role has none'
FROM ours WHERE NOT pg_has_role(relowner, 'USAGE')
UNION ALL
SELECT nspname, '', 'role ' || current_user || ' lacks the right ' || kind || ' on it'
FROM pg_namespace CROSS JOIN (VALUES ('USAGE'), ('CREATE')) AS rights (kind)
WHERE nspname = ANY ($schemas) AND NOT has_schema_privilege(pg_namespace.oid, kind)
"""  # noqa: S608  # constants


class PostgresServer:
    """The database, which this run has locked (`engine.Engine`)."""

    out_of_memory = ()
    # The server's administrator has tuned it.
    settings: Mapping[Workload, Sequence[str]] = MappingProxyType({})
    # Loads and most queries select rows by campaign.
    indexes = tuple(
        f"CREATE INDEX IF NOT EXISTS {quoted(f'{table.name}_by_campaign')} "
        f"ON {DATASET}.{quoted(table.name)} (campaign_id)"
        for table in TABLES.values()
        if "campaign_id" in table.merge_key
    )

    def __init__(self, address: Server, wait: float, notify: Callable[[str], None]) -> None:
        """Lock the database. Wait up to `wait` seconds for the run that has locked it.

        :raises ConfigurationError: it cannot be reached, or does not store texts in UTF-8.
        :raises NotWritten: the connection broke, or this role may not lock it.
        """
        self.address = address
        self._lock = RunLock(address)
        self.connection = self._lock.session
        try:
            _check_encoding(address, self.connection)
            self._lock.acquire(wait, notify)
            # Spools are on this machine: on another one a killed walk starts over.
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
            supports_transactions=True,  # DELETE and INSERT of a merge share a transaction
        )

    def relations(self) -> Relations:
        schemas = [schema for schema in SCHEMAS if schema != STAGING]  # the run has a staging dataset of its own

        def query(sql: str) -> list[Any]:
            return self.connection.execute(sql, {"schemas": schemas}).fetchall()

        columns = (
            (schema, name, column, Column(_type(kind), comment, is_required))
            for schema, name, column, kind, comment, is_required in query(_COLUMNS)
        )
        return relations(query(_RELATIONS), columns, query(_OBSTACLES))

    @contextlib.contextmanager
    def dbt(self) -> Iterator[tuple[str, dict[str, str]]]:
        credentials = self.address.credentials
        yield (
            "postgres",
            {
                "PASSONA_HOST": str(credentials.host),
                "PASSONA_PORT": str(credentials.port),
                "PASSONA_DATABASE": str(credentials.database),
                "PASSONA_USER": str(credentials.username),
                "DBT_ENV_SECRET_PASSONA_PASSWORD": str(credentials.password or ""),
                "PASSONA_SSLMODE": str((credentials.query or {}).get("sslmode", "prefer")),
                "PASSONA_APPLICATION": self._lock.name,
                "PGCLIENTENCODING": "UTF8",
                "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in SETTINGS.items()),
            },
        )

    def checkpointed(self) -> NoReturn:
        raise ConfigurationError(
            f"{self.address} cannot be published: that is for a DuckDB file, which nobody can read while it is "
            "written, and a server's tables can be read at any time; leave it out"
        )

    def rewrite(self, _gone: Sequence[str], _wait: float, _notify: Callable[[str], None]) -> int:
        """Rewrite our tables without deleted rows, which locks them. Searches no bytes."""
        ours = registered_columns(self.connection) or ()
        tables = sorted(name for name, relation in self.relations().items() if relation.kind == "table")
        for schema, table in (name for name in tables if str(name) in ours):
            self.connection.execute(f"VACUUM (FULL) {quoted(schema)}.{quoted(table)}")
        return 0

    def close(self) -> None:
        self.work.release()
        self._lock.release()


class Reader(Session):
    """A session that sees the database as of its first statement."""

    def __init__(self, raw: Any) -> None:
        super().__init__(raw)
        self._locked = is_locked(self)

    def has_writer(self) -> bool:
        """Return True if a run had locked the database when the session began, or has locked it now."""
        return self._locked or is_locked(self)


def read_server(server: Server) -> Reader:
    """Open the database for reading, in one snapshot. Waits for no lock.

    :raises ConfigurationError: it cannot be reached.
    """
    raw = connected(server, f"passona reads on {socket.gethostname()[:24]} (process {os.getpid()})")
    reader = Reader(raw)
    # Not read-only: a query may need a temp table.
    raw.set_session(isolation_level="REPEATABLE READ", autocommit=False)
    return reader


def _type(name: str) -> str:
    """Return the name that `reports.tables` has for a type. The length of a text is kept."""
    if name in ("character varying", "text"):
        return "VARCHAR"
    return re.sub(r"^(timestamp)\(\d\)", r"\1", name).upper()


def _check_encoding(server: Server, session: Session) -> None:
    ((encoding,),) = session.execute("SHOW server_encoding").fetchall()
    if encoding != "UTF8":
        raise ConfigurationError(
            f"{server} keeps its texts in {encoding}, which has no place for all of them: make the warehouse's "
            "database with ENCODING 'UTF8'"
        )
