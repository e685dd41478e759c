"""Imports of .csv files in this process, and reports as files."""

from __future__ import annotations

from typing import Any

from passona.config.settings import Settings
from passona.reports.definitions import REPORTS
from passona.warehouse.csv_import import CsvImport, CsvRequest
from passona.warehouse.database import open_database
from passona.warehouse.run import Outcome
from passona_sandbox import Account
from passona_sandbox.mailroom import render
from support.campaigns import ONE
from support.warehouses import Lines, Warehouse


def import_csv(
    warehouse: Warehouse,
    *places: object,
    campaign: str = ONE,
    report: str | None = None,
    settings: Settings | None = None,
    **wishes: Any,
) -> tuple[Outcome, list[str]]:
    """One import in this process, as `passona import-csv` does it, and what it said, its errors last."""
    lines = Lines()
    database = open_database(warehouse.address, 0, lines.notify)
    request = CsvRequest(tuple(map(str, places)), campaign, REPORTS[report] if report else None, **wishes)
    try:
        outcome = CsvImport(settings or Settings("none"), database, request, lines).run()
        return outcome, lines.said + outcome.errors
    finally:
        database.close()


def exported_csv(account: Account, report: str, uuid: str = ONE) -> bytes:
    """The report as the server mails it."""
    return render(report, account.view(uuid, report))
