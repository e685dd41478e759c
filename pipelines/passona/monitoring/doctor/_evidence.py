"""What an account showed: the responses, and their rows as a load would read them. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from passona.config.settings import Settings
from passona.monitoring.doctor._requests import Purpose, Response
from passona.monitoring.doctor._words import shape
from passona.reports.decoding import Row
from passona.reports.definitions import CAMPAIGNS, REPORTS, Report, column_names
from passona.source.campaigns import Campaign, campaign_list
from passona.source.rows import tables, vendor_texts

UUID = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass
class Reading:
    """Counts over the rows of one report. `times` by column, `issues` by column and kind.

    `unreadable`: the shapes of unreadable times. `lists`: rows with field names or values.
    """

    rows: int = 0
    lists: int = 0
    times: Counter[str] = field(default_factory=Counter)
    issues: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    new_keys: set[str] = field(default_factory=set)
    missing_keys: set[str] = field(default_factory=set)

    def issue(self, kind: str) -> dict[str, int]:
        """Return how often this kind of issue occurred, by column."""
        return {column: count for (column, issue), count in self.issues.items() if issue == kind}

    def add_issues(self, issues: Iterable[Mapping[str, str | None]]) -> None:
        """Count rows of the table `row_issues`."""
        for row in issues:
            self.issues[str(row["column_name"]), str(row["issue"])] += 1
            if row["issue"] == "invalid_time":
                self.unreadable[shape(row["raw_value"] or "")] += 1


@dataclass(frozen=True)
class Evidence:
    """Everything the account showed.

    `token_refused`: the error of a 401. `headers`: of the latest response, in lower case. `requests`: how many were
    sent, retries included.
    """

    settings: Settings
    responses: Sequence[Response]
    token_refused: str
    headers: Mapping[str, str]
    requests: int
    seconds: float

    @property
    def first(self) -> Response | None:
        """Return page 1 of the campaign list, None if the token was refused."""
        return self.responses[0] if self.responses else None

    @property
    def reached(self) -> bool:
        """Return True if there is a campaign list; without it only the connection can be judged."""
        return self.first is not None and self.first.is_page

    def of(self, *reports: str, purpose: Purpose = "page") -> list[Response]:
        """Return the responses of these reports (default: all but the list) for this purpose."""
        names = reports or tuple(REPORTS)
        return [r for r in self.responses if r.request.report in names and r.request.purpose == purpose]

    @property
    def pages(self) -> list[Response]:
        """Return all responses that should be pages, of the list and of the reports."""
        return [response for response in self.responses if response.request.purpose in ("page", "again")]

    @cached_property
    def listed_rows(self) -> list[Row]:
        """Return the rows of the list."""
        return [row for response in self.of(CAMPAIGNS.name) for row in response.rows]

    @cached_property
    def campaigns(self) -> dict[str, Campaign]:
        """Return the listed campaigns by id."""
        campaigns = campaign_list(loadable(self.listed_rows), self.settings.timezone).campaigns
        return {campaign.campaign_id: campaign for campaign in campaigns}

    @cached_property
    def readings(self) -> dict[str, Reading]:
        """Return how a load would read the rows of the list and of each report."""
        zone = self.settings.timezone
        readings = {CAMPAIGNS.name: _read_list(loadable(self.listed_rows), zone)}
        for name, report in REPORTS.items():
            readings[name] = _read_report(report, self.of(name), zone)
        return readings

    def rows(self, report: str) -> dict[str, list[Row]]:
        """Return the rows of a report by campaign, as they came."""
        rows: defaultdict[str, list[Row]] = defaultdict(list)
        for response in self.of(report):
            rows[response.request.campaign_id] += response.rows
        return dict(rows)

    def texts(self, report: str, key: str) -> dict[str, list[str]]:
        """Return the texts under a key that are not empty, by campaign."""
        return {
            uuid: [value for row in rows if isinstance(value := row.get(key), str) and value]
            for uuid, rows in self.rows(report).items()
        }

    def totals(self, report: str) -> dict[str, int]:
        """Return the rows of a whole report according to its first page, by campaign."""
        first_pages = (response for response in self.of(report) if response.request.page == 1)
        return {r.request.campaign_id: r.total for r in first_pages if r.total is not None}

    @property
    def row_count(self) -> int:
        return sum(len(response.rows) for response in self.of(CAMPAIGNS.name, *REPORTS))


def loadable(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the list that a load could use: the first of each uuid."""
    first_rows: dict[str, Row] = {}
    for row in rows:
        uuid = row.get("uuid")
        if isinstance(uuid, str) and UUID.fullmatch(uuid):
            first_rows.setdefault(uuid, row)
    return list(first_rows.values())


def _read_report(report: Report, responses: Sequence[Response], zone: str) -> Reading:
    reading = Reading()
    for response in responses:
        if not response.rows:
            continue
        campaign_id = response.request.campaign_id
        texts = vendor_texts(report, campaign_id, response.rows)
        typed = tables(report, campaign_id, [texts.batch], zone, column_names(report, texts.new_keys))
        reading.rows += len(response.rows)
        for column in report.columns:
            if column.kind == "time":
                values = texts.batch.column(column.key)
                reading.times[column.name] += len(values) - values.null_count
        reading.lists += sum(any(row.get(column.key) for column in report.lists or ()) for row in response.rows)
        reading.new_keys |= texts.new_keys
        reading.missing_keys |= texts.missing_keys
        reading.add_issues(typed.issues.to_pylist())
    return reading


def _read_list(rows: Sequence[Row], zone: str) -> Reading:
    campaigns = campaign_list(rows, zone)
    columns = [column for column in CAMPAIGNS.columns if column.kind == "time"]
    reading = Reading(len(rows), new_keys=set(campaigns.new_keys), missing_keys=set(campaigns.missing_keys))
    reading.times.update({column.name: sum(bool(row.get(column.key)) for row in rows) for column in columns})
    reading.add_issues(campaigns.issues.to_pylist())
    return reading
