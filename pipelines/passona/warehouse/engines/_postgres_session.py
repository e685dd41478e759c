"""A session with a Postgres server that has DuckDB's interface: same parameters, same results."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.csv

from passona.config.address import Server
from passona.errors import ConfigurationError, NotWritten
from passona.reports.tables import SQL_TYPES
from passona.reports.times import UTC_TIME
from passona.source.rows import without_nul
from passona.warehouse.connection import quoted

_ARROW_TYPES = {16: pa.bool_(), 19: pa.string(), 20: pa.int64(), 23: pa.int64(), 25: pa.string(), 1043: pa.string(),
                1184: UTC_TIME}  # fmt: skip
# Set in each session: those of the database or the role, made for other programs, would change what SQL means.
SETTINGS = {
    "TimeZone": "UTC", "standard_conforming_strings": "on", "transform_null_equals": "off", "bytea_output": "hex"
}  # fmt: skip
# Every value is quoted: without quotation marks it is NULL, and an empty text is not NULL.
_CSV = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\?|%|\$\w+""")


class Session:
    """A session (`connection.Connection`)."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def execute(self, query: str, parameters: Any = None) -> _Rows:
        try:
            cursor = self._raw.cursor()
            cursor.execute(_translated(query) if parameters else query, parameters or None)
        except psycopg2.Error as error:
            if not self._raw.closed:
                raise
            raise NotWritten("the server has ended this run's session, and its lock with it: run it again") from error
        return _Rows(cursor)

    def sql(self, query: str, *, params: Any = None) -> _Rows:
        return self.execute(query, params)

    def register(self, view_name: str, python_object: pa.Table) -> None:
        """Copy rows into a temp table, where DuckDB would have a view."""
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


class _Rows:
    """The result of a statement (`connection.Rows`)."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def description(self) -> Any:
        return self._cursor.description

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall() if self._cursor.description else [(self._cursor.rowcount,)]

    def to_arrow_table(self) -> pa.Table:
        columns = list(zip(*self._cursor.fetchall(), strict=True)) or [()] * len(self.description)
        return pa.table(
            {
                column.name: pa.array(cells, _ARROW_TYPES[column.type_code])
                for column, cells in zip(self.description, columns, strict=True)
            }
        )


def copy_into(cursor: Any, table: str, rows: pa.Table) -> None:
    """Append rows to a table, named in SQL, by COPY. Columns are matched by name.

    NUL, which Postgres cannot store, becomes U+2400.
    """
    if not len(rows):
        return
    columns = ", ".join(map(quoted, rows.column_names))
    buffer = io.BytesIO()
    # In one chunk: for an empty one between others, Arrow's writer sends whatever its buffer holds.
    pyarrow.csv.write_csv(without_nul(rows).combine_chunks(), buffer, _CSV)
    buffer.seek(0)
    cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv, NULL '', ENCODING 'UTF8')", buffer)


def connected(server: Server, name: str) -> Any:
    """Connect to the server. `name`: shown to other sessions (`application_name`).

    :raises ConfigurationError: it cannot be reached.
    """
    try:
        raw = psycopg2.connect(server.credentials.to_native_representation(), application_name=name)
    except psycopg2.OperationalError as error:
        line = str(error).strip().splitlines()[-1][:200]
        raise ConfigurationError(f"{server} cannot be reached: {line}") from error
    raw.autocommit = True
    raw.set_client_encoding("UTF8")
    with raw.cursor() as cursor:
        for setting, value in SETTINGS.items():
            cursor.execute(f"SET {setting} = {value}")
    return raw


@lru_cache(maxsize=256)
def _translated(query: str) -> str:
    """Return the query with psycopg2's parameters in place of `?` and `$name`."""

    def translated(match: re.Match[str]) -> str:
        token = match[0]
        if token == "?":  # noqa: S105  # no password
            return "%s"
        return f"%({token[1:]})s" if token[0] == "$" else token.replace("%", "%%")

    return _TOKENS.sub(translated, query)
