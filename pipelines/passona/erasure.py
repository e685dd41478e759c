"""A person goes out of every table of a DuckDB file, and so do the rows that belong to theirs.

    People -> rows of the reports, their fields and issues -> ledger -> marts -> what is left in other texts

Rows of the marts are built anew by `passona transform`, because the rows of their campaigns are fewer.
The bytes are gone when the file has been rewritten (`rewriting`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from passona.database import Connection
from passona.people import People
from passona.reports import REPORTS, Report

# Columns that hold a phone, in the tables of the reports, of the marts, and of whoever made others of them.
_PHONES = ("phone", "msisdn", "phone_number", "mobile", "recipient")
# Columns that cannot hold a person's number: no text of a person's is ever written there.
_KEYS = ("campaign_id", "row_id", "_dlt_load_id")
ERASED = "[erased]"


def erase(connection: Connection, people: People) -> Counter[str]:
    """Rows that went or lost the number, by table. In the caller's transaction. A copy may lack some tables."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _people AS SELECT unnest(?::VARCHAR[]) AS phone", [[*people.values]]
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE _erased (campaign_id VARCHAR, report VARCHAR, row_id VARCHAR)")
    erased: Counter[str] = Counter()
    there = {table for table, _ in text_columns(connection)}
    for report in REPORTS.values():
        if report.phone_key is not None and f"passona.{report.name}" in there:
            erased += _erase_report(connection, report)
    if "passona.report_ledger" in there:
        _note_in_ledger(connection)
    erased += _erase_marts(connection)
    for phone in people.phones:
        erased += _erase_texts(connection, phone)
    connection.execute("DROP TABLE _people")
    connection.execute("DROP TABLE _erased")
    return erased


def _is_one_of_them(column: str) -> str:
    """A condition on a column of phones, however they are written there."""
    digits = f"regexp_replace(regexp_replace({column}, '[^0-9]', '', 'g'), '^00', '')"
    return f"({column} IN (FROM _people) OR {digits} IN (FROM _people))"


def _erase_report(connection: Connection, report: Report) -> Counter[str]:
    phone = next(column.name for column in report.columns if column.key == report.phone_key)
    connection.execute(
        f"INSERT INTO _erased SELECT campaign_id, '{report.name}', row_id FROM passona.{report.name} "  # noqa: S608  # constant names
        f"WHERE {_is_one_of_them(phone)}"
    )
    theirs = f"row_id IN (SELECT row_id FROM _erased WHERE report = '{report.name}')"  # noqa: S608  # a constant name
    erased = Counter({f"passona.{name}": _deleted(connection, f"passona.{name}", theirs) for name in report.tables})
    erased["passona.row_issues"] += _deleted(connection, "passona.row_issues", f"report = '{report.name}' AND {theirs}")
    return erased


def _note_in_ledger(connection: Connection) -> None:
    """The counts stay true, and the digest is another: the next walk tells it."""
    connection.execute(
        "UPDATE passona.report_ledger AS ledger SET row_count = row_count - gone.number, "
        "suppressed = coalesce(suppressed, 0) + gone.number, digest = NULL "
        "FROM (SELECT campaign_id, report, count(*) AS number FROM _erased GROUP BY ALL) AS gone "
        "WHERE gone.campaign_id = ledger.campaign_id AND gone.report = ledger.report"
    )


def _erase_marts(connection: Connection) -> Counter[str]:
    """Rows of theirs in all other tables, and what the marts keep of a click beside its row."""
    erased: Counter[str] = Counter()
    own = {f"passona.{report.name}" for report in REPORTS.values()}
    columns = [(table, column) for table, column in text_columns(connection) if table not in own]
    for table, column in columns:
        if column.strip('"') in _PHONES:
            erased[_shown(table)] += _deleted(connection, table, _is_one_of_them(column))
    tables = {table for table, _ in text_columns(connection)}
    if {"analytics.links", "passona.clicks"} <= tables:
        # Without any click left, the address may have been this person's own.
        erased["analytics.links"] += _deleted(
            connection,
            "analytics.links AS links",
            "campaign_id IN (SELECT campaign_id FROM _erased) AND NOT EXISTS (FROM passona.clicks AS clicks "
            "WHERE clicks.campaign_id = links.campaign_id "
            "AND clicks.link_destination IS NOT DISTINCT FROM links.link_destination)",
        )
    if "analytics_staging.int_user_agents" in tables:
        connection.execute("DELETE FROM analytics_staging.int_user_agents")  # of the last build; the next makes it
    return erased


def _erase_texts(connection: Connection, phone: str) -> Counter[str]:
    """The number within other texts: another's message, an address, a table that somebody made."""
    changed: Counter[str] = Counter()
    for table, column in text_columns(connection):
        if column.strip('"') not in _KEYS:
            ((rows,),) = connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, '{ERASED}') WHERE contains({column}, ?)",  # noqa: S608  # quoted names
                [phone, phone],
            ).fetchall()
            changed[_shown(table)] += rows
    return changed


def text_columns(connection: Connection) -> Iterator[tuple[str, str]]:
    """Every column of text of every table, quoted where its name needs it."""
    found: list[tuple[Any, ...]] = connection.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "JOIN duckdb_tables() USING (database_name, schema_name, table_name) "
        "WHERE database_name = current_database() AND NOT duckdb_tables.internal AND data_type = 'VARCHAR' "
        "ORDER BY ALL"
    ).fetchall()
    for schema, table, column in found:
        yield f"{_quoted(schema)}.{_quoted(table)}", _quoted(column)


def _deleted(connection: Connection, table: str, condition: str) -> int:
    ((rows,),) = connection.execute(f"DELETE FROM {table} WHERE {condition}").fetchall()  # noqa: S608  # our own words
    return int(rows)


def _quoted(name: str) -> str:
    return name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'


def _shown(table: str) -> str:
    return table.replace('"', "")
