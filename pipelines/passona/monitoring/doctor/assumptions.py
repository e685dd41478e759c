"""All assumptions in the order in which they are told, and what each judge says of them. Pure but for one seed."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

from passona.errors import Exit
from passona.monitoring.doctor import _clocks as clocks
from passona.monitoring.doctor import _connection as connection
from passona.monitoring.doctor import _contents as contents
from passona.monitoring.doctor import _messages as messages
from passona.monitoring.doctor import _paging as paging
from passona.monitoring.doctor._findings import Assumption, Diagnosis, unclear
from passona.monitoring.doctor._sightings import Sightings

# What can be told where the list of campaigns could not be had; of all else nothing.
_ALWAYS = ("address", "token", "rate_limit")
NOTHING = unclear("the list of campaigns could not be had")


def assumptions(statuses: frozenset[str]) -> tuple[Assumption, ...]:
    """The list. `statuses`: values of Status that the marts know, in lower case."""
    return (
        Assumption("address", "base_url is the API's", connection.address, matters=True),
        Assumption("token", "the token is accepted", connection.token, matters=True, exit_code=Exit.TOKEN),
        Assumption("team", "all campaigns are of one team, yours", connection.team, matters=True),
        Assumption("campaign_ids", "each campaign has a uuid of its own", paging.campaign_ids, matters=True),
        Assumption("reports", "the reports of listed campaigns can be had", connection.reports, matters=True),
        Assumption("error_shape", "errors say why", connection.errors),
        Assumption("unknown_campaign", "a campaign that is gone is an error", connection.unknown_campaign),
        Assumption("rate_limit", "a limit is announced in a way that loads obey", connection.rate_limit),
        Assumption("per_page_list", "the list grants page_size", paging.per_page_list),
        Assumption("per_page_reports", "reports grant page_size", paging.per_page_reports),
        Assumption("links", "links.next leads to the next page", paging.links, matters=True),
        Assumption("pages", "pages are whole and agree on the total", paging.pages, matters=True),
        Assumption("empty_report", "an empty report is one page without rows", paging.empty_report, matters=True),
        Assumption("past_end", "a page past the end is 200 without rows", paging.past_end),
        Assumption("order", "rows come in the same order again", paging.order, matters=True),
        Assumption("zone_of_list", "the list's times are of timezone", clocks.zone_of_list, matters=True),
        Assumption("zone_of_expiry", "expiry_date is Expiry_Date, by timezone", clocks.zone_of_expiry, matters=True),
        Assumption("zone_of_reports", "the reports' times are of timezone", clocks.zone_of_reports, matters=True),
        Assumption("readable_times", "times have a form that is known", clocks.readable_times, matters=True),
        Assumption("message_ids", "SMS_ID and MessageId are the same", messages.message_ids, matters=True),
        Assumption("message_key", "each message has an id of its own", messages.message_key, matters=True),
        Assumption("sent_message_id", "MessageId of sent is the campaign's", messages.sent_message_id),
        Assumption("unsent_message_id", "MessageId of unsent is the campaign's", messages.unsent_message_id),
        Assumption("batches", "a row of sent is a batch of messages", messages.batches),
        Assumption("new_keys", "rows have no keys but the guide's", contents.new_keys),
        Assumption("missing_keys", "rows have all the guide's keys", contents.missing_keys, matters=True),
        Assumption("types", "values are texts, counts are numbers", contents.types, matters=True),
        Assumption("phones", "phones are digits alone", contents.phones),
        Assumption("lists", "names and values can be split at commas", contents.lists),
        Assumption("statuses", "every Status is in message_statuses.csv", partial(contents.statuses, known=statuses)),
        Assumption("reasons", "Reason takes a few values", contents.reasons),
        Assumption("campaign_statuses", "status 0 is not started, 2 finished", contents.campaign_statuses),
    )


def diagnose(seen: Sightings, statuses: frozenset[str]) -> Diagnosis:
    """What was seen, held against every assumption."""
    found = [
        (each, each.judge(seen) if seen.reached or each.name in _ALWAYS else NOTHING) for each in assumptions(statuses)
    ]
    return Diagnosis(seen, found)


def known_statuses(project: Path) -> frozenset[str]:
    """Values of Status that the dbt project in this folder knows, in lower case."""
    with (project / "seeds" / "message_statuses.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(row["status"] for row in csv.DictReader(file))
