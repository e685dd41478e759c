"""The tables of campaigns: compared with the lists of accounts, read by the plan, written with the first package."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from passona.errors import Held
from passona.masking.messages import counted
from passona.reports.definitions import CAMPAIGNS
from passona.reports.tables import TABLES
from passona.source.campaigns import Campaign, CampaignList, campaign_values, list_shrink_error, merged
from passona.warehouse._load_package import Package
from passona.warehouse.connection import quoted, registered, temp_table
from passona.warehouse.database import Database
from passona.warehouse.ownership import dataset_columns

# By campaign its account, and whether it was in the last list.
_Stored = dict[str, tuple[str | None, bool]]


class CampaignTable:
    """Tables `campaigns` and `campaigns__contact_groups`. Only differences are written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Campaign] = {}
        # By campaign, the account that loads it in a load of all campaigns.
        self._loaders: dict[str, str] = {}
        self._selected: Collection[str] = ()
        self._configured: Collection[str] = ()
        # Campaigns of the lists that are new or changed, until they are in a package.
        self._changes: CampaignList | None = None
        self.notices: list[str] = []

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
    ) -> dict[str, Held]:
        """Compare the lists of accounts with the warehouse. Return the errors of lists that shrank, by account.

        `lists`: those that could be read, in the order of the accounts. `selected`: accounts of this run; `configured`:
        all accounts. Campaigns that left their account's list are marked at once. While a shrunk list is held, every
        campaign of its account stays listed, and a load of all campaigns asks only for those that are still in the
        list. `notices` tells of campaigns that are in several lists.
        """
        self._selected, self._configured = selected, configured
        stored = self._stored()
        listed_by = _listed_by(lists)
        held = {} if accept_shrink else _shrunk(lists, stored, listed_by)
        self._loaders = {
            uuid: loader
            for uuid, accounts in listed_by.items()
            if (loader := self._loader(stored.get(uuid, (None, False)), accounts, held))
        }
        self.notices = _notices(listed_by, self._loaders)
        self._known = self._in_lists(lists, stored)
        self._known |= self._absent_from(list(self._known))
        accepted = [name for name in lists if name not in held]
        left = [
            uuid
            for uuid, (owner, was_listed) in stored.items()
            if was_listed and owner in accepted and uuid not in self._loaders and owner not in listed_by.get(uuid, ())
        ]
        self._unlist(left)
        self._known |= {uuid: replace(self._known[uuid], listed=False) for uuid in left}
        parts = [lists[name].part([u for u, loader in self._loaders.items() if loader == name]) for name in accepted]
        back = [
            uuid for uuid, (_, was_listed) in stored.items() if not was_listed and self._loaders.get(uuid) in accepted
        ]
        self._reopen(back)
        self._changes = self._changed_part(parts)
        return held

    def _in_lists(self, lists: Mapping[str, CampaignList], stored: _Stored) -> dict[str, Campaign]:
        """Return the campaigns of all lists, each as the account has it that loads it."""
        campaigns: dict[str, Campaign] = {}
        for name, listed in lists.items():
            for campaign in listed.campaigns:
                uuid = campaign.campaign_id
                owner = self._loaders.get(uuid) or stored.get(uuid, (None, False))[0]
                if owner in (None, name) or owner not in lists:
                    campaigns.setdefault(uuid, replace(campaign, account=owner or name))
        return campaigns

    def _loader(self, stored: tuple[str | None, bool], accounts: Sequence[str], held: Collection[str]) -> str | None:
        """Return the account that loads a campaign which these accounts list; None if it is not loaded in this run.

        The account that it belongs to, as long as that lists it, otherwise the first one. A list that is held proves
        only that campaigns that were listed before are still there.
        """
        owner, was_listed = stored
        if owner in accounts and (owner not in held or was_listed):
            return owner
        if owner in self._configured and owner not in self._selected:
            return None
        return next((name for name in accounts if name not in held), None)

    def campaigns(self, account: str, wanted: Sequence[str] = ()) -> list[Campaign]:
        """Return those of the campaigns wanted, or of all listed ones, that this account loads.

        Of an unknown campaign only the uuid is known.
        """
        if not wanted:
            return [self._known[uuid] for uuid in sorted(self._loaders) if self._loaders[uuid] == account]
        uuids = [uuid for uuid in dict.fromkeys(wanted) if self._loader_of(uuid) == account]
        return [self._known.get(uuid, Campaign(uuid, account)) for uuid in uuids]

    def unlisted(self, uuids: Collection[str], account: str) -> list[Campaign]:
        """Return those of these campaigns that are in no list, and that this account loads."""
        return [
            self._known.get(uuid, Campaign(uuid, account))
            for uuid in sorted(uuids)
            if uuid not in self._loaders and self._loader_of(uuid) == account
        ]

    def _loader_of(self, uuid: str) -> str | None:
        """Return the account that loads a campaign if the user names it; None if it is to be asked of none."""
        owner = self._known[uuid].account if uuid in self._known else None
        if loader := self._loaders.get(uuid):
            return loader
        if owner in self._configured:
            return owner if owner in self._selected else None
        return next(iter(self._selected)) if len(self._selected) == 1 else None

    def why_not(self, uuid: str) -> str | None:
        """Return why no account of this run loads a campaign that the user named; None if one does."""
        if self._loader_of(uuid) is not None:
            return None
        owner = self._known[uuid].account if uuid in self._known else None
        if owner in self._configured:
            return f"it belongs to account {owner}, which this run does not load; --account {owner} does"
        return "no account lists it; check the uuid, or name the account that has it with --account NAME"

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

    def _stored(self) -> _Stored:
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


def _listed_by(lists: Mapping[str, CampaignList]) -> dict[str, list[str]]:
    """Return by campaign the accounts that list it, in their order."""
    listed_by: dict[str, list[str]] = {}
    for name, listed in lists.items():
        for campaign in listed.campaigns:
            listed_by.setdefault(campaign.campaign_id, []).append(name)
    return listed_by


def _shrunk(lists: Mapping[str, CampaignList], stored: _Stored, listed_by: Collection[str]) -> dict[str, Held]:
    """Return the errors of lists that the shrink guard holds. A campaign that another account lists is not lost."""
    held = {}
    for name, listed in lists.items():
        before = {uuid for uuid, (owner, was_listed) in stored.items() if owner == name and was_listed}
        stayed = before.intersection(listed_by)
        shrink = list_shrink_error(len(before), len(stayed), len(stayed.union(c.campaign_id for c in listed.campaigns)))
        if shrink is not None:
            held[name] = shrink
    return held


def _notices(listed_by: Mapping[str, Sequence[str]], loaders: Mapping[str, str]) -> list[str]:
    """Return a line for each set of accounts that list the same campaigns, and for the account that loads them."""
    several = ((uuid, names) for uuid, names in listed_by.items() if len(names) > 1 and uuid in loaders)
    shared = Counter((tuple(names), loaders[uuid]) for uuid, names in several)
    return [
        f"{counted(number, 'campaign')} in the lists of {' and '.join(names)}: loaded once, by account {loader}"
        for (names, loader), number in shared.items()
    ]


def _columns(names: Sequence[str], existing: Collection[str]) -> str:
    """Return these columns in SQL, with NULL for those that do not exist."""
    return ", ".join(quoted(name) if name in existing else f"CAST(NULL AS VARCHAR) AS {quoted(name)}" for name in names)
