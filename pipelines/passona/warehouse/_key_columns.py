"""Which column a key has that the guide does not know: noted in the warehouse when the key first comes, and kept.

    new keys -> passona._keys, free names -> column of each

So a key's column never depends on which other keys arrive with it, in which campaign or in which order. What a user
added to a table is nobody's key, and is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from passona.reports.definitions import CAMPAIGNS, REPORTS, Report, column_names
from passona.reports.tables import DATASET, TABLES
from passona.warehouse.connection import Connection, columns_of, tables_of

# A column without a key belongs to the next key that fits its name.
_COMMENT = "One row per key (as JSON) that the vendor''s guide does not know, and its column"


def make_table(connection: Connection) -> None:
    """Make the table of keys. Columns that are there already are for the first key that fits their names."""
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


def key_columns(connection: Connection, report: Report, keys: Iterable[str]) -> dict[str, str]:
    """Return the column of each of these keys, and note those that have come for the first time."""
    keys = set(keys)
    if not keys:
        return {}
    noted = connection.execute(
        "SELECT key, column_name FROM passona._keys WHERE table_name = ?", [report.name]
    ).fetchall()
    known = {json.loads(key): column for key, column in noted if key is not None}
    waiting = {column for key, column in noted if key is None}.difference(known.values())
    there = {column for table, column in columns_of(connection, DATASET) if table == report.name}
    found = column_names(report, keys - known.keys(), existing={*there - waiting, *known.values()})
    for key, column in found.items():
        connection.execute("INSERT INTO passona._keys VALUES (?, ?, ?)", [report.name, column, json.dumps(key)])
    return {key: known.get(key) or found[key] for key in keys}
