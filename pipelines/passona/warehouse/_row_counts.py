"""Count the rows of a load package in the database: a load reports success after that, not after sending.

walks and entries of a package -> rows by campaign, ledger entries of complete loads -> equal, or NotWritten
"""

from collections import defaultdict

from passona.errors import NotWritten
from passona.reports.definitions import CAMPAIGNS
from passona.warehouse._load_package import Package
from passona.warehouse.connection import Connection, quoted, temp_table


def check_written(connection: Connection, package: Package) -> None:
    """Check that the rows and the ledger entries of a package are in the dataset.

    :raises NotWritten: some are missing; names the first.
    """
    expected: dict[str, dict[str, int]] = defaultdict(dict)
    for walk in package.walks:
        expected[walk.report.name][walk.campaign_id] = walk.row_count
    if package.campaigns is not None:
        expected[CAMPAIGNS.name] = {str(uuid): 1 for uuid in package.campaigns.column("campaign_id").to_pylist()}
    for table, counts in expected.items():
        stored = _row_counts(connection, table, list(counts))
        for uuid, count in counts.items():
            if stored.get(uuid, 0) != count:
                raise NotWritten(
                    f"campaign {uuid}, {table}: expected {count} rows in the table after they were written, got "
                    f"{stored.get(uuid, 0)}; the report is due again, run passona load"
                )
    _check_ledger(connection, package)


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
        rows = connection.execute(
            "SELECT campaign_id, report, state, row_count, run_id FROM passona.report_ledger "
            "JOIN given USING (campaign_id, report) "
            "WHERE _dlt_load_id IN (SELECT load_id FROM passona._dlt_loads WHERE status = 0)"
        ).fetchall()
    stored = {(uuid, report): tuple(entry) for uuid, report, *entry in rows}
    for (uuid, report), entry in expected.items():
        if stored.get((uuid, report)) != entry:
            raise NotWritten(
                f"campaign {uuid}, {report}: expected its entry in report_ledger after it was written, got "
                "none, or another; the report is due again, run passona load"
            )
