"""What a session does alike on every DuckDB: 2.x streams rows, and lets nothing else be done while some are unread."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from passona.warehouse.connection import first_row, temp_table, transaction

pytestmark = pytest.mark.core


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE numbers AS SELECT range::VARCHAR AS number FROM range(500000)")
        yield connection


def test_a_row_read_alone_leaves_the_session_free(connection: duckdb.DuckDBPyConnection) -> None:
    assert first_row(connection.execute("SELECT number FROM numbers ORDER BY number::INT LIMIT 2")) == ("0",)
    with temp_table(connection, number=["7"]):
        assert first_row(connection.execute("SELECT number FROM given JOIN numbers USING (number)")) == ("7",)
        assert connection.sql("SELECT count(*) FROM given").to_arrow_table().num_rows == 1
    assert first_row(connection.execute("SELECT 1 WHERE false")) is None


def test_an_error_while_a_table_is_registered_is_raised_as_it_is(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.ConversionException), transaction(connection), temp_table(connection, word=["x"]):  # noqa: PT012
        connection.execute("INSERT INTO numbers VALUES ('x')")
        connection.execute("SELECT word::INT FROM given").fetchall()
    with temp_table(connection, word=["y"]):
        assert connection.execute("SELECT word FROM given").fetchall() == [("y",)]
    assert connection.execute("SELECT count(*) FROM numbers").fetchall() == [(500000,)]
