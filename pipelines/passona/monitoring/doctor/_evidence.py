"""What an account showed, and what a check says about an assumption: holds, broken (and what to do), unclear. Pure."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from passona.config.settings import Settings
from passona.errors import Exit
from passona.monitoring.doctor._requests import Response
from passona.reports.decoding import Row
from passona.reports.definitions import CAMPAIGNS, REPORTS
from passona.source.campaigns import Campaign, campaign_list


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
        return self.first is not None and self.first.page is not None

    def of(self, *reports: str, again: bool = False) -> list[Response]:
        """Return the responses of these reports (default: all but the list): the first ones, or those `again`."""
        names = reports or tuple(REPORTS)
        return [r for r in self.responses if r.request.report in names and r.request.again == again]

    @cached_property
    def listed_rows(self) -> list[Row]:
        """Return the rows of the list."""
        return [row for response in self.of(CAMPAIGNS.name) for row in response.rows]

    @cached_property
    def campaigns(self) -> dict[str, Campaign]:
        """Return the listed campaigns by id."""
        campaigns = campaign_list(loadable(self.listed_rows), self.settings.timezone).campaigns
        return {campaign.campaign_id: campaign for campaign in campaigns}

    def texts(self, report: str, key: str) -> dict[str, list[str]]:
        """Return the texts under a key that are not empty, by campaign."""
        texts: defaultdict[str, list[str]] = defaultdict(list)
        for response in self.of(report):
            values = (row.get(key) for row in response.rows)
            texts[response.request.campaign_id] += [value for value in values if isinstance(value, str) and value]
        return dict(texts)

    def totals(self, report: str) -> dict[str, int]:
        """Return the rows of a whole report according to its first page, by campaign."""
        return {r.request.campaign_id: r.total for r in self.of(report) if r.page and r.request.page == 1}

    @property
    def row_count(self) -> int:
        return sum(len(response.rows) for response in self.of(CAMPAIGNS.name, *REPORTS))


def loadable(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the list that a load could use: the first of each uuid."""
    first_rows: dict[str, Row] = {}
    for row in rows:
        uuid = row.get("uuid")
        if isinstance(uuid, str) and re.fullmatch(r"[0-9A-Za-z-]{1,64}", uuid):
            first_rows.setdefault(uuid, row)
    return list(first_rows.values())


class Verdict(StrEnum):
    """The three outcomes, as `--json` writes them."""

    HOLDS = "holds"
    BROKEN = "does_not_hold"
    UNCLEAR = "cannot_be_told"


@dataclass(frozen=True)
class Finding:
    """What was seen, and what to set or do about it."""

    verdict: Verdict
    seen: str
    to_do: str = ""


def holds(seen: str, to_do: str = "") -> Finding:
    return Finding(Verdict.HOLDS, seen, to_do)


def broken(seen: str, to_do: str) -> Finding:
    return Finding(Verdict.BROKEN, seen, to_do)


def unclear(seen: str, to_do: str = "") -> Finding:
    return Finding(Verdict.UNCLEAR, seen, to_do)


Check = Callable[[Evidence], Finding]


@dataclass(frozen=True)
class Assumption:
    """One assumption and its check. `name` is stable: programs rely on it.

    `matters`: if it is broken, loads fail or their figures are wrong, and doctor ends with `exit_code`.
    Loads cope with any other.
    """

    name: str
    says: str
    check: Check
    matters: bool
    exit_code: Exit


def assumption(says: str, *, matters: bool = False, exit_code: Exit = Exit.FAILED) -> Callable[[Check], Assumption]:
    """Turn a check into the assumption of the same name."""
    return lambda check: Assumption(check.__name__, says, check, matters, exit_code)
