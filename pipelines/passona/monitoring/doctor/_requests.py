"""One request of the doctor and its response, whatever the server sent."""

from concurrent.futures import Future
from dataclasses import dataclass, replace

from passona.errors import PageRefused, RequestFailed, TokenRefused
from passona.reports.decoding import Row
from passona.reports.definitions import CAMPAIGNS
from passona.source.client import Client
from passona.source.page_pool import PagePool
from passona.source.pages import Page, read_page
from passona.source.paginator import may_be_the_size


@dataclass(frozen=True)
class Request:
    """One request for a page; `again`: for the second time."""

    report: str
    campaign_id: str = ""
    page: int = 1
    again: bool = False

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
    problem: str = ""
    plain: bool = False

    @property
    def rows(self) -> list[Row]:
        return self.page.rows if self.page else []

    @property
    def total(self) -> int:
        """Return the rows of the whole report; 0 for a refused page."""
        return self.page.total if self.page else 0

    @property
    def is_link_refused(self) -> bool:
        """Return True if a load would refuse its next link: `pages` mentions links in those errors only."""
        return self.status == 200 and " link" in self.problem

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
            body = self._client.get(request.path, request.page, size)
            return Response(request, 200, size, read_page(body, request.path, request.page))
        except RequestFailed as error:
            return Response(request, error.status, size, problem=str(error))
        except PageRefused as refusal:
            return Response(request, 200, size, problem=str(refusal))


def _results(futures: list[Future[Response]]) -> list[Response]:
    """Return all results, or raise the error that matters most: a 401 stops the other requests."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: not isinstance(error, TokenRefused)):
        raise error
    return [future.result() for future in futures]
