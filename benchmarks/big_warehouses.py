"""Large warehouses, made in SQL by copying what one load has written."""

from __future__ import annotations

from pathlib import Path

import duckdb

from passona.reports.definitions import REPORTS

# Campaigns copied by one statement: about a million rows with their fields, which DuckDB sorts in memory.
BATCH = 20
# The first eight hexadecimal digits of a copy's ids are its number.
_PREFIX = "printf('%08x', copy)"


def multiply(warehouse: Path, campaign: str, copies: int) -> int:
    """Add copies of a campaign with all its reports, and return how many report rows there are then.

    Every copy has ids and ledger entries of its own, and the rows of a campaign are stored together, as after a
    load. No copy is in the API's list.
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
    ids = [f"{_PREFIX} || substr({name}, 9) AS {name}" for name in ("campaign_id", "row_id") if name in columns]
    connection.execute(f"CREATE TEMP TABLE original AS FROM passona.{table} WHERE campaign_id = ?", [campaign])
    for first in range(1, copies + 1, BATCH):
        connection.execute(
            f"INSERT INTO passona.{table} SELECT original.* REPLACE ({', '.join(ids)}) "
            "FROM original, range(?, ?) AS copies(copy) ORDER BY copy",
            [first, min(first + BATCH, copies + 1)],
        )
    connection.execute("DROP TABLE original")


def settle_all(warehouse: Path) -> int:
    """Copy the only ledger entry to every campaign and report, and return the number of entries."""
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
