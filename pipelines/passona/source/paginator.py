"""Follows `links.next`: all pages of one path, fetched ahead, accepted in order, checked against each other.

The next link decides whether there is another page and which; the address is always built from the configured origin,
the path, the granted page size and that number (`client`). Page 1 tells how many pages there are, so they are requested
ahead, but each is accepted only if the chain of links leads to it.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

from passona.errors import PageRefused, RequestFailed
from passona.source.client import Client
from passona.source.page_pool import PagePool
from passona.source.pages import Page, read_page

# Pages requested ahead per request in flight: two keep every connection busy while half of them are accepted.
AHEAD = 2
# So many different rows are not on two pages in the same places by chance.
SAMPLE_ROWS = 5


class Paginator:
    """The pages of one path. `per_page`: rows a page to ask for; None asks for the server's own page size.

    Its turn in the `pool` is that of the moment when it is created. `plain` becomes True if the server answers a big
    page with an error but a plain one without.
    """

    def __init__(self, client: Client, pool: PagePool, path: str, per_page: int | None) -> None:
        self._client, self._pool, self._turn = client, pool, pool.turn()
        self._path, self._per_page = path, per_page

    @property
    def plain(self) -> bool:
        return self._per_page is None

    def ask_plain(self) -> None:
        """Ask for pages of the server's own size from now on."""
        self._per_page = None

    def first(self) -> Page:
        """Return page 1; ask for plain pages from then on if the server cannot answer a big one."""
        try:
            return self._submit(1, self._per_page).result()
        except RequestFailed as error:
            if self.plain or not may_be_the_size(error.status):
                raise
        page = self._submit(1, None).result()
        self.ask_plain()
        return page

    def again(self, first: Page, number: int) -> Page:
        """Fetch page `number` once more and check it against page 1.

        :raises PageRefused: it does not belong to the same steady walk.
        :raises RequestFailed: it cannot be fetched.
        """
        page = self._submit(number, self._granted(first)).result()
        _check_steady(first, page)
        return page

    def rest(self, first: Page, behind: int = 1) -> Iterator[Page]:
        """Yield the pages behind page `behind` in order, each checked against page 1.

        :raises PageRefused: a page does not belong to the same steady walk.
        :raises RequestFailed: a page cannot be fetched.
        """
        granted = self._granted(first)
        ahead: deque[Future[Page]] = deque()
        seen: dict[bytes, int] = {}
        _check_other(seen, first)
        try:
            for number in range(behind + 1, first.last_page + 1):
                ahead.append(self._submit(number, granted))
                if len(ahead) == AHEAD * self._pool.size:
                    yield from self._accept(ahead, self._pool.size, first, seen)
            yield from self._accept(ahead, len(ahead), first, seen)
        finally:
            for future in ahead:
                future.cancel()

    def _accept(self, ahead: deque[Future[Page]], count: int, first: Page, seen: dict[bytes, int]) -> Iterator[Page]:
        """Yield the next `count` pages. Wait once, for the last of them: a wake-up for each costs more than a page."""
        if count:
            ahead[count - 1].exception()
        for _ in range(count):
            page = ahead.popleft().result()
            _check_steady(first, page)
            _check_other(seen, page)
            yield page

    def _granted(self, first: Page) -> int | None:
        return None if self.plain else first.per_page

    def _submit(self, number: int, per_page: int | None) -> Future[Page]:
        return self._pool.submit(self._turn, self._fetch, number, per_page)

    def _fetch(self, number: int, per_page: int | None) -> Page:
        try:
            return read_page(self._client.get(self._path, number, per_page), self._path, number)
        except PageRefused as refusal:
            refusal.page = number
            raise
        except RequestFailed as error:
            raise RequestFailed(
                f"page {number}: expected a page, got {error}", error.status, reached=error.reached
            ) from None


def may_be_the_size(status: int | None) -> bool:
    """Return True for errors that may mean that the page is too big: bad request, unprocessable, server error."""
    return status in (400, 422) or (status or 0) >= 500


def _check_steady(first: Page, page: Page) -> None:
    for what in ("total", "last_page", "per_page"):
        expected, came = getattr(first, what), getattr(page, what)
        if expected != came:
            raise PageRefused(f"meta.{what} {expected} as on page 1", str(came), page=page.number)


def _check_other(seen: dict[bytes, int], page: Page) -> None:
    """Refuse a page with the rows of an earlier one, by a sample of them; add the sample of this page to `seen`."""
    step = max(1, len(page.rows) // SAMPLE_ROWS)
    sample = [json.dumps(row).encode() for row in page.rows[::step][:SAMPLE_ROWS]]
    if len(set(sample)) < SAMPLE_ROWS:
        return
    other = seen.setdefault(hashlib.blake2b(b"".join(sample), digest_size=16).digest(), page.number)
    if other != page.number:
        raise PageRefused(f"other rows than on page {other}", "the same page twice", page=page.number)
