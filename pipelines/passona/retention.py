"""What a campaign's end has made old: personal data go from the tables and the marts, the totals stay.

    retain_days, campaigns' dates -> campaigns past it -> columns become NULL, or rows go -> ledger

What is past it is never asked for again (`ledger.plan`), so nothing comes back. In columns, ids of rows
become others by a key that nobody keeps: a digest of a phone would say whose row it was.
"""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from passona.database import MEMORY_LIMIT
from passona.quoting import literal, quoted
from passona.reports import REPORTS
from passona.schema import TABLES

if TYPE_CHECKING:
    from passona.database import Connection, Database
    from passona.keeping import Keeping

# Marts that have a row per person, and what is personal in those and in the others, by name.
_MARTS = {
    "analytics.messages": ("phone", "msisdn", "message_id"),
    "analytics.clicks": ("phone", "msisdn", "link_destination", "user_agent"),
    "analytics.recipient_fields": ("phone", "msisdn", "field_value"),
    "analytics_staging.int_recipient_groups": ("phone", "msisdn"),
}
_TOTALS = {"analytics.links": ("link_destination",)}
_MART_DIGESTS = ("message_key", "click_id")
# The reports' tables: all that hangs on a row of a report.
_TABLES = [*(name for report in REPORTS.values() for name in report.tables), "row_issues"]


def expire(database: Database, keeping: Keeping, now: datetime) -> Counter[str]:
    """Gives up the personal data of campaigns past `retain_days`; rows concerned, by table. One transaction."""
    if keeping.retain_days is None:
        return Counter()
    connection = database.connection
    # Whole tables are changed: with the flat memory of a load that would fail.
    connection.execute(f"SET memory_limit = {literal(database.usual_memory)}")
    connection.begin()
    try:
        erased = _expire(connection, now - timedelta(days=keeping.retain_days), now, rows=keeping.retain_mode == "rows")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    return erased


def leftovers(connection: Connection) -> bool:
    """Whether freed pages of the file may hold what was given up: the file is to be made anew."""
    return bool(connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = '_given_up'").fetchall())


def swept(connection: Connection) -> None:
    """Notes that the file was made anew."""
    connection.execute("DROP TABLE IF EXISTS passona._given_up")


def _expire(connection: Connection, before: datetime, now: datetime, *, rows: bool) -> Counter[str]:
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _expired AS SELECT campaign_id FROM passona.report_ledger AS ledger "
        "LEFT JOIN passona.campaigns AS campaigns USING (campaign_id) "
        "GROUP BY campaign_id "
        "HAVING coalesce(max(expiry_date), max(finished_sending_at), max(changed_at)) <= ? "
        "AND bool_or(expired_at IS NULL)",
        [before],
    )
    erased: Counter[str] = Counter()
    if connection.execute("FROM _expired LIMIT 1").fetchall():
        salt = secrets.token_hex(32)
        present = _present(connection)
        for name in _TABLES:
            table = f"passona.{name}"
            erased[table] += _delete(connection, table) if rows else _empty(connection, name, salt)
        for table, columns in (_MARTS | _TOTALS).items():
            if table in present:
                goes = rows and table in _MARTS
                erased[table] += _delete(connection, table) if goes else _empty_mart(connection, table, columns, salt)
        # In the same transaction: whoever is killed before the file is made anew leaves it to the next load.
        connection.execute("CREATE TABLE IF NOT EXISTS passona._given_up AS SELECT 1 AS something")
        connection.execute(
            "UPDATE passona.report_ledger SET expired_at = ?, digest = NULL, state = 'settled', "
            "row_count = CASE WHEN ? THEN 0 ELSE row_count END WHERE campaign_id IN (FROM _expired)",
            [now, rows],
        )
    connection.execute("DROP TABLE _expired")
    return +erased


def _delete(connection: Connection, table: str) -> int:
    # Issues of the list of campaigns are no person's.
    but = " AND report <> 'campaigns'" if table == "passona.row_issues" else ""
    return _rows(connection, f"DELETE FROM {table} WHERE campaign_id IN (FROM _expired){but}")  # noqa: S608  # our own words


def _empty(connection: Connection, name: str, salt: str) -> int:
    """NULL in what is personal; the ids others, the same in parent, fields and issues."""
    table = TABLES[name]
    plain = [column for column in table.personal_columns if table.personal[column] != "digest"]
    changes = [f"{column} = NULL" for column in [*plain, *_new_columns(connection, name)]]
    changes.append(f"row_id = left(sha256('{salt}' || row_id), 32)")
    but = " AND report <> 'campaigns'" if name == "row_issues" else ""
    return _rows(
        connection,
        f"UPDATE passona.{name} SET {', '.join(changes)} WHERE campaign_id IN (FROM _expired){but}",  # noqa: S608  # our own words
    )


def _empty_mart(connection: Connection, table: str, columns: tuple[str, ...], salt: str) -> int:
    there = _present(connection)[table]
    changes = [f"{column} = NULL" for column in columns if column in there]
    changes += [f"{c} = left(sha256('{salt}' || {c}), 32)" for c in _MART_DIGESTS if c in there]
    return _rows(
        connection,
        f"UPDATE {table} SET {', '.join(changes)} WHERE campaign_id IN (FROM _expired)",  # noqa: S608  # our own words
    )


def _new_columns(connection: Connection, name: str) -> list[str]:
    """Columns of keys that the guide does not know: nobody can say what is in them."""
    known = {*TABLES[name].sql_columns, "row_id", "campaign_id"}
    return [
        quoted(column)
        for column in sorted(_present(connection)[f"passona.{name}"])
        if column not in known and not column.startswith("_")
    ]


def _present(connection: Connection) -> dict[str, set[str]]:
    """The tables there are, with their columns."""
    found = connection.execute(
        "SELECT schema_name || '.' || table_name, list(column_name) FROM duckdb_columns() "
        "WHERE database_name = current_database() AND NOT internal GROUP BY ALL"
    ).fetchall()
    return {table: set(columns) for table, columns in found}


def _rows(connection: Connection, sql: str) -> int:
    ((rows,),) = connection.execute(sql).fetchall()
    return int(rows)
