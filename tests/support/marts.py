"""Builds of the marts in this process, and what the marts hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passona.analytics.transform import Transformed, transform
from support.warehouses import Warehouse

MARTS = (
    "campaigns", "messages", "clicks", "links", "devices", "campaign_hours", "campaign_statuses", "unsent_reasons",
    "recipient_fields",
)  # fmt: skip


def build_marts(warehouse: Warehouse, timezones: Mapping[str, str] | None = None, **wanted: Any) -> Transformed:
    return transform(warehouse.address, timezones or {"default": "Europe/London"}, 0, print, **wanted)


def mart_rows(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return {mart: warehouse.rows(f"SELECT * FROM analytics.{mart} ORDER BY ALL") for mart in MARTS}
