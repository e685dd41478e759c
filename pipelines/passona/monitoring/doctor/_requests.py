"""One request of the doctor and its response, whatever the server sent.

A page that a load would refuse keeps the reason and its rows of plain values, so that one fault does not
hide the others.
"""

from __future__ import annotations

import re
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from passona.errors import PageRefused, RequestFailed, TokenRefused
from passona.reports.decoding import NotJSON, Row, TooDeep, decode
from passona.reports.definitions import CAMPAIGNS
from passona.source.client import Client
from passona.source.page_pool import PagePool
from passona.source.pages import Page, read_page
from passona.source.paginator import may_be_the_size

Purpose = Literal["page", "again", "past_end", "unknown"]

_PLAIN = (str, int, type(None))


@dataclass(frozen=True)
class Request:
    """One request. `purpose`: a page, the same page `again`, one `past_end`, or a campaign `unknown` to the server."""

    report: str
    campaign_id: str = ""
    page: int = 1
    purpose: Purpose = "page"

    @property
    def path(self) -> str:
        """Return the path below the base URL."""
        return CAMPAIGNS.name if self.report == CAMPAIGNS.name else f"reporting/{self.campaign_id}/{self.report}"


@dataclass(frozen=True)
class Response:
    """The response to a request. `page` is None if a load would refuse it; `problem` says why.

    `status`: None if the server did not answer. `page_size`: requested rows per page, None for the server's default.
    `plain`: the default was requested because the server failed on the big page.
    """

    request: Request
    status: int | None
    page_size: int | None = None
    page: Page | None = None
    rows: list[Row] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    links: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    plain: bool = False

    @property
    def is_page(self) -> bool:
        """Return True if it looks like a page, good or bad."""
        return bool(self.meta)

    @property
    def is_link_refused(self) -> bool:
        """Return True if a load would refuse its next link: `pages` mentions links in those errors only."""
        return self.is_page and " link" in self.problem

    @property
    def total(self) -> int | None:
        """Return the rows of the whole report according to the page, None if that is not a number."""
        text = str(self.meta.get("total", ""))
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None

    @property
    def place(self) -> str:
        """Return report, page and campaign, as error lines name them."""
        number = f" page {self.request.page}" if self.request.page > 1 else ""
        campaign = f" of {self.request.campaign_id}" if self.request.campaign_id else ""
        return f"{self.request.report}{number}{campaign}"


class Probe:
    """Sends requests for pages of `per_page` rows, and for plain pages if the server fails on those.

    `responses`: all so far, in the order of the requests.
    """

    def __init__(self, client: Client, pool: PagePool, per_page: int) -> None:
        self._client, self._pool = client, pool
        # The campaign list may accept a size that the reports refuse.
        self._sizes: dict[bool, int | None] = {True: per_page, False: per_page}
        self.responses: list[Response] = []

    def send(self, *requests: Request) -> list[Response]:
        """Send these requests concurrently.

        :raises TokenRefused: 401; no request follows.
        """
        turn = self._pool.turn()
        responses = _results([self._pool.submit(turn, self._send, request) for request in requests])
        self.responses += responses
        return responses

    def _send(self, request: Request) -> Response:
        is_list = request.report == CAMPAIGNS.name
        size = self._sizes[is_list]
        response = self._try(request, size)
        if size is None or response.status == 200 or not may_be_the_size(response.status):
            return response
        plain = self._try(request, None)
        if plain.page is None:
            return response
        self._sizes[is_list] = None
        return replace(plain, plain=True, problem=response.problem)

    def _try(self, request: Request, size: int | None) -> Response:
        try:
            return read_response(request, size, self._client.get(request.path, request.page, size))
        except RequestFailed as error:
            return Response(request, error.status, size, problem=str(error))


def _results(futures: list[Future[Response]]) -> list[Response]:
    """Return all results, or raise the error that matters most: a 401 stops the other requests."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: not isinstance(error, TokenRefused)):
        raise error
    return [future.result() for future in futures]


def read_response(request: Request, page_size: int | None, body: bytes) -> Response:
    """Read the body of a 200 as a load would."""
    document, page, problem = _document(body), None, ""
    try:
        page = read_page(body, request.path, request.page)
    except PageRefused as refusal:
        problem = str(refusal)
    rows = page.rows if page else _plain_rows(document.get("data"))
    meta, links = (part if isinstance(part := document.get(key), dict) else {} for key in ("meta", "links"))
    return Response(request, 200, page_size, page, rows, meta, links, problem)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = decode(body)
    except (NotJSON, TooDeep):
        return {}
    return document if isinstance(document, dict) else {}


def _plain_rows(data: object) -> list[Row]:
    """Return the rows of a refused page, without those whose nesting was not checked."""
    rows = data if isinstance(data, list) else []
    return [row for row in rows if isinstance(row, dict) and all(map(_is_plain, row.values()))]


def _is_plain(value: object) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, list) and all(isinstance(item, _PLAIN) for item in value))
