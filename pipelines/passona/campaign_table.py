"""The campaigns in the warehouse: compared with the list, known to the plan, written with the first package."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from passona.campaigns import Campaign, CampaignList, campaign_values
from passona.database import Database
from passona.reports import CAMPAIGNS
from passona.schema import TABLES
from passona.source import Package
from passona.times import python_values


class CampaignTable:
    """Tables `campaigns` and `campaigns__contact_groups`, of which only what differs is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Campaign] = {}
        # Campaigns of the list that are new or changed, until a package takes them.
        self._due: CampaignList | None = None

    @property
    def waiting(self) -> bool:
        """Whether campaigns wait for a package."""
        return self._due is not None

    def read(self, listed: CampaignList | None) -> None:
        """Takes in what the warehouse holds and what the list says, None if it could not be had.

        Campaigns that left the list are marked so, at once.
        """
        stored = {campaign.campaign_id: campaign for campaign in campaign_values(self._stored("campaigns"))}
        if listed is not None:
            there = {campaign.campaign_id: campaign for campaign in listed.campaigns}
            gone = [uuid for uuid, campaign in stored.items() if campaign.listed and uuid not in there]
            self._unlist(gone)
            stored |= {uuid: replace(stored[uuid], listed=False) for uuid in gone} | there
            changed = self._changed(listed)
            self._due = _part(listed, changed) if changed else None
        self._known = {uuid.lower(): campaign for uuid, campaign in stored.items()}

    def campaigns(self, wanted: Sequence[str]) -> list[Campaign]:
        """The campaigns wanted, or all that are listed. Of one that nobody has heard of the uuid is all there is."""
        if not wanted:
            return sorted((c for c in self._known.values() if c.listed), key=lambda c: c.campaign_id)
        return [self._known.get(uuid, Campaign(uuid)) for uuid in dict.fromkeys(wanted)]

    def add_to(self, package: Package) -> None:
        """Puts into a package what waits, and a bare row for each of its walks' campaigns that has none."""
        bare = {walk.campaign_id for walk in package.walks if walk.campaign_id.lower() not in self._known}
        rows = pa.Table.from_pylist(
            [{"campaign_id": uuid, "listed": False} for uuid in sorted(bare)], schema=TABLES[CAMPAIGNS.name].schema
        )
        self._known |= {uuid.lower(): Campaign(uuid) for uuid in bare}
        if self._due is not None:
            rows = pa.concat_tables([self._due.rows, rows], promote_options="default")
            package.groups, package.campaign_issues = self._due.groups, self._due.issues
            self._due = None
        package.campaigns = rows if len(rows) else None

    def _unlist(self, ids: list[str]) -> None:
        if ids:
            self._database.connection.execute(
                "UPDATE passona.campaigns SET listed = false WHERE campaign_id IN (SELECT unnest(?::VARCHAR[]))", [ids]
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


def _part(found: CampaignList, ids: list[str]) -> CampaignList:
    """What the list says of these campaigns."""
    wanted = pa.array(ids, pa.string())

    def own(table: pa.Table) -> pa.Table:
        return table.filter(pc.is_in(table.column("campaign_id"), value_set=wanted))

    return replace(found, rows=own(found.rows), groups=own(found.groups), issues=own(found.issues))


def _by_campaign(campaigns: pa.Table, groups: pa.Table, issues: pa.Table) -> dict[str, tuple[Any, ...]]:
    """Row, groups and issues of each campaign, nulls left out: a column it does not have makes no difference."""
    members: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for group in groups.to_pylist():
        members[group["campaign_id"]].append((group["included"], group["position"], group["contact_group_id"]))
    noted: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for issue in issues.to_pylist():
        noted[issue["campaign_id"]].append((issue["column_name"], issue["issue"], issue["raw_value"] or ""))
    names = campaigns.column_names
    rows = zip(*map(python_values, campaigns.columns), strict=True)
    return {
        (uuid := row[names.index("campaign_id")]): (
            {name: value for name, value in zip(names, row, strict=True) if value is not None},
            sorted(members[uuid]),
            sorted(noted[uuid]),
        )
        for row in rows
    }
