"""The columns of keys that the guide does not know: recorded in the warehouse when a key first arrives, and kept.

    new keys -> passona._keys, free names -> column of each

So a key's column never depends on which other keys arrive with it, in which campaign or in which order. Columns that
users added are no keys.
"""

import json
from collections.abc import Iterable

from passona.reports.definitions import CAMPAIGNS, REPORTS, Report, column_names
from passona.reports.tables import DATASET, TABLES
from passona.warehouse.connection import Connection, columns_of, tables_of

# A column without a key belongs to the next key that fits its name.
_COMMENT = "One row per key (as JSON) that the vendor''s guide does not know, and its column"


def create_key_table(connection: Connection) -> None:
    """Create the table of keys. Columns that exist already are for the first key that fits their names."""
    if "_keys" in tables_of(connection, DATASET):
        return
    connection.execute(
        "CREATE TABLE passona._keys (table_name VARCHAR NOT NULL, column_name VARCHAR NOT NULL, key VARCHAR)"
    )
    connection.execute(f"COMMENT ON TABLE passona._keys IS '{_COMMENT}'")
    reports = (*REPORTS, CAMPAIGNS.name)
    for table, column in columns_of(connection, DATASET):
        if table in reports and column not in TABLES[table].arrow.names and not column.startswith("_"):
            connection.execute("INSERT INTO passona._keys VALUES (?, ?, NULL)", [table, column])


def columns_of_keys(connection: Connection, report: Report, keys: Iterable[str]) -> dict[str, str]:
    """Return the column of each of these keys, and record those that arrive for the first time."""
    keys = set(keys)
    if not keys:
        return {}
    rows = connection.execute("SELECT key, column_name FROM passona._keys WHERE table_name = ?", [report.name])
    columns: dict[str, str] = {}
    unclaimed = set()
    for key, column in rows.fetchall():
        if key is None:
            unclaimed.add(column)
        else:
            columns[json.loads(key)] = column
    existing = {column for table, column in columns_of(connection, DATASET) if table == report.name}
    occupied = {*(existing - unclaimed), *columns.values()}
    for key, column in column_names(report, keys - columns.keys(), existing=occupied).items():
        connection.execute("INSERT INTO passona._keys VALUES (?, ?, ?)", [report.name, column, json.dumps(key)])
        columns[key] = column
    return {key: columns[key] for key in keys}
