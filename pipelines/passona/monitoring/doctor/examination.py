"""Which requests the doctor sends: pages of the campaign list, and of the reports of a few campaigns.

Only GET, and only what a load also requests.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

from passona.config.settings import Settings
from passona.errors import TokenRefused
from passona.monitoring.doctor._evidence import Evidence, loadable
from passona.monitoring.doctor._requests import Probe, Request, Response
from passona.monitoring.doctor._zones import seasons
from passona.reports.definitions import ALT_DELIVERY, CAMPAIGNS, CLICKS, DELIVERY, RECIPIENT, REPORTS
from passona.source.campaigns import Campaign, campaign_list
from passona.source.client import Client
from passona.source.page_pool import PagePool

# A person waits: report a server that does not answer after three tries, not after a minute.
ATTEMPTS = 3
# Of a longer list only the first two pages and the last are read.
LIST_PAGES = 6
# Campaigns whose first page of `delivery` is read: the newest, and some of the other half of the year,
# in which clocks show another offset.
NEWEST, OTHER_SEASON = 4, 2
# Pages read of both delivery reports.
WALKED = 3
_NEVER = datetime.min.replace(tzinfo=UTC)


def examine(settings: Settings, now: datetime) -> Evidence:
    """Return what the account shows. A wrong address or token is evidence, not an error. `now`: in UTC."""
    started = time.monotonic()
    client = Client(settings, attempts=ATTEMPTS)
    token_refused = ""
    with PagePool(settings.concurrency) as pool, closing(client):
        probe = Probe(client, pool, settings.page_size)
        try:
            _send_all(probe, settings, now)
        except TokenRefused as error:
            token_refused = str(error)
        finally:
            client.stop()
    headers = {name.lower(): value for name, value in client.headers.items()}
    seconds = time.monotonic() - started
    return Evidence(settings, tuple(probe.responses), token_refused, headers, client.requests, seconds)


def _send_all(probe: Probe, settings: Settings, now: datetime) -> None:
    (first,) = probe.send(Request(CAMPAIGNS.name))
    if first.page is None:
        return
    _read_list(probe, first)
    rows = [row for response in probe.responses if response.request.report == CAMPAIGNS.name for row in response.rows]
    sample = _sample(campaign_list(loadable(rows), settings.timezone).campaigns, now)
    deliveries = probe.send(*(Request(DELIVERY.name, campaign.campaign_id) for campaign in sample))
    uuids = _choose(deliveries)
    others = [name for name in REPORTS if name != DELIVERY.name]
    firsts = deliveries + probe.send(*(Request(name, uuid) for uuid in uuids for name in others))
    with_rows = {response.request.campaign_id for response in deliveries if response.rows}
    more = _of_other_season([campaign for campaign in sample if campaign.campaign_id in with_rows], uuids)
    probe.send(*_further_pages(firsts, uuids), *(Request(ALT_DELIVERY.name, uuid) for uuid in more))
    if uuids:
        probe.send(*_again([response for response in firsts if response.request.campaign_id == uuids[0]]))


def _read_list(probe: Probe, first: Response) -> None:
    last = first.page.last_page if first.page else 1
    numbers = range(2, last + 1) if last <= LIST_PAGES else (2, last)
    probe.send(*(Request(CAMPAIGNS.name, page=number) for number in numbers), Request(CAMPAIGNS.name, again=True))


def _sample(campaigns: Sequence[Campaign], now: datetime) -> list[Campaign]:
    """Return some campaigns that have ended (or started, if none has ended), newest first, of both seasons."""
    started = [c for c in campaigns if c.was_sent]
    ended = [c for c in started if all(date < now for date in (c.finished_sending_at, c.expiry_date) if date)]
    ordered = sorted(ended or started, key=lambda c: c.started_sending_at or c.created_at or _NEVER, reverse=True)
    newest, older = ordered[:NEWEST], ordered[NEWEST:]
    others = [campaign for campaign in older if not _season(campaign) <= _season(*newest)] or older
    return newest + others[:OTHER_SEASON]


def _season(*campaigns: Campaign) -> set[str]:
    """Return `summer`, `winter` or both: when the campaigns were sent."""
    return seasons(start for c in campaigns if (start := c.started_sending_at or c.created_at))


def _of_other_season(campaigns: Sequence[Campaign], uuids: Sequence[str]) -> list[str]:
    """Return one more campaign, if all of `uuids` were sent in one season and there is one of the other."""
    covered = _season(*(campaign for campaign in campaigns if campaign.campaign_id in uuids))
    return [campaign.campaign_id for campaign in campaigns if not _season(campaign) <= covered][:1]


def _choose(deliveries: Sequence[Response]) -> list[str]:
    """Return the campaigns whose reports are all read: the largest, and the largest of one page."""
    with_rows = [response for response in deliveries if response.rows]
    if not with_rows:
        return [response.request.campaign_id for response in deliveries[:1]]
    large = max(with_rows, key=lambda response: response.total)
    whole = [response for response in with_rows if response.page and response.page.last_page == 1]
    small = max(whole, key=lambda response: response.total or 0, default=min(with_rows, key=lambda r: r.total))
    return list(dict.fromkeys((large.request.campaign_id, small.request.campaign_id)))


def _further_pages(firsts: Sequence[Response], uuids: Sequence[str]) -> list[Request]:
    """Return requests for the next pages of both delivery reports, and for page 2 of the largest campaign's others."""
    limits = {DELIVERY.name: WALKED, ALT_DELIVERY.name: WALKED}
    requests = []
    for response in firsts:
        name, uuid = response.request.report, response.request.campaign_id
        if uuid in uuids and response.page:
            last = min(response.page.last_page, limits.get(name, 2 if uuid == uuids[0] else 1))
            requests += [Request(name, uuid, number) for number in range(2, last + 1)]
    return requests


def _again(firsts: Sequence[Response]) -> list[Request]:
    """Return requests for the largest campaign's pages again, to compare their order."""
    requests = []
    for response in firsts:
        name, uuid, page = response.request.report, response.request.campaign_id, response.page
        if page and name in (DELIVERY.name, ALT_DELIVERY.name, CLICKS.name, RECIPIENT.name):
            requests.append(Request(name, uuid, again=True))
            if name == DELIVERY.name and page.last_page > 1:
                requests.append(Request(name, uuid, 2, again=True))
    return requests
