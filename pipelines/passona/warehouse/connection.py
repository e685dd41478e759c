"""A session with the warehouse: what of DuckDB's own connections this program uses, which `postgres.Session` has too.

SQL is written once, in words that DuckDB and Postgres both understand: catalogs are read by the standard's
`information_schema`, subqueries have names, `?` and `$name` stand for parameters. What only one of them
understands is in `duckdb_file` and `postgres`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import pyarrow as pa

from passona.warehouse.quoting import literal

_NAMES = ("column_name", """'"' || replace(column_name, '"', '""') || '"'""")
_GENERATED = [
    f"contains(sql, {literal(before)} || {name} || ' ' || data_type || ' GENERATED ALWAYS AS(')"
    for before in ("(", ", ")
    for name in _NAMES
]
# True for a generated column in duckdb_columns() joined with duckdb_tables(): only the table's SQL shows it.
IS_GENERATED = f"(column_default IS NOT NULL AND ({' OR '.join(_GENERATED)}))"


class Rows(Protocol):
    """What a statement gave; of one that changes rows, their number as the only row.

    There is no `fetchone`. DuckDB 2 streams rows, and while some are unread it refuses `register` and `sql`.
    """

    @property
    def description(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Relation(Protocol):
    """What a query will give."""

    def to_arrow_table(self) -> pa.Table: ...


class Connection(Protocol):
    """Statements commit by themselves, but between `begin` and `commit` or `rollback`."""

    def execute(self, query: Any, parameters: Any = None) -> Rows: ...

    def sql(self, query: Any, *, params: Any = None) -> Relation: ...

    def register(self, view_name: str, python_object: Any) -> Any: ...

    def unregister(self, view_name: str) -> Any: ...

    def begin(self) -> Any: ...

    def commit(self) -> Any: ...

    def rollback(self) -> Any: ...

    def close(self) -> None: ...


def error_kinds(name: str = "Error") -> tuple[type[Exception], ...]:
    """The errors of this name (PEP 249) of the databases in use."""
    return tuple(getattr(sys.modules[module], name) for module in ("duckdb", "psycopg2") if module in sys.modules)


def first_row(rows: Rows) -> Any:
    """Return the first row, or None if there is none. Reads them all."""
    return next(iter(rows.fetchall()), None)


def is_server(connection: Connection) -> bool:
    """Return True for a session with Postgres, False for one with a DuckDB file."""
    return "PostgreSQL" in str(connection.execute("SELECT version()").fetchall())


@contextmanager
def transaction(connection: Connection, *, keep: bool = True) -> Iterator[None]:
    """Commit what is done in this block as one; roll it back on any error, or if nothing of it is to be kept."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    if keep:
        connection.commit()
    else:
        connection.rollback()


@contextmanager
def temp_table(connection: Connection, **columns: Sequence[str]) -> Iterator[None]:
    """Columns of texts as the table `given` in this block: a list as a parameter takes 65 microseconds an element."""
    table = pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
    with registered(connection, "given", table):
        yield


@contextmanager
def registered(connection: Connection, name: str, table: pa.Table) -> Iterator[None]:
    """An Arrow table as a table of this name in this block."""
    connection.register(name, table)
    try:
        yield
    except BaseException:
        with suppress(*error_kinds()):  # refused in a transaction that has failed: its rollback takes the table
            connection.unregister(name)
        raise
    connection.unregister(name)


def tables_of(connection: Connection, schema: str) -> set[str]:
    """The names of a schema's tables, views not among them."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' "
        "AND table_catalog = current_database()",
        [schema],
    ).fetchall()
    return {name for (name,) in found}


def columns_of(connection: Connection, schema: str) -> list[tuple[str, str]]:
    """Table and name of each column of a schema, in their order."""
    return connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ? "
        "AND table_catalog = current_database() ORDER BY table_name, ordinal_position",
        [schema],
    ).fetchall()
