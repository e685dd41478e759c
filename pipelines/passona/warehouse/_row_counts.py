"""Count what a load package has written: a load reports success for what is in the database, not for what it sent.

walks and entries of a package -> rows by campaign, ledger entries of complete loads -> equal, or NotWritten
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from passona.errors import NotWritten
from passona.reports.definitions import CAMPAIGNS
from passona.warehouse._load_package import Package
from passona.warehouse.connection import Connection, temp_table
from passona.warehouse.quoting import quoted


def check_written(connection: Connection, package: Package) -> None:
    """Check that the rows and the ledger entries of a package are in the dataset.

    :raises NotWritten: some are missing; names the first.
    """
    for table, expected in _expected_rows(package).items():
        counts = _row_counts(connection, table, list(expected))
        for uuid, rows in expected.items():
            if counts.get(uuid, 0) != rows:
                raise NotWritten(
                    f"campaign {uuid}, {table}: expected {rows} rows in the table after they were written, got "
                    f"{counts.get(uuid, 0)}; the report is due again, run passona load"
                )
    _check_ledger(connection, package)


def _expected_rows(package: Package) -> Mapping[str, dict[str, int]]:
    expected: dict[str, dict[str, int]] = defaultdict(dict)
    for walk in package.walks:
        expected[walk.report.name][walk.campaign_id] = walk.row_count
    if package.campaigns is not None:
        expected[CAMPAIGNS.name] = {str(uuid): 1 for uuid in package.campaigns.column("campaign_id").to_pylist()}
    return expected


def _row_counts(connection: Connection, table: str, campaign_ids: list[str]) -> dict[str, int]:
    with temp_table(connection, campaign_id=campaign_ids):
        return dict(
            connection.execute(
                f"SELECT campaign_id, count(*) FROM passona.{quoted(table)} "  # noqa: S608  # a name of ours
                "WHERE campaign_id IN (SELECT campaign_id FROM given) GROUP BY campaign_id"
            ).fetchall()
        )


def _check_ledger(connection: Connection, package: Package) -> None:
    expected = {entry.key: (entry.state, entry.row_count, entry.run_id) for entry in package.entries}
    with temp_table(connection, campaign_id=[uuid for uuid, _ in expected], report=[report for _, report in expected]):
        found = connection.execute(
            "SELECT campaign_id, report, state, row_count, run_id FROM passona.report_ledger "
            "JOIN given USING (campaign_id, report) "
            "WHERE _dlt_load_id IN (SELECT load_id FROM passona._dlt_loads WHERE status = 0)"
        ).fetchall()
    entries = {(uuid, report): tuple(rest) for uuid, report, *rest in found}
    for (uuid, report), entry in expected.items():
        if entries.get((uuid, report)) != entry:
            raise NotWritten(
                f"campaign {uuid}, {report}: expected its entry in report_ledger after it was written, got "
                "none, or another; the report is due again, run passona load"
            )
