"""The ledger as it stands in the warehouse, as far as it can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from passona.reports.tables import LEDGER
from passona.reports.times import python_values
from passona.source.ledger import INTERRUPTED, Entry, Key
from passona.warehouse.connection import Connection, tables_of

_COLUMNS = tuple(LEDGER.names)
# An entry counts only while its load package is complete.
_BELIEVED_COLUMNS = {name: name for name in _COLUMNS} | {
    "state": "CASE WHEN complete THEN state ELSE 'failed' END AS state",
    "verified_at": "CASE WHEN complete THEN verified_at END AS verified_at",
    "error": f"CASE WHEN complete THEN error ELSE '{INTERRUPTED}' END AS error",
}
_BELIEVED = f"""
    SELECT {", ".join(_BELIEVED_COLUMNS.values())},
           coalesce(complete AND state = 'settled' AND checked_at IS NOT NULL, false) AS settled
    FROM (
        SELECT ledger.*, loads.load_id IS NOT NULL AS complete
        FROM passona.report_ledger AS ledger
        LEFT JOIN (SELECT DISTINCT load_id FROM passona._dlt_loads WHERE status = 0) AS loads
            ON loads.load_id = ledger._dlt_load_id
    ) AS ledger
"""  # noqa: S608  # constants


def trusted_entries(connection: Connection) -> str:
    """SQL of the ledger as far as it can be believed: an entry whose load package is not complete is `failed`.

    `settled` tells those that nothing is asked of any more. Nothing is loaded yet where dlt has not made its
    tables. "" where there is no ledger at all.
    """
    found = tables_of(connection, "passona")
    if "report_ledger" not in found:
        return ""
    return _BELIEVED if "_dlt_loads" in found else "SELECT *, false AS settled FROM passona.report_ledger WHERE false"


class Ledger(Mapping[Key, Entry]):
    """The ledger in the warehouse, as far as it can be believed.

    The row count of an entry that cannot be is kept all the same: it is what the shrink guard compares with.

    `settled`: when each settled report was last checked. In an old warehouse that is nearly all of them, and
    hardly ever is more asked of one: the rest of their entries is read when it is.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._believed = trusted_entries(connection)
        self._entries = self._read("NOT settled")
        self.settled = self._read_settled()

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

    def _read_settled(self) -> dict[Key, datetime]:
        campaigns, reports, checked = self._columns("campaign_id, report, checked_at", "settled")
        return dict(zip(zip(campaigns, reports, strict=True), checked, strict=True))

    def _read(self, condition: str) -> dict[Key, Entry]:
        entries = (Entry(*cells) for cells in zip(*self._columns(", ".join(_COLUMNS), condition), strict=True))
        return {entry.key: entry for entry in entries}

    def _columns(self, names: str, condition: str) -> list[list[Any]]:
        """Column by column: a warehouse of 10,000 campaigns has 60,000 entries, looked at before each load."""
        if not self._believed:
            return [[] for _ in names.split(",")]
        sql = f"SELECT {names} FROM ({self._believed}) AS ledger WHERE {condition}"  # noqa: S608  # constants
        rows = self._connection.sql(sql).to_arrow_table()
        return [python_values(column) for column in rows.columns]


def mismatched_reports(connection: Connection) -> set[Key]:
    """Campaign and report of the rows in the tables that have values of another type than the guide's."""
    found = connection.execute(
        "SELECT DISTINCT campaign_id, report FROM passona.row_issues WHERE issue = 'unexpected_type'"
    ).fetchall()
    return {(campaign_id, report) for campaign_id, report in found}
