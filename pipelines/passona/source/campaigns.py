"""The list of campaigns from the API, as values for the plan and as the rows of two tables.

    GET campaigns -> Paginator -> CampaignList

Facts: `uuid` names the campaign in the addresses of its reports; dates are civil times of the account's zone, missing
ones are ""; contact groups are lists of uuids (fixtures of the vendor's SDK). A uuid is case-insensitive: ids are
stored and compared in lower case, requests use the spelling of the list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from operator import itemgetter

import pyarrow as pa
import pyarrow.compute as pc

from passona.config.settings import DEFAULT_ACCOUNT, Settings
from passona.errors import ConfigurationError, Held, PageRefused, PassonaError, RequestFailed, Unreachable, WalkFailed
from passona.masking.policy import CLEAR, Privacy
from passona.reports.decoding import Row, all_values, is_storable, json_text, with_value, without_keys
from passona.reports.definitions import CAMPAIGNS, Report, column_names
from passona.reports.tables import GROUPS, ISSUES
from passona.reports.times import python_values
from passona.source.client import Client
from passona.source.page_pool import PagePool
from passona.source.paginator import Paginator
from passona.source.rows import text_of, type_rows, vendor_texts
from passona.source.walk import REFUSED, WALK_PAUSES, Walk

# From so many listed campaigns on, a list with fewer than half of them is held back; a shorter one may well halve.
GUARDED_FROM = 4
NameKeys = Callable[[Report, Iterable[str]], dict[str, str]]
_GROUP_KEYS = {"included_contact_groups": True, "excluded_contact_groups": False}


@dataclass(frozen=True)
class Campaign:
    """A campaign as the plan sees it; all instants in UTC, None if unknown.

    `account`: whose list has it, or had it last. `spelling`: its uuid as the list writes it, if different from its id.
    """

    campaign_id: str
    account: str | None = None
    team_id: str | None = None
    name: str | None = None
    scheduled_send_date: datetime | None = None
    started_sending_at: datetime | None = None
    finished_sending_at: datetime | None = None
    expiry_date: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    listed: bool = False
    spelling: str | None = None

    @property
    def address(self) -> str:
        """The uuid in the addresses of its reports."""
        return self.spelling or self.campaign_id

    @property
    def was_sent(self) -> bool:
        return self.started_sending_at is not None or self.finished_sending_at is not None

    @cached_property
    def latest_date(self) -> datetime | None:
        return max((date for name in _DATES if (date := getattr(self, name)) is not None), default=None)

    def not_started(self, now: datetime) -> bool:
        """Return True if nothing can have been sent yet, by its dates: the status number is undocumented."""
        if not self.listed or self.started_sending_at or self.finished_sending_at:
            return False
        dates = [date for date in (self.scheduled_send_date, self.expiry_date) if date is not None]
        # Without a readable date this is unknown: better a request too many than rows too few.
        return bool(dates) and all(date > now for date in dates)


_DATES = (
    "scheduled_send_date", "started_sending_at", "finished_sending_at", "expiry_date", "created_at", "updated_at",
)  # fmt: skip
_STORED = tuple(name for name in Campaign.__dataclass_fields__ if name != "spelling")


@dataclass(frozen=True)
class CampaignList:
    """The list at one time: values for the plan, tables for the warehouse.

    `new_keys`, `missing_keys`: how its rows differ from the guide.
    """

    campaigns: tuple[Campaign, ...]
    rows: pa.Table
    groups: pa.Table
    issues: pa.Table
    new_keys: frozenset[str]
    missing_keys: frozenset[str]

    def part(self, ids: Sequence[str]) -> CampaignList:
        """Return the rows of these campaigns."""
        uuids = pa.array(ids, pa.string())

        def part(table: pa.Table) -> pa.Table:
            return table.filter(pc.is_in(table.column("campaign_id"), value_set=uuids))

        return replace(self, rows=part(self.rows), groups=part(self.groups), issues=part(self.issues))


def list_campaigns(
    client: Client, pool: PagePool, settings: Settings, privacy: Privacy = CLEAR, name_keys: NameKeys = column_names
) -> CampaignList:
    """Return all campaigns of the token's team.

    `privacy`: what may be stored of keys that the guide does not know. `name_keys`: names the columns of these keys.

    :raises WalkFailed: the list cannot be read completely.
    :raises ConfigurationError: a campaign belongs to another team than `team_uuid`.
    :raises TokenRefused: 401.
    """
    listed = list_of_rows(list_rows(client, pool, settings), settings, privacy, name_keys)
    check_team(listed.campaigns, settings.team_uuid)
    return listed


def list_of_rows(
    rows: Sequence[Row], settings: Settings, privacy: Privacy = CLEAR, name_keys: NameKeys = column_names
) -> CampaignList:
    """Return the list of these rows (`list_rows`). Pure."""
    # Of two spellings of a uuid, the one in lower case counts, whichever comes first.
    by_uuid = {row["uuid"].lower(): row for row in sorted(rows, key=itemgetter("uuid"))}
    spellings = {uuid: row["uuid"] for uuid, row in by_uuid.items() if row["uuid"] != uuid}
    lowered = [with_value(row, "uuid", uuid) if uuid in spellings else row for uuid, row in by_uuid.items()]
    result = campaign_list(lowered, settings.timezone, privacy, name_keys, account=settings.account)
    spelled = (replace(campaign, spelling=spellings.get(campaign.campaign_id)) for campaign in result.campaigns)
    return replace(result, campaigns=tuple(spelled))


def unknown_campaign(campaign_id: str, results: Sequence[Walk | PassonaError], *, has_list: bool) -> WalkFailed | None:
    """Return the error of a campaign that does not exist, None if the server may know it.

    `results`: of the walks of all its reports, none with a row; some servers answer as if the campaign had no rows.
    `has_list`: the list could be read, and lacks the campaign.
    """
    failed = [result for result in results if isinstance(result, WalkFailed)]
    refused = [error.status for error in failed if error.status in REFUSED]
    is_denied = refused or not failed if has_list else len(refused) == len(results)
    if not results or not is_denied:
        return None
    seen = ["not in the list"] * has_list + [f"status {refused[0]}" if refused else "no rows"]
    return WalkFailed(
        f"campaign {campaign_id}: the account has no such campaign ({', '.join(seen)}); check the uuid and the team "
        "that the token is switched to"
    )


def list_shrink_error(before: int, stayed: int, now: int) -> Held | None:
    """Return the error if the shrink guard holds back a list (contract, rule 3).

    `before`: number of campaigns that were listed; `stayed`: those still in the list; `now`: all in the list.
    """
    if not before or (now and (before < GUARDED_FROM or stayed * 2 >= before)):
        return None
    return Held(
        f"list of campaigns: expected most of the {before} that were listed, got {stayed} of them; all stay listed; "
        "check the team that the token is switched to, --accept-shrink takes the new list"
    )


def check_team(campaigns: Sequence[Campaign], team_uuid: str | None) -> None:
    """Check that all campaigns belong to this team, if one is configured.

    :raises ConfigurationError: a campaign belongs to another team.
    """
    strangers = {c.team_id for c in campaigns if team_uuid and (c.team_id or "").lower() != team_uuid.lower()}
    if strangers:
        raise ConfigurationError(
            f"campaigns: expected those of team {team_uuid} (sources.passona.team_uuid), got some of team "
            f"{min(map(str, strangers))}; switch the token's team back, nothing was loaded"
        )


def merged(lists: Sequence[CampaignList]) -> CampaignList:
    """Return the rows of several lists, none with a campaign of another."""
    if len(lists) == 1:
        return lists[0]
    tables = ([each.rows for each in lists], [each.groups for each in lists], [each.issues for each in lists])
    rows, groups, issues = (pa.concat_tables(parts, promote_options="default") for parts in tables)
    new_keys, missing_keys = (
        frozenset().union(*(getattr(each, name) for each in lists)) for name in ("new_keys", "missing_keys")
    )
    campaigns = tuple(campaign for each in lists for campaign in each.campaigns)
    return CampaignList(campaigns, rows, groups, issues, new_keys, missing_keys)


def list_rows(client: Client, pool: PagePool, settings: Settings) -> list[Row]:
    """Return the rows of a complete walk over the list; walk again if it is not steady.

    :raises WalkFailed: the list cannot be read completely.
    :raises TokenRefused: 401.
    """
    paginator = Paginator(client, pool, CAMPAIGNS.name, settings.page_size)
    reason = ""
    for pause in (0, *WALK_PAUSES):
        client.pace.sleep(settings.retry_pause * pause)
        try:
            first = paginator.first()
            rows = first.rows + [row for page in paginator.rest(first) for row in page.rows]
            _check(rows)
        except PageRefused as refusal:
            reason = str(refusal)
            if refusal.page_size:
                paginator.ask_plain()
        except RequestFailed as error:
            if not error.reached:
                raise Unreachable(f"list of campaigns: {error}") from None
            raise WalkFailed(f"list of campaigns: {error}") from None
        else:
            return rows
    raise WalkFailed(f"list of campaigns: {reason} (walked {len(WALK_PAUSES) + 1} times)")


def _check(rows: Sequence[Row]) -> None:
    seen = set()
    for row in rows:
        uuid = row.get("uuid")
        if len(all_values(row, "uuid")) > 1:
            raise PageRefused("one uuid in each campaign", "a campaign with two")
        if not isinstance(uuid, str) or not re.fullmatch(r"[0-9A-Za-z-]{1,64}", uuid):
            raise PageRefused("a uuid in each campaign", "a campaign without one")
        if uuid in seen:
            raise PageRefused("each campaign once", f"campaign {uuid} twice (the list moved between two pages)")
        seen.add(uuid)


def campaign_list(
    rows: Sequence[Row],
    zone: str,
    privacy: Privacy = CLEAR,
    name_keys: NameKeys = column_names,
    *,
    account: str = DEFAULT_ACCOUNT,
) -> CampaignList:
    """Convert rows of an account's list to values and tables. Pure."""
    plain = [without_keys(row, _GROUP_KEYS) for row in rows]
    # These row ids only join the issues: campaigns have a key of their own.
    texts = vendor_texts(CAMPAIGNS, "", plain, privacy)
    typed = type_rows(CAMPAIGNS, "", [texts.batch], zone, name_keys(CAMPAIGNS, texts.new_keys))
    uuids = dict(zip(typed.parent.column("row_id").to_pylist(), (row["uuid"] for row in rows), strict=True))
    issues = [(uuids[i["row_id"]], i["column_name"], i["raw_value"], i["issue"]) for i in typed.issues.to_pylist()]
    groups, group_issues = _groups(rows, privacy)
    # The column campaign_id is the row's own uuid here.
    parent = (
        typed.parent.drop_columns("row_id")
        .append_column("account", pa.repeat(pa.scalar(account), len(rows)))
        .append_column("listed", pa.repeat(pa.scalar(True), len(rows)))
    )
    missing = texts.missing_keys.union(*(_GROUP_KEYS.keys() - row.keys() for row in rows))
    return CampaignList(
        campaign_values(parent), parent, groups, _issue_table(issues + group_issues), texts.new_keys, missing
    )


def campaign_values(parent: pa.Table) -> tuple[Campaign, ...]:
    columns = parent.select(list(_STORED)).columns
    return tuple(Campaign(*cells) for cells in zip(*map(python_values, columns), strict=True))


def _groups(rows: Sequence[Row], privacy: Privacy) -> tuple[pa.Table, list[tuple[str, str, str | None, str]]]:
    members: list[dict[str, object]] = []
    issues: list[tuple[str, str, str | None, str]] = []
    for row in rows:
        for key, included in _GROUP_KEYS.items():
            *earlier, last = all_values(row, key)
            issues += [
                (row["uuid"], key, privacy.mismatched_value(json_text(value)), "repeated_key") for value in earlier
            ]
            groups = last or []
            if not isinstance(groups, list) or not all(is_storable(group) for group in groups):
                raw = text_of(groups)
                issues.append((row["uuid"], key, raw and privacy.mismatched_value(raw), "unexpected_type"))
                continue
            members += [
                {"campaign_id": row["uuid"], "position": position, "contact_group_id": group, "included": included}
                for position, group in enumerate(groups, 1)
            ]
    return pa.Table.from_pylist(members, schema=GROUPS), issues


def _issue_table(issues: Sequence[tuple[str, str, str | None, str]]) -> pa.Table:
    rows = [
        {"campaign_id": uuid, "report": CAMPAIGNS.name, "column_name": column, "raw_value": raw, "issue": issue}
        for uuid, column, raw, issue in issues
    ]
    return pa.Table.from_pylist(rows, schema=ISSUES)
