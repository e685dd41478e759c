"""What is asked of an account: a few pages of the list, and of the reports of a few campaigns.

    Settings -> Probe -> Sightings

GET alone, and only what a load asks too, but for a page past the end and a campaign that is not there.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import datetime

from passona.config.settings import Settings
from passona.errors import TokenRefused
from passona.monitoring.doctor._answers import Answer, Ask
from passona.monitoring.doctor._probe import Probe
from passona.monitoring.doctor._sample import WALKED, chosen, of_other_season, sample
from passona.monitoring.doctor._sightings import Sightings, good_campaigns
from passona.reports.definitions import ALT_DELIVERY, CAMPAIGNS, CLICKS, DELIVERY, RECIPIENT, REPORTS, SENT
from passona.source.campaigns import campaign_list
from passona.source.client import Client
from passona.source.page_pool import PagePool

# A person waits: a server that does not answer within three tries is told of at once, not in a minute.
ATTEMPTS = 3
# A list of more pages is read in part: its first two and its last.
LIST_PAGES = 6
# One page of the list to begin with, 5 more of it, 3 probes; a page of delivery of 6 campaigns; 5 reports of
# 2 of them; 12 further pages of those, one of another season; 6 pages again or past the end. What is tried again
# comes on top. A server that allows 60 requests a minute answers all at once.
MOST_REQUESTS = 44
# Of version 1, and of 1582: before there was any campaign.
NOBODY = "00000000-0000-1000-8000-000000000000"


def examine(settings: Settings, now: datetime) -> Sightings:
    """What an account shows. `now`: in UTC.

    An address or a token that is wrong is no error here: it is what was seen.
    """
    begun = time.monotonic()
    client = Client(settings, attempts=ATTEMPTS)
    refused = ""
    with PagePool(settings.concurrency) as pool, closing(client):
        probe = Probe(client, pool, settings.page_size)
        try:
            _look(probe, settings, now)
        except TokenRefused as error:
            refused = str(error)
        finally:
            client.stop()
    headers = {name.lower(): value for name, value in client.headers.items()}
    took = time.monotonic() - begun
    return Sightings(settings, tuple(probe.answers), refused, headers, client.requests, took)


def _look(probe: Probe, settings: Settings, now: datetime) -> None:
    (first,) = probe.ask(Ask(CAMPAIGNS.name))
    if not first.is_page:
        return
    _look_at_list(probe, first)
    rows = [row for answer in probe.answers if answer.ask.report == CAMPAIGNS.name for row in answer.rows]
    campaigns = campaign_list(good_campaigns(rows), settings.timezone).campaigns
    looked_at = sample(campaigns, now)
    deliveries = probe.ask(*(Ask(DELIVERY.name, campaign.campaign_id) for campaign in looked_at))
    uuids = chosen(deliveries)
    others = [name for name in REPORTS if name != DELIVERY.name]
    firsts = deliveries + probe.ask(*(Ask(name, uuid) for uuid in uuids for name in others))
    with_rows = {answer.ask.campaign_id for answer in deliveries if answer.rows}
    more = of_other_season([campaign for campaign in looked_at if campaign.campaign_id in with_rows], uuids)
    probe.ask(*_further(firsts, uuids), *(Ask(ALT_DELIVERY.name, uuid) for uuid in more))
    if uuids:
        probe.ask(*_again([answer for answer in firsts if answer.ask.campaign_id == uuids[0]]))


def _look_at_list(probe: Probe, first: Answer) -> None:
    last = first.page.last_page if first.page else 1
    numbers = range(2, last + 1) if last <= LIST_PAGES else (2, last)
    probe.ask(
        *(Ask(CAMPAIGNS.name, page=number) for number in numbers),
        Ask(CAMPAIGNS.name, page=last + 1, purpose="past_end"),
        Ask(CAMPAIGNS.name, purpose="again"),
        Ask(SENT.name, NOBODY, purpose="unknown"),
    )


def _further(firsts: list[Answer], uuids: list[str]) -> list[Ask]:
    """The pages behind the first: some of both delivery reports, the second of those of the largest campaign."""
    walked = {DELIVERY.name: WALKED, ALT_DELIVERY.name: WALKED}
    asks = []
    for answer in firsts:
        name, uuid = answer.ask.report, answer.ask.campaign_id
        if uuid not in uuids or answer.page is None:
            continue
        last = min(answer.page.last_page, walked.get(name, 2 if uuid == uuids[0] else 1))
        asks += [Ask(name, uuid, number) for number in range(2, last + 1)]
    return asks


def _again(firsts: list[Answer]) -> list[Ask]:
    """The largest campaign's pages once more, for their order, and one page past the end."""
    asks = []
    for answer in firsts:
        name, uuid, page = answer.ask.report, answer.ask.campaign_id, answer.page
        if page is None or name not in (DELIVERY.name, ALT_DELIVERY.name, CLICKS.name, RECIPIENT.name):
            continue
        asks += [Ask(name, uuid, purpose="again")]
        if name == DELIVERY.name:
            asks += [Ask(name, uuid, 2, "again")] if page.last_page > 1 else []
            asks += [Ask(name, uuid, page.last_page + 1, "past_end")]
    return asks
