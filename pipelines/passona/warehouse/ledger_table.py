"""The ledger as stored. An entry counts only if its load package is complete: dlt commits table by table."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

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


class Ledger(Mapping[Key, Entry]):
    """The trusted entries of the ledger.

    An untrusted entry is `failed`, and keeps its row count: the shrink guard compares with it. `settled`: when each
    settled report was last checked. In an old warehouse nearly all reports are settled, so the rest of their entries
    is read only on demand.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sql = trusted_entries(connection)
        self._entries = self._read("NOT settled")
        campaigns, reports, checked = self._columns("campaign_id, report, checked_at", "settled")
        self.settled: dict[Key, datetime] = dict(zip(zip(campaigns, reports, strict=True), checked, strict=True))

    def __getitem__(self, key: Key) -> Entry:
        if key in self._entries:
            return self._entries[key]
        if key not in self.settled:
            raise KeyError(key)
        return self._settled_entries[key]

    def __iter__(self) -> Iterator[Key]:
        yield from self._entries
        yield from self.settled

    def __len__(self) -> int:
        return len(self._entries) + len(self.settled)

    @cached_property
    def _settled_entries(self) -> dict[Key, Entry]:
        return self._read("settled")

    def _read(self, condition: str) -> dict[Key, Entry]:
        entries = (Entry(*cells) for cells in zip(*self._columns(", ".join(_COLUMNS), condition), strict=True))
        return {entry.key: entry for entry in entries}

    def _columns(self, names: str, condition: str) -> list[list[Any]]:
        """Read by column, which is fast: each load reads 60,000 entries of a warehouse of 10,000 campaigns."""
        if not self._sql:
            return [[] for _ in names.split(",")]
        sql = f"SELECT {names} FROM ({self._sql}) AS ledger WHERE {condition}"  # noqa: S608  # constants
        rows = self._connection.sql(sql).to_arrow_table()
        return [python_values(column) for column in rows.columns]


def mismatched_reports(connection: Connection) -> set[Key]:
    """Return campaign and report of rows that have values of another type than the guide's."""
    rows = connection.execute(
        "SELECT DISTINCT campaign_id, report FROM passona.row_issues WHERE issue = 'unexpected_type'"
    ).fetchall()
    return {(campaign_id, report) for campaign_id, report in rows}
