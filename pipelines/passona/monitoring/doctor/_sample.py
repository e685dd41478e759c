"""Which campaigns are looked at: a few that can change no more, new ones, of both seasons. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from passona.monitoring.doctor._answers import Answer
from passona.monitoring.doctor._zones import seasons
from passona.source.campaigns import Campaign

# Looked at by one page of `delivery` each: the four newest, and two of the other half of the year, in
# which the clocks show another time.
NEWEST, OTHER_SEASON = 4, 2
# Pages of a report that are read at most.
WALKED = 3
_NEVER = datetime.min.replace(tzinfo=UTC)


def sample(campaigns: Sequence[Campaign], now: datetime) -> list[Campaign]:
    """Campaigns that ended, newest first; where none has, those that have begun.

    `now`: in UTC.
    """
    begun = [c for c in campaigns if c.started_sending_at or c.finished_sending_at]
    ended = [c for c in begun if all(date < now for date in (c.finished_sending_at, c.expiry_date) if date)]
    ordered = sorted(ended or begun, key=lambda c: c.started_sending_at or c.created_at or _NEVER, reverse=True)
    newest, older = ordered[:NEWEST], ordered[NEWEST:]
    known = set().union(*map(season, newest))
    others = [campaign for campaign in older if not season(campaign) <= known] or older
    return newest + others[:OTHER_SEASON]


def season(campaign: Campaign) -> set[str]:
    """`summer` or `winter`, when it was sent; nothing where that is unknown."""
    begun = campaign.started_sending_at or campaign.created_at
    return seasons([begun] if begun else [])


def of_other_season(campaigns: Sequence[Campaign], uuids: Sequence[str]) -> list[str]:
    """One campaign more, if all of these were sent in one season and there is one of the other."""
    known = set().union(*(season(campaign) for campaign in campaigns if campaign.campaign_id in uuids))
    return [campaign.campaign_id for campaign in campaigns if not season(campaign) <= known][:1]


def chosen(deliveries: Sequence[Answer]) -> list[str]:
    """Campaigns to be looked at in all reports: the largest, and the largest that is one page."""
    with_rows = [answer for answer in deliveries if answer.rows]
    if not with_rows:
        return [answer.ask.campaign_id for answer in deliveries[:1]]
    large = max(with_rows, key=lambda answer: answer.total or 0)
    whole = [answer for answer in with_rows if answer.page and answer.page.last_page == 1]
    small = max(whole, key=lambda answer: answer.total or 0, default=min(with_rows, key=lambda a: a.total or 0))
    return list(dict.fromkeys((large.ask.campaign_id, small.ask.campaign_id)))
