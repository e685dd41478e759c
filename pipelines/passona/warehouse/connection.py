"""A session with the warehouse: the part of DuckDB's interface that this program uses and Postgres's `Session` has.

SQL is written once, for DuckDB and Postgres: catalogs are read from `information_schema`, subqueries have names, `?`
and `$name` are parameters. SQL of one engine alone is in `duckdb_file` and `postgres`.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import pyarrow as pa


def quoted(name: str) -> str:
    """Return an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a text in SQL, for statements that take no parameters: ATTACH, SET, COMMENT ON."""
    return "'" + value.replace("'", "''") + "'"


_NAMES = ("column_name", """'"' || replace(column_name, '"', '""') || '"'""")
_GENERATED = [
    f"contains(sql, {literal(before)} || {name} || ' ' || data_type || ' GENERATED ALWAYS AS(')"
    for before in ("(", ", ")
    for name in _NAMES
]
# True for a generated column in duckdb_columns() joined with duckdb_tables(): only the table's SQL shows it.
IS_GENERATED = f"(column_default IS NOT NULL AND ({' OR '.join(_GENERATED)}))"


class Rows(Protocol):
    """The result of a statement; for one that changes rows, their number as the only row.

    There is no `fetchone`: DuckDB 2 streams rows, and refuses `register` and `sql` while some are unread.
    """

    @property
    def description(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Relation(Protocol):
    """A lazy query."""

    def to_arrow_table(self) -> pa.Table: ...


class Connection(Protocol):
    """A session in autocommit mode, except between `begin` and `commit` or `rollback`."""

    def execute(self, query: Any, parameters: Any = None) -> Rows: ...

    def sql(self, query: Any, *, params: Any = None) -> Relation: ...

    def register(self, view_name: str, python_object: Any) -> Any: ...

    def unregister(self, view_name: str) -> Any: ...

    def begin(self) -> Any: ...

    def commit(self) -> Any: ...

    def rollback(self) -> Any: ...

    def close(self) -> None: ...


def error_kinds(name: str = "Error") -> tuple[type[Exception], ...]:
    """Return the error classes of this name (PEP 249) of the database drivers in use."""
    return tuple(getattr(sys.modules[module], name) for module in ("duckdb", "psycopg2") if module in sys.modules)


def first_row(rows: Rows) -> Any:
    """Return the first row, or None if there is none. Reads them all."""
    return next(iter(rows.fetchall()), None)


def is_server(connection: Connection) -> bool:
    """Return True for a session with Postgres, False for one with a DuckDB file."""
    return "PostgreSQL" in str(connection.execute("SELECT version()").fetchall())


@contextmanager
def transaction(connection: Connection, *, keep: bool = True) -> Iterator[None]:
    """Commit this block; roll it back on any error, or without `keep`."""
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
    """Provide columns of texts as the temp table `given`: lists as parameters take 65 microseconds an element."""
    table = pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
    with registered(connection, "given", table):
        yield


@contextmanager
def registered(connection: Connection, name: str, table: pa.Table) -> Iterator[None]:
    """Provide an Arrow table as a temp table of this name."""
    connection.register(name, table)
    try:
        yield
    except BaseException:
        with suppress(*error_kinds()):  # refused in a failed transaction, whose rollback drops the table
            connection.unregister(name)
        raise
    connection.unregister(name)


def tables_of(connection: Connection, schema: str) -> set[str]:
    """Return the names of a schema's tables, without views."""
    rows = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' "
        "AND table_catalog = current_database()",
        [schema],
    ).fetchall()
    return {name for (name,) in rows}


def columns_of(connection: Connection, schema: str) -> list[tuple[str, str]]:
    """Return table and name of each column of a schema, in order."""
    return connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ? "
        "AND table_catalog = current_database() ORDER BY table_name, ordinal_position",
        [schema],
    ).fetchall()
