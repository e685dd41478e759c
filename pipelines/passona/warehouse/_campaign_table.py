"""The campaigns in the warehouse: compared with the list, known to the plan, written with the first package."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import pyarrow as pa

from passona.errors import Held
from passona.reports.definitions import CAMPAIGNS
from passona.reports.tables import TABLES
from passona.source.campaigns import Campaign, CampaignList, campaign_values, list_shrunk
from passona.warehouse._load_package import Package
from passona.warehouse.connection import registered, temp_table
from passona.warehouse.database import Database
from passona.warehouse.ownership import own_columns
from passona.warehouse.quoting import quoted


class CampaignTable:
    """Tables `campaigns` and `campaigns__contact_groups`, of which only what differs is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Campaign] = {}
        # Ids of the campaigns that a load of all asks for.
        self._loadable: set[str] = set()
        # Campaigns of the list that are new or changed, until a package takes them.
        self._due: CampaignList | None = None

    @property
    def waiting(self) -> bool:
        """Whether campaigns wait for a package."""
        return self._due is not None

    def read(self, listed: CampaignList | None, *, accept_shrink: bool = False) -> Held | None:
        """Takes in what the warehouse holds and what the list says, None if it could not be had.

        Campaigns that left the list are marked so, at once. Returns why the list is held, if the shrink guard holds
        it: then every campaign stays listed, and a load of all asks for those alone that the list still has.
        """
        there = {campaign.campaign_id: campaign for campaign in listed.campaigns} if listed else {}
        self._known = known = there | self._absent(list(there))
        before = self._listed_before()
        stayed = {uuid for uuid, was_listed in before.items() if was_listed and uuid in there}
        self._loadable = set(there)
        if listed is None:
            return None
        held = None if accept_shrink else list_shrunk(sum(before.values()), len(stayed), len(there))
        if held is not None:
            self._loadable = stayed
        else:
            gone = [uuid for uuid, campaign in known.items() if campaign.listed and uuid not in there]
            self._unlist(gone)
            known |= {uuid: replace(known[uuid], listed=False) for uuid in gone}
            self._reopen([uuid for uuid in there if before.get(uuid) is False])
            changed = self._changed(listed).intersection(there)
            self._due = listed.part(sorted(changed)) if changed else None
        return held

    def campaigns(self, wanted: Sequence[str]) -> list[Campaign]:
        """The campaigns wanted, or all that are listed. Of one that nobody has heard of the uuid is all there is."""
        if not wanted:
            return [self._known[uuid] for uuid in sorted(self._loadable)]
        return [self._known.get(uuid, Campaign(uuid)) for uuid in dict.fromkeys(wanted)]

    def is_known(self, uuid: str) -> bool:
        """Whether the list or the warehouse has this campaign."""
        return uuid in self._known

    def is_listed(self, uuid: str) -> bool:
        """Return True if this campaign is in the list; while the list is held, in the last one that was accepted."""
        return uuid in self._known and self._known[uuid].listed

    def forget(self, uuid: str) -> None:
        """Removes what the ledger says of a campaign that does not exist. Of one that was ever loaded, it says more."""
        self._database.connection.execute(
            "DELETE FROM passona.report_ledger WHERE campaign_id = ? AND verified_at IS NULL AND row_count IS NULL",
            [uuid],
        )

    def add_to(self, package: Package) -> None:
        """Puts into a package what waits, and a bare row for each of its walks' campaigns that has none."""
        bare = self._without_row({walk.campaign_id for walk in package.walks})
        rows = pa.Table.from_pylist(
            [{"campaign_id": uuid, "listed": False} for uuid in sorted(bare)], schema=TABLES[CAMPAIGNS.name].schema
        )
        if self._due is not None:
            rows = pa.concat_tables([self._due.rows, rows], promote_options="default")
            package.groups, package.campaign_issues = self._due.groups, self._due.issues
            self._due = None
        package.campaigns = rows if len(rows) else None

    def _without_row(self, ids: Collection[str]) -> set[str]:
        """Those of these campaigns of which there is no row, neither in the warehouse nor in what waits."""
        with temp_table(self._database.connection, campaign_id=sorted(ids)):
            found = self._database.connection.execute(
                "SELECT campaign_id FROM given WHERE campaign_id NOT IN (SELECT campaign_id FROM passona.campaigns)"
            ).fetchall()
        waiting = self._due.rows.column("campaign_id").to_pylist() if self._due else []
        return {uuid for (uuid,) in found}.difference(waiting)

    def _listed_before(self) -> dict[str, bool]:
        """The campaigns in the warehouse, and whether each was listed at the last look."""
        sql = "SELECT campaign_id, coalesce(listed, false) FROM passona.campaigns"
        return dict(self._database.connection.execute(sql).fetchall())

    def _reopen(self, ids: list[str]) -> None:
        """What had settled of campaigns that are back in the list is due again: they may have been made anew.

        At once: the package that notes that they are back may be written before they are asked for.
        """
        with temp_table(self._database.connection, campaign_id=ids):
            self._database.connection.execute(
                "UPDATE passona.report_ledger SET state = 'open' WHERE state = 'settled' AND expired_at IS NULL "
                "AND campaign_id IN (SELECT campaign_id FROM given)"
            )

    def _unlist(self, ids: list[str]) -> None:
        with temp_table(self._database.connection, campaign_id=ids):
            self._database.connection.execute(
                "UPDATE passona.campaigns SET listed = false WHERE campaign_id IN (SELECT campaign_id FROM given)"
            )

    def _absent(self, ids: list[str]) -> dict[str, Campaign]:
        """The campaigns in the warehouse that are none of these."""
        with temp_table(self._database.connection, campaign_id=ids):
            rows = self._database.connection.sql(
                "SELECT * FROM passona.campaigns WHERE campaign_id NOT IN (SELECT campaign_id FROM given)"
            ).to_arrow_table()
        return {campaign.campaign_id: campaign for campaign in campaign_values(rows)}

    def _changed(self, found: CampaignList) -> set[str]:
        """Ids of the campaigns whose row, groups or issues are not in the warehouse as the list has them."""
        parts = {CAMPAIGNS.name: found.rows, "campaigns__contact_groups": found.groups, "row_issues": found.issues}
        own = own_columns(self._database.connection)
        return set().union(*(self._differing(table, rows, own[table]) for table, rows in parts.items()))

    def _differing(self, table: str, rows: pa.Table, own: Sequence[str]) -> set[str]:
        """Ids of the campaigns of which a table holds other rows than these. No column is as good as nulls in it."""
        connection = self._database.connection
        stored = [name for name in own if name[0] != "_"]
        names = sorted({*stored, *rows.column_names})
        there, here = _columns(names, stored), _columns(names, rows.column_names)
        where = f"WHERE report = '{CAMPAIGNS.name}'" if "report" in stored else ""
        with registered(connection, "listed", rows):
            found = connection.execute(
                f"""
                WITH here AS (SELECT {here} FROM listed), there AS (SELECT {there} FROM passona.{table} {where})
                SELECT DISTINCT campaign_id FROM (
                    (SELECT * FROM here EXCEPT ALL SELECT * FROM there)
                    UNION ALL (SELECT * FROM there EXCEPT ALL SELECT * FROM here)
                ) AS differing
                """  # noqa: S608  # names of ours, and quoted ones
            ).fetchall()
        return {uuid for (uuid,) in found}


def _columns(names: Sequence[str], there: Collection[str]) -> str:
    """These columns, in SQL: null for those that are not there."""
    return ", ".join(quoted(name) if name in there else f"CAST(NULL AS VARCHAR) AS {quoted(name)}" for name in names)
