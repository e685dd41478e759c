"""The campaigns in the warehouse: brought up to date with the list, read back for the plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from passona.campaigns import Campaign, CampaignList
from passona.database import Database
from passona.reports import CAMPAIGNS
from passona.schema import TABLES
from passona.source import Package


class CampaignTable:
    """Tables `campaigns` and `campaigns__contact_groups`, of which only what differs is written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def update(self, found: CampaignList, zone: str) -> None:
        """Writes the campaigns that are new or changed; those that left the list are only marked so."""
        self._unlist([campaign.campaign_id for campaign in found.campaigns])
        changed = pa.array(self._changed(found), pa.string())
        if not len(changed):
            return
        self._write(found.rows, found.groups, found.issues, changed, zone)

    def campaigns(self, wanted: Sequence[str]) -> list[Campaign]:
        """The campaigns wanted, or all that are listed. Of one that nobody has heard of the uuid is all there is."""
        known = {c.campaign_id.lower(): c for c in self._all()}
        if not wanted:
            return [campaign for campaign in known.values() if campaign.listed]
        return [known.get(uuid, Campaign(uuid)) for uuid in dict.fromkeys(wanted)]

    def bare_rows(self, ids: Iterable[str]) -> pa.Table | None:
        """Rows with nothing but their uuid for those of these campaigns that have none."""
        missing = sorted(set(ids) - {campaign.campaign_id for campaign in self._all()})
        rows = [{"campaign_id": uuid, "listed": False} for uuid in missing]
        return pa.Table.from_pylist(rows, schema=TABLES["campaigns"].schema) if missing else None

    def _all(self) -> list[Campaign]:
        columns = ", ".join(Campaign.__dataclass_fields__)
        rows = self._database.connection.sql(f"SELECT {columns} FROM passona.campaigns ORDER BY campaign_id")  # noqa: S608  # constant names
        return [Campaign(**row) for row in rows.to_arrow_table().to_pylist()]

    def _unlist(self, ids: list[str]) -> None:
        self._database.connection.execute(
            "UPDATE passona.campaigns SET listed = false "
            "WHERE listed AND campaign_id NOT IN (SELECT unnest(?::VARCHAR[]))",
            [ids],
        )

    def _changed(self, found: CampaignList) -> list[str]:
        """Ids of the campaigns that the warehouse does not hold as the list has them."""
        issues = self._stored("row_issues", f"WHERE report = '{CAMPAIGNS.name}'")
        before = _by_campaign(self._stored("campaigns"), self._stored("campaigns__contact_groups"), issues)
        now = _by_campaign(found.rows, found.groups, found.issues)
        return [uuid for uuid, rows in now.items() if before.get(uuid) != rows]

    def _stored(self, table: str, where: str = "") -> pa.Table:
        stored: pa.Table = self._database.connection.sql(f"SELECT * FROM passona.{table} {where}").to_arrow_table()  # noqa: S608  # constants
        return stored.select([name for name in stored.column_names if not name.startswith("_")])

    def _write(
        self, rows: pa.Table, groups: pa.Table | None, issues: pa.Table | None, ids: pa.Array[Any], zone: str
    ) -> None:
        def own(table: pa.Table | None) -> pa.Table | None:
            return None if table is None else table.filter(pc.is_in(table.column("campaign_id"), value_set=ids))

        self._database.commit(Package(campaigns=own(rows), groups=own(groups), campaign_issues=own(issues)), zone)


def _by_campaign(campaigns: pa.Table, groups: pa.Table, issues: pa.Table) -> dict[str, tuple[Any, ...]]:
    """Row, groups and issues of each campaign, nulls left out: a column it does not have makes no difference."""
    members: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for group in groups.to_pylist():
        members[group["campaign_id"]].append((group["included"], group["position"], group["contact_group_id"]))
    noted: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for issue in issues.to_pylist():
        noted[issue["campaign_id"]].append((issue["column_name"], issue["issue"], issue["raw_value"] or ""))
    return {
        (uuid := row["campaign_id"]): (
            {name: value for name, value in row.items() if value is not None},
            sorted(members[uuid]),
            sorted(noted[uuid]),
        )
        for row in campaigns.to_pylist()
    }
