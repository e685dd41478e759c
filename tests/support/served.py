"""Whether a warehouse holds exactly what the sandbox serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from passona.reports.definitions import REPORTS
from passona_sandbox import Account
from support.oracle import Expected, expected
from support.stored import stored
from support.warehouses import Warehouse

# Of each campaign and report.
Served = dict[tuple[str, str], Counter[Expected]]


def served_by(account: Account, uuids: Iterable[str]) -> Served:
    """What the tables must hold of these campaigns."""
    return {(uuid, report): expected(account.rows(uuid, report)) for uuid in uuids for report in REPORTS}


def assert_holds(warehouse: Warehouse, served: Served) -> int:
    """Every value of every row as served, nothing more and nothing less; how many rows that are."""
    for (uuid, report), rows in served.items():
        assert stored(warehouse.path, uuid, report) == rows, (uuid, report)
    return sum(rows.total() for rows in served.values())


def assert_as_served(warehouse: Warehouse, account: Account, uuids: list[str]) -> int:
    return assert_holds(warehouse, served_by(account, uuids))
