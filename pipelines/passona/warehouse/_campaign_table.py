"""The tables of campaigns: compared with the lists of accounts, read by the plan, written with the first package."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from passona.reports.definitions import CAMPAIGNS
from passona.reports.tables import TABLES
from passona.source.campaigns import Campaign, CampaignList, campaign_values, merged
from passona.warehouse._load_package import Package
from passona.warehouse._owners import Owners, Stored
from passona.warehouse.connection import quoted, registered, temp_table
from passona.warehouse.database import Database
from passona.warehouse.ownership import dataset_columns
from passona.warehouse.policy_table import has_forgotten, inherit_forgotten


class CampaignTable:
    """Tables `campaigns` and `campaigns__contact_groups`. Only differences are written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Campaign] = {}
        self.owners = Owners()
        # Lines for people about campaigns that are in several lists, or that moved.
        self.notices: list[str] = []
        # Campaigns of the lists that are new or changed, until they are in a package.
        self._changes: CampaignList | None = None

    @property
    def has_changes(self) -> bool:
        """Return True if campaigns are still to be written."""
        return self._changes is not None

    def read(
        self,
        lists: Mapping[str, CampaignList],
        selected: Collection[str],
        configured: Collection[str],
        *,
        accept_shrink: bool = False,
    ) -> Owners:
        """Compare the lists of accounts with the warehouse. Arguments: as of `Owners`.

        Campaigns that left their account's list are marked at once. While a shrunk list is held, every campaign of its
        account stays listed, and a load of all campaigns asks only for those that are still in the list.
        """
        self.owners = owners = Owners(lists, self._stored(), selected, configured, accept_shrink)
        self.notices = owners.notices
        self._known = _as_loaded(owners)
        self._known |= self._absent_from(list(self._known))
        left = owners.left
        self._unlist(left)
        self._known |= {uuid: replace(self._known[uuid], listed=False) for uuid in left}
        self._inherit_forgotten(owners.moved)
        self._reopen([*owners.back, *self._with_forgotten_people(owners.moved)])
        loaders = owners.loaders.items()
        parts = [lists[name].part([u for u, loader in loaders if loader == name]) for name in owners.accepted]
        self._changes = self._changed_part(parts)
        return owners

    def campaigns(self, account: str, wanted: Sequence[str] = ()) -> list[Campaign]:
        """Return those of the campaigns wanted, or of all listed ones, that this account loads.

        Of an unknown campaign only the uuid is known.
        """
        if not wanted:
            loaders = self.owners.loaders
            return [self._known[uuid] for uuid in sorted(loaders) if loaders[uuid] == account]
        uuids = [uuid for uuid in dict.fromkeys(wanted) if self.owners.loader_of(uuid) == account]
        return [self._known.get(uuid, Campaign(uuid, account)) for uuid in uuids]

    def unlisted(self, uuids: Collection[str], account: str) -> list[Campaign]:
        """Return those of these campaigns that are in no list, and that this account loads."""
        return self.campaigns(account, absent) if (absent := sorted({*uuids} - self.owners.loaders.keys())) else []

    def is_known(self, uuid: str) -> bool:
        """Return True if a list or the warehouse has this campaign."""
        return uuid in self._known

    def is_listed(self, uuid: str) -> bool:
        """Return True if this campaign is in its account's list; while the list is held, in the last accepted one."""
        return uuid in self._known and self._known[uuid].listed

    def forget(self, uuid: str) -> None:
        """Delete the ledger entries of a campaign that does not exist, except of reports that were loaded."""
        self._database.connection.execute(
            "DELETE FROM passona.report_ledger WHERE campaign_id = ? AND verified_at IS NULL AND row_count IS NULL",
            [uuid],
        )

    def add_to(self, package: Package) -> None:
        """Add the changes to a package, and a bare row for each of its walks' campaigns that has none."""
        bare = self._without_row({walk.campaign_id for walk in package.walks})
        rows = pa.Table.from_pylist(
            [{"campaign_id": uuid, "account": package.accounts[uuid], "listed": False} for uuid in sorted(bare)],
            schema=TABLES[CAMPAIGNS.name].schema,
        )
        if self._changes is not None:
            rows = pa.concat_tables([self._changes.rows, rows], promote_options="default")
            package.groups, package.campaign_issues = self._changes.groups, self._changes.issues
            self._changes = None
        package.campaigns = rows if len(rows) else None

    def _without_row(self, ids: Collection[str]) -> set[str]:
        """Return those of these campaigns that neither the warehouse nor the changes have."""
        with temp_table(self._database.connection, campaign_id=sorted(ids)):
            rows = self._database.connection.execute(
                "SELECT campaign_id FROM given WHERE campaign_id NOT IN (SELECT campaign_id FROM passona.campaigns)"
            ).fetchall()
        changed = self._changes.rows.column("campaign_id").to_pylist() if self._changes else []
        return {uuid for (uuid,) in rows}.difference(changed)

    def _stored(self) -> Stored:
        """Return the campaigns in the warehouse: the account of each, and whether it was in the last list."""
        sql = "SELECT campaign_id, account, coalesce(listed, false) FROM passona.campaigns"
        return {uuid: (account, listed) for uuid, account, listed in self._database.connection.execute(sql).fetchall()}

    def _reopen(self, ids: list[str]) -> None:
        """Make settled reports due of campaigns that are back in the list: their content may be new.

        At once, because the package that marks them as listed may be written before their walks.
        """
        with temp_table(self._database.connection, campaign_id=ids):
            self._database.connection.execute(
                "UPDATE passona.report_ledger SET state = 'open' WHERE state = 'settled' AND expired_at IS NULL "
                "AND campaign_id IN (SELECT campaign_id FROM given)"
            )

    def _inherit_forgotten(self, moved: Mapping[str, tuple[str, str]]) -> None:
        """Let accounts keep out the people whom the former accounts of their campaigns have forgotten."""
        for old, new in sorted({*moved.values()}):
            if inherit_forgotten(self._database.connection, old, new):
                self.notices.append(f"account {new} keeps out the people whom {old} has forgotten, too")

    def _with_forgotten_people(self, moved: Mapping[str, tuple[str, str]]) -> list[str]:
        """Return the moved campaigns that may hold rows of people whom their new account has forgotten."""
        forgetful = {new for _, new in {*moved.values()} if has_forgotten(self._database.connection, new)}
        return [uuid for uuid, (_, new) in moved.items() if new in forgetful]

    def _unlist(self, ids: list[str]) -> None:
        with temp_table(self._database.connection, campaign_id=ids):
            self._database.connection.execute(
                "UPDATE passona.campaigns SET listed = false WHERE campaign_id IN (SELECT campaign_id FROM given)"
            )

    def _absent_from(self, ids: list[str]) -> dict[str, Campaign]:
        """Return the campaigns in the warehouse that are none of these."""
        with temp_table(self._database.connection, campaign_id=ids):
            rows = self._database.connection.sql(
                "SELECT * FROM passona.campaigns WHERE campaign_id NOT IN (SELECT campaign_id FROM given)"
            ).to_arrow_table()
        return {campaign.campaign_id: campaign for campaign in campaign_values(rows)}

    def _changed_part(self, lists: Sequence[CampaignList]) -> CampaignList | None:
        """Return the campaigns of these lists that are new or changed, None if there are none."""
        if not lists:
            return None
        listed = merged(lists)
        changed = self._changed(listed).intersection(listed.rows.column("campaign_id").to_pylist())
        return listed.part(sorted(changed)) if changed else None

    def _changed(self, listed: CampaignList) -> set[str]:
        """Return the ids of campaigns whose row, groups or issues differ between list and warehouse."""
        parts = {CAMPAIGNS.name: listed.rows, "campaigns__contact_groups": listed.groups, "row_issues": listed.issues}
        own = dataset_columns(self._database.connection)
        return set().union(*(self._differing(table, rows, own[table]) for table, rows in parts.items()))

    def _differing(self, table: str, rows: pa.Table, own: Sequence[str]) -> set[str]:
        """Return the ids of campaigns of which a table has other rows than these. A missing column counts as NULL."""
        stored = [name for name in own if name[0] != "_"]
        names = sorted({*stored, *rows.column_names})
        where = f"WHERE report = '{CAMPAIGNS.name}'" if "report" in stored else ""
        with registered(self._database.connection, "listed", rows):
            differing = self._database.connection.execute(
                f"""
                WITH new AS (SELECT {_columns(names, rows.column_names)} FROM listed),
                    old AS (SELECT {_columns(names, stored)} FROM passona.{table} {where})
                SELECT DISTINCT campaign_id FROM (
                    (SELECT * FROM new EXCEPT ALL SELECT * FROM old)
                    UNION ALL (SELECT * FROM old EXCEPT ALL SELECT * FROM new)
                ) AS differing
                """  # noqa: S608  # names of ours, and quoted ones
            ).fetchall()
        return {uuid for (uuid,) in differing}


def _as_loaded(owners: Owners) -> dict[str, Campaign]:
    """Return the campaigns of all lists, each as the account has it that loads it."""
    campaigns: dict[str, Campaign] = {}
    for name, listed in owners.lists.items():
        for campaign in listed.campaigns:
            uuid = campaign.campaign_id
            if owners.loaders.get(uuid, name) == name:
                owner = owners.owner(uuid)
                campaigns.setdefault(uuid, campaign if owner == name else replace(campaign, account=owner))
    return campaigns


def _columns(names: Sequence[str], existing: Collection[str]) -> str:
    """Return these columns in SQL, with NULL for those that do not exist."""
    return ", ".join(quoted(name) if name in existing else f"CAST(NULL AS VARCHAR) AS {quoted(name)}" for name in names)
