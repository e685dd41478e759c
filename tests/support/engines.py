"""The engine that the tests run on: DuckDB files, or databases of the Postgres server that PASSONA_TEST_POSTGRES names.

A test names a path; on Postgres a database of its own stands for it. What it holds is read with DuckDB's SQL all the
same, from a copy in memory, so that one test states what is expected of both.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow import csv

from passona.config.address import Address, Server
from passona.warehouse.connection import literal, quoted

POSTGRES = os.environ.get("PASSONA_TEST_POSTGRES")
SCHEMAS = ("passona", "analytics", "analytics_staging")
ENGINE = "duckdb" if POSTGRES is None else "postgres"
_TYPES = {"character varying": "VARCHAR", "text": "VARCHAR", "timestamp with time zone": "TIMESTAMPTZ",
          "timestamp without time zone": "TIMESTAMP", "bigint": "BIGINT", "integer": "INTEGER", "boolean": "BOOLEAN",
          "double precision": "DOUBLE"}  # fmt: skip


def url_of(path: Path) -> str:
    """The address of the database that stands for a path."""
    return f"{POSTGRES}/t_{hashlib.blake2b(str(path.absolute()).encode(), digest_size=8).hexdigest()}"


def address_of(path: Path) -> Address:
    """Where the warehouse of a test is."""
    if POSTGRES is None:
        return path
    from dlt.destinations.impl.postgres.configuration import PostgresCredentials

    url = url_of(path)
    name = url.rpartition("/")[2]
    with closing(_connected(f"{POSTGRES}/postgres")) as raw, raw.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if not cursor.fetchall():
            cursor.execute(f"CREATE DATABASE {name}")
    credentials = PostgresCredentials(url)
    credentials.resolve()
    return Server(credentials)


def destination_of(folder: Path) -> dict[str, str]:
    """The environment by which a command in this folder finds its warehouse, `warehouse.duckdb` as a path."""
    if POSTGRES is None:
        return {}
    path = folder / "warehouse.duckdb"
    address_of(path)
    return {
        "DESTINATION__WAREHOUSE__DESTINATION_TYPE": "postgres",
        "DESTINATION__WAREHOUSE__CREDENTIALS": url_of(path),
    }


def work_of(path: Path) -> Path:
    """The work folder of a command that runs beside this warehouse."""
    address = address_of(path)
    return path.parent / f"{address.name}.work"


def drop(path: Path) -> None:
    """The warehouse of a test is not there any more."""
    if POSTGRES is None:
        for file in (path, path.with_name(f"{path.name}.wal")):
            file.unlink(missing_ok=True)
        return
    with closing(_connected(f"{POSTGRES}/postgres")) as raw, raw.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {url_of(path).rpartition('/')[2]} WITH (FORCE)")


def copy(path: Path, to: Path) -> None:
    """A copy of a warehouse at another path."""
    if POSTGRES is None:
        shutil.copy(path, to)
        return
    drop(to)
    names = [url_of(each).rpartition("/")[2] for each in (to, path)]
    with closing(_connected(f"{POSTGRES}/postgres")) as raw, raw.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {names[0]} TEMPLATE {names[1]}")


def change(path: Path, sql: str, *parameters: Any) -> None:
    """Somebody else changes the warehouse, in SQL of both engines."""
    if POSTGRES is None:
        with duckdb.connect(str(path)) as connection:
            connection.execute(sql, list(parameters))
        return
    with closing(_connected(url_of(path))) as raw, raw.cursor() as cursor:
        cursor.execute(sql.replace("?", "%s") if parameters else sql, parameters or None)


def native_rows(path: Path, sql: str) -> list[Any]:
    """What a query in the engine's own SQL gives."""
    if POSTGRES is None:
        with reading(path, sql) as connection:
            return connection.execute(sql).fetchall()
    with closing(_connected(url_of(path))) as raw, raw.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def is_written(path: Path) -> bool:
    """Whether somebody on the server has written a row, or made a table, and not committed it yet."""
    name = url_of(path).rpartition("/")[2]
    with closing(_connected(f"{POSTGRES}/postgres")) as raw, raw.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s AND backend_xid IS NOT NULL LIMIT 1", [name])
        return bool(cursor.fetchall())


@contextmanager
def reading(path: Path, sql: str = "", where: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
    """What a warehouse holds, for DuckDB's SQL. `sql`: names the tables whose rows are asked for; "": all. `where`: of
    which rows a copy will do."""
    if POSTGRES is None:
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
        return
    with duckdb.connect() as connection, closing(_connected(url_of(path))) as raw:
        connection.execute("SET TimeZone = 'UTC'")
        _mirror(raw, connection, sql, where)
        yield connection


def _mirror(raw: Any, connection: duckdb.DuckDBPyConnection, sql: str, where: str) -> None:
    asked = set(re.findall(r"\b((?:passona|analytics\w*)\.\w+)", sql))
    tables: dict[tuple[str, str], list[tuple[str, str]]] = {}
    with raw.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name, column_name, data_type, numeric_precision, numeric_scale "
            "FROM information_schema.columns WHERE table_schema IN %s ORDER BY 1, 2, ordinal_position", [SCHEMAS]
        )  # fmt: skip
        for schema, table, column, kind, precision, scale in cursor.fetchall():
            made = f"DECIMAL({precision or 38}, {scale or 0})" if kind == "numeric" else _TYPES[kind]
            tables.setdefault((schema, table), []).append((column, made))
        for (schema, table), columns in tables.items():
            name = f"{quoted(schema)}.{quoted(table)}"
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
            connection.execute(f"CREATE TABLE {name} ({', '.join(f'{quoted(c)} {kind}' for c, kind in columns)})")
            if not sql or f"{schema}.{table}" in asked:
                _fill(cursor, connection, name, [kind for _, kind in columns], where)
        _describe(cursor, connection)


def _fill(cursor: Any, connection: duckdb.DuckDBPyConnection, name: str, kinds: list[str], where: str) -> None:
    written = io.BytesIO()
    cursor.copy_expert(f"COPY (SELECT * FROM {name} {where}) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *)", written)
    if not written.tell():
        return
    written.seek(0)
    names = [f"c{n}" for n in range(len(kinds))]
    texts = csv.read_csv(
        written,
        csv.ReadOptions(column_names=names, block_size=1 << 28),  # a row has to be in one block
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )  # fmt: skip
    connection.register("rows_of_postgres", texts)
    casts = ", ".join(f"{name}::{kind}" for name, kind in zip(names, kinds, strict=True))
    connection.execute(f"INSERT INTO {name} SELECT {casts} FROM rows_of_postgres")
    connection.unregister("rows_of_postgres")


def _describe(cursor: Any, connection: duckdb.DuckDBPyConnection) -> None:
    cursor.execute(
        "SELECT nspname, relname, attname, description FROM pg_description JOIN pg_class ON pg_class.oid = objoid "
        "JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND objsubid > 0 "
        "WHERE classoid = 'pg_class'::regclass AND nspname IN %s AND relkind IN ('r', 'v')", [SCHEMAS]
    )  # fmt: skip
    for schema, table, column, text in cursor.fetchall():
        name = f"{quoted(schema)}.{quoted(table)}"
        what = f"COLUMN {name}.{quoted(column)}" if column else f"TABLE {name}"
        connection.execute(f"COMMENT ON {what} IS {literal(text)}")


def _connected(url: str) -> Any:
    import psycopg2

    raw = psycopg2.connect(url)
    raw.autocommit = True
    with raw.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
    return raw
