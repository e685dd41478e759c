"""What an account showed: the answers, and what the loads would make of their rows. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from passona.config.settings import Settings
from passona.monitoring.doctor._answers import Answer, Purpose
from passona.monitoring.doctor._readings import Reading, list_reading, reading
from passona.reports.decoding import Row
from passona.reports.definitions import CAMPAIGNS, REPORTS
from passona.source.campaigns import Campaign, campaign_list

_UUID = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True)
class Sightings:
    """Everything that was seen. `token_refused`: the words of a 401. `headers`: of the latest answer, in
    lower case. `requests`: how many were sent, those tried again included.
    """

    settings: Settings
    answers: Sequence[Answer]
    token_refused: str
    headers: Mapping[str, str]
    requests: int
    seconds: float

    @property
    def first(self) -> Answer | None:
        """Page 1 of the list of campaigns; None where the token was refused before it came."""
        return self.answers[0] if self.answers else None

    @property
    def reached(self) -> bool:
        """Whether the list of campaigns could be had, so that there is anything to judge by."""
        return self.first is not None and self.first.is_page

    def of(self, *reports: str, purpose: Purpose = "page") -> list[Answer]:
        """The answers of these reports (none: of all but the list), for this purpose."""
        wanted = reports or tuple(REPORTS)
        return [answer for answer in self.answers if answer.ask.report in wanted and answer.ask.purpose == purpose]

    @property
    def pages(self) -> list[Answer]:
        """All answers that ought to be pages, of the list and of the reports."""
        return [answer for answer in self.answers if answer.ask.purpose in ("page", "again")]

    @cached_property
    def listed_rows(self) -> list[Row]:
        """Rows of the list, of the pages that were read."""
        return [row for answer in self.of(CAMPAIGNS.name) for row in answer.rows]

    @cached_property
    def campaigns(self) -> dict[str, Campaign]:
        """The campaigns of the list that have a name, by it."""
        found = campaign_list(good_campaigns(self.listed_rows), self.settings.timezone)
        return {campaign.campaign_id: campaign for campaign in found.campaigns}

    @cached_property
    def readings(self) -> dict[str, Reading]:
        """How the loads would read the rows that were seen, by report, the list's among them."""
        zone = self.settings.timezone
        read = {CAMPAIGNS.name: list_reading(good_campaigns(self.listed_rows), zone)}
        for name, report in REPORTS.items():
            read[name] = reading(report, [(a.ask.campaign_id, a.rows) for a in self.of(name)], zone)
        return read

    def rows(self, report: str) -> dict[str, list[Row]]:
        """Rows of a report as they came, by campaign."""
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for answer in self.of(report):
            found[answer.ask.campaign_id] += answer.rows
        return dict(found)

    def totals(self, report: str) -> dict[str, int]:
        """Rows that a report has in all, as its first page tells, by campaign."""
        return {
            answer.ask.campaign_id: answer.total
            for answer in self.of(report)
            if answer.ask.page == 1 and answer.total is not None
        }

    @property
    def row_count(self) -> int:
        return sum(len(answer.rows) for answer in self.of(CAMPAIGNS.name, *REPORTS))


def good_campaigns(rows: Sequence[Row]) -> list[Row]:
    """Rows of the list that a load could take: with a uuid that no other row before has."""
    found: dict[str, Row] = {}
    for row in rows:
        uuid = row.get("uuid")
        if isinstance(uuid, str) and _UUID.fullmatch(uuid):
            found.setdefault(uuid, row)
    return list(found.values())
