"""One request and what came back, whatever it was. Pure: bytes in, values out.

A page that a load would refuse is kept with the reason, and with those of its rows that are plain, so
that one fault does not hide all else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from passona.errors import PageRefused
from passona.reports.decoding import NotJSON, Row, TooDeep, decode
from passona.reports.definitions import CAMPAIGNS
from passona.source.pages import Page, read_page

Purpose = Literal["page", "again", "past_end", "unknown"]

_PLAIN = (str, int, type(None))


@dataclass(frozen=True)
class Ask:
    """One request. `purpose`: a page to read, the same page again, one past the end, a campaign that is not there."""

    report: str
    campaign_id: str = ""
    page: int = 1
    purpose: Purpose = "page"

    @property
    def path(self) -> str:
        """The address below the base address."""
        return CAMPAIGNS.name if self.report == CAMPAIGNS.name else f"reporting/{self.campaign_id}/{self.report}"


@dataclass(frozen=True)
class Answer:
    """What came of a request. `page` is None where a load would refuse it, and `trouble` says why.

    `status`: None if no answer came at all. `asked`: rows a page asked for, None if the request left it to
    the server. `plain`: it was left to the server because the server had answered the big page with an error.
    """

    ask: Ask
    status: int | None
    asked: int | None = None
    page: Page | None = None
    rows: list[Row] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    links: dict[str, Any] = field(default_factory=dict)
    trouble: str = ""
    plain: bool = False

    @property
    def is_page(self) -> bool:
        """Whether it looks like a page at all, good or bad."""
        return bool(self.meta)

    @property
    def is_link_refused(self) -> bool:
        """Whether its next link is what a load would refuse: the words of `pages` name links there alone."""
        return self.is_page and " link" in self.trouble

    @property
    def total(self) -> int | None:
        """Rows of the whole report, as the page tells; None if it tells no number."""
        detail = str(self.meta.get("total", ""))
        return int(detail) if re.fullmatch(r"[0-9]{1,18}", detail) else None

    @property
    def place(self) -> str:
        """Where it stands, for a line that names it."""
        number = f" page {self.ask.page}" if self.ask.page > 1 else ""
        campaign = f" of {self.ask.campaign_id}" if self.ask.campaign_id else ""
        return f"{self.ask.report}{number}{campaign}"


def read_answer(ask: Ask, asked: int | None, body: bytes) -> Answer:
    """The body of a 200, as the loads would read it."""
    try:
        page = read_page(body, ask.path, ask.page)
    except PageRefused as refusal:
        document = _document(body)
        return Answer(
            ask,
            200,
            asked,
            None,
            _plain_rows(document),
            _part(document, "meta"),
            _part(document, "links"),
            str(refusal),
        )
    document = _document(body)
    return Answer(ask, 200, asked, page, page.rows, _part(document, "meta"), _part(document, "links"))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = decode(body)
    except (NotJSON, TooDeep):
        return {}
    return document if isinstance(document, dict) else {}


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


def _plain_rows(document: dict[str, Any]) -> list[Row]:
    """The rows of a page that is refused, but for those with values that nobody has checked for depth."""
    data = document.get("data")
    rows = data if isinstance(data, list) else []
    return [row for row in rows if isinstance(row, dict) and all(map(_is_plain, row.values()))]


def _is_plain(value: object) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, list) and all(isinstance(item, _PLAIN) for item in value))
