"""Warehouses as they are after years, made in SQL from what one load has left behind.

Copies get campaigns, row ids and ledger entries of their own, so that nothing but their texts is alike.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from passona.reports.definitions import REPORTS

# Campaigns that are written at once: a million rows with their lists, which DuckDB sorts in memory.
AT_ONCE = 20
# The number of a copy, in eight hexadecimal digits: what its ids begin with.
_PREFIX = "printf('%08x', copy)"


def multiply(warehouse: Path, campaign: str, copies: int) -> int:
    """Puts so many more campaigns beside the one that is there: the rows of all reports, in the end.

    Each campaign's rows stand together, as loads write them. No copy is in the API's list.
    """
    children = [report.fields_table for report in REPORTS.values() if report.lists]
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("SET preserve_insertion_order = false")
        for table in (*REPORTS, *children, "row_issues", "report_ledger", "campaigns", "campaigns__contact_groups"):
            _multiply(connection, table, campaign, copies)
        connection.execute("UPDATE passona.campaigns SET listed = false WHERE campaign_id <> ?", [campaign])
        connection.execute("CHECKPOINT")
        return sum(_count(connection, report) for report in REPORTS)


def _multiply(connection: duckdb.DuckDBPyConnection, table: str, campaign: str, copies: int) -> None:
    columns = {name for name, *_ in connection.execute(f"DESCRIBE passona.{table}").fetchall()}
    changed = [f"{_PREFIX} || substr({name}, 9) AS {name}" for name in ("campaign_id", "row_id") if name in columns]
    connection.execute(f"CREATE TEMP TABLE original AS FROM passona.{table} WHERE campaign_id = ?", [campaign])
    for first in range(1, copies + 1, AT_ONCE):
        connection.execute(
            f"INSERT INTO passona.{table} SELECT original.* REPLACE ({', '.join(changed)}) "
            "FROM original, range(?, ?) AS copies(copy) ORDER BY copy",
            [first, min(first + AT_ONCE, copies + 1)],
        )
    connection.execute("DROP TABLE original")


def settle_all(warehouse: Path) -> int:
    """Gives every campaign and report the entry that the only one in the ledger has: how many there are then."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("CREATE TEMP TABLE original AS FROM passona.report_ledger")
        connection.execute("DELETE FROM passona.report_ledger")
        connection.execute(
            "INSERT INTO passona.report_ledger SELECT original.* REPLACE (c.campaign_id AS campaign_id, r AS report) "
            "FROM original, passona.campaigns AS c, unnest(?::VARCHAR[]) AS reports(r)",
            [list(REPORTS)],
        )
        return _count(connection, "report_ledger")


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    ((count,),) = connection.execute(f"SELECT count(*) FROM passona.{table}").fetchall()
    return int(count)
