"""What the ledger of a warehouse says."""

from __future__ import annotations

from typing import Any

from support.warehouses import Warehouse


def ledger_states(warehouse: Warehouse) -> dict[tuple[str, str], str]:
    return {(c, r): s for c, r, s in warehouse.rows("SELECT campaign_id, report, state FROM passona.report_ledger")}


def ledger_columns(warehouse: Warehouse, *columns: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(f"SELECT {', '.join(columns)} FROM passona.report_ledger ORDER BY campaign_id, report")


def assert_whole(warehouse: Warehouse) -> None:
    """Ledger, load packages and rows agree; nothing is doubled."""
    assert warehouse.rows(
        "SELECT * FROM passona.report_ledger WHERE state <> 'open' OR verified_at IS NULL "
        "OR _dlt_load_id NOT IN (SELECT load_id FROM passona._dlt_loads WHERE status = 0)"
    ) == []  # fmt: skip
    for table in ("clicks", "alt_delivery", "unsent"):
        assert warehouse.one(f"SELECT count(*) = count(DISTINCT row_id) FROM passona.{table}") == (True,)
    assert warehouse.one("SELECT count(*) FROM passona.runs WHERE outcome = 'running'") == (0,)
