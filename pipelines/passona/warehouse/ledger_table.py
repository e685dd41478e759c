"""The ledger as stored. An entry counts only if its load package is complete: dlt commits table by table."""

from passona.reports.definitions import REPORTS
from passona.reports.tables import LEDGER
from passona.reports.times import python_values
from passona.source.ledger import INTERRUPTED, Entry, Key
from passona.warehouse.connection import Connection, tables_of

# The tables with rows of reports, each with the report of its rows in SQL.
REPORT_TABLES = [
    *((f"'{report.name}'", table) for report in REPORTS.values() for table in report.tables),
    ("report", "row_issues"),
]
_COLUMNS = tuple(LEDGER.names)
_TRUSTED_COLUMNS = {name: name for name in _COLUMNS} | {
    "state": "CASE WHEN complete THEN state ELSE 'failed' END AS state",
    "verified_at": "CASE WHEN complete THEN verified_at END AS verified_at",
    "error": f"CASE WHEN complete THEN error ELSE '{INTERRUPTED}' END AS error",
}
_TRUSTED = f"""
    SELECT {", ".join(_TRUSTED_COLUMNS.values())},
           coalesce(complete AND state = 'settled' AND checked_at IS NOT NULL, false) AS settled
    FROM (
        SELECT ledger.*, loads.load_id IS NOT NULL AS complete
        FROM passona.report_ledger AS ledger
        LEFT JOIN (SELECT DISTINCT load_id FROM passona._dlt_loads WHERE status = 0) AS loads
            ON loads.load_id = ledger._dlt_load_id
    ) AS ledger
"""  # noqa: S608  # constants


def trusted_entries(connection: Connection) -> str:
    """Return SQL of the ledger; "" if there is none. An entry of an incomplete load package is `failed`.

    Its column `settled` is true for reports that need no further request.
    """
    tables = tables_of(connection, "passona")
    if "report_ledger" not in tables:
        return ""
    # dlt creates _dlt_loads in the first load.
    return _TRUSTED if "_dlt_loads" in tables else "SELECT *, false AS settled FROM passona.report_ledger WHERE false"


class Ledger(dict[Key, Entry]):
    """The trusted entries of the ledger.

    An untrusted entry is `failed`, and keeps its row count: the shrink guard compares with it.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        if sql := trusted_entries(connection):
            rows = connection.sql(f"SELECT {', '.join(_COLUMNS)} FROM ({sql}) AS ledger").to_arrow_table()  # noqa: S608  # constants
            # By column, which is fast: each load reads 60,000 entries of a warehouse of 10,000 campaigns.
            columns = map(python_values, rows.columns)
            self.update((entry.key, entry) for entry in (Entry(*cells) for cells in zip(*columns, strict=True)))


def mismatched_reports(connection: Connection) -> set[Key]:
    """Return campaign and report of rows that have values of another type than the guide's."""
    rows = connection.execute(
        "SELECT DISTINCT campaign_id, report FROM passona.row_issues WHERE issue = 'unexpected_type'"
    ).fetchall()
    return {(campaign_id, report) for campaign_id, report in rows}
