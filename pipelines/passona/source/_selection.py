"""What one run of the source works on: the campaigns, and their reports that are due.

    list of campaigns, contents of the dataset, SourceRequest -> select -> Selection

Pure.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from passona.config.settings import DEFAULT_ACCOUNT, Settings
from passona.errors import Held
from passona.reports.definitions import Report
from passona.source._destination import Contents
from passona.source.campaigns import Campaign, CampaignList, campaign_values, check_team, list_shrink_error
from passona.source.ledger import INTERRUPTED, Key, Task, plan, since


@dataclass(frozen=True)
class SourceRequest:
    """The arguments of `passona_source` that are not settings."""

    campaigns: Sequence[str] = ()
    since: datetime | None = None
    refresh: bool = False
    accept_shrink: bool = False
    on_failed: Literal["ledger", "raise"] = "ledger"
    forgotten: Sequence[str] = ()


@dataclass(frozen=True)
class Selection:
    """The work of one run.

    `known`: campaigns of the list or the dataset, by id. `tasks`: what is due, most needed first. `listed`: the list
    as it is to be stored, None if it is not. `unlisted`: rows of campaigns that have left the list. `shrink`: why the
    shrink guard holds back the list. `foreign`: campaigns that are left out, because they belong to another account
    and people are forgotten by account: the command line alone can move them.
    """

    known: dict[str, Campaign]
    tasks: list[Task]
    listed: CampaignList | None
    unlisted: pa.Table | None
    shrink: Held | None
    foreign: Sequence[str] = ()


def select(
    campaigns: CampaignList | None,
    contents: Contents,
    request: SourceRequest,
    *,
    reports: Sequence[Report],
    settings: Settings,
    now: datetime,
    refresh: bool,
) -> Selection:
    """Decide what to work on. `campaigns`: None if the list could not be read. `refresh`: everything is due.

    A campaign that is back in the list may have been created again, so its settled reports are reopened in `contents`.

    :raises ConfigurationError: a campaign belongs to another team than `team_uuid`.
    """
    rows = contents.campaigns
    stored = {} if rows is None else {campaign.campaign_id: campaign for campaign in campaign_values(rows)}
    listed = {campaign.campaign_id: campaign for campaign in campaigns.campaigns} if campaigns else {}
    foreign = _foreign(stored, contents, settings) & (listed.keys() | {*request.campaigns})
    listed = {uuid: campaign for uuid, campaign in listed.items() if uuid not in foreign}
    own = {uuid for uuid, campaign in stored.items() if (campaign.account or DEFAULT_ACCOUNT) == settings.account}
    before = {uuid for uuid in own if stored[uuid].listed}
    stayed = before & listed.keys()
    shrink = None
    if campaigns is not None and not request.accept_shrink:
        shrink = list_shrink_error(len(before), len(stayed), len(listed))
    is_stored = campaigns is not None and shrink is None
    if is_stored:
        _reopen(contents, {uuid for uuid in listed.keys() & stored.keys() if not stored[uuid].listed})
    known = stored | listed
    uuids = [uuid for uuid in request.campaigns or sorted(stayed if shrink else listed) if uuid not in foreign]
    wanted = _wanted(known, uuids, request, settings.team_uuid)
    expired = {entry.campaign_id for entry in contents.entries.values() if entry.expired_at is not None}
    kept = [campaign for campaign in wanted if campaign.campaign_id not in expired]
    tasks = plan(kept, contents.entries, reports, settings, now, refresh=refresh)
    if campaigns is not None and not request.campaigns:
        half_written = _half_written(contents)
        ids = {uuid for uuid, _ in half_written} - expired - listed.keys() - (stored.keys() - own)
        absent = [known.get(uuid, Campaign(uuid)) for uuid in sorted(ids)]
        tasks += [task for task in plan(absent, contents.entries, reports, settings, now) if task.key in half_written]
    return Selection(
        known=known,
        tasks=tasks,
        listed=replace(campaigns, campaigns=tuple(listed.values())) if campaigns and is_stored else None,
        unlisted=_unlisted(contents, before - listed.keys()) if is_stored else None,
        shrink=None if request.campaigns else shrink,
        foreign=sorted(foreign),
    )


def _foreign(stored: Mapping[str, Campaign], contents: Contents, settings: Settings) -> set[str]:
    """Return the campaigns of other accounts, if an account has forgotten people whom the others may have."""
    if not contents.forgets_by_account:
        return set()
    return {uuid for uuid, c in stored.items() if (c.account or DEFAULT_ACCOUNT) != settings.account}


def _wanted(
    known: Mapping[str, Campaign], uuids: Iterable[str], request: SourceRequest, team_uuid: str | None
) -> list[Campaign]:
    """Return the campaigns to load; of an unknown one only the uuid is known."""
    campaigns = [known.get(uuid, Campaign(uuid)) for uuid in uuids]
    check_team([campaign for campaign in campaigns if campaign.team_id], team_uuid)
    return since(campaigns, request.since) if request.since else campaigns


def _reopen(contents: Contents, uuids: Collection[str]) -> None:
    for key, entry in contents.entries.items():
        if entry.campaign_id in uuids and entry.state == "settled":
            contents.entries[key] = replace(entry, state="open")


def _half_written(contents: Contents) -> set[Key]:
    """Return the reports that a killed load left half written; they are repaired even after their campaign has left."""
    entries = contents.entries
    return {key for key in contents.filled if key not in entries or entries[key].error == INTERRUPTED}


def _unlisted(contents: Contents, uuids: Collection[str]) -> pa.Table | None:
    rows = contents.campaigns
    if rows is None or not uuids:
        return None
    rows = rows.filter(pc.is_in(rows.column("campaign_id"), value_set=pa.array(sorted(uuids), pa.string())))
    place = rows.schema.get_field_index("listed")
    return rows.set_column(place, "listed", pa.repeat(pa.scalar(False), len(rows)))
