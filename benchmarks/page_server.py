"""A bare HTTP server of pre-rendered pages: fast enough that a benchmark does not measure it.

    python benchmarks/page_server.py --rows 300000 [--per-page-limit 500] [--latency 0.05]

Serves made-up campaigns of the sandbox, with the same wire format and rows, but without faults, rate limits
and token checks. Prints its base address once all pages are rendered.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from passona_sandbox import Account
from passona_sandbox.pages import render
from passona_sandbox.reports import REPORT_PAGE_SIZE, REPORTS

ROOT = "api/2.0/"
_REQUEST = re.compile(rb"GET /(\S+) HTTP/1\.1\r\n")
_ID_DIGITS = re.compile(rb'(?<="MessageId":")[0-9a-f]{8}')
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


class StretchedRows(Sequence[bytes]):
    """Any number of rows made from a few, each with a MessageId of its own.

    The first eight digits of a MessageId are the row number, inserted when a page is requested:
    three million pre-rendered rows would take a gigabyte.
    """

    def __init__(self, rows: list[bytes], length: int) -> None:
        self._parts = [_ID_DIGITS.split(row, 1) for row in rows]
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, places: Any) -> Any:
        rows = ((self._parts[place % len(self._parts)], place) for place in range(self._length)[places])
        return [b"%b%08x%b" % (before, place, after) for (before, after), place in rows]


class PagedList:
    """All pages of one list of rows at one page size, as complete HTTP responses. Stretched rows are rendered late."""

    def __init__(self, path: str, rows: Sequence[bytes], size: int) -> None:
        self._path, self._rows, self._size = path, rows, size
        self._last = max(1, -(-len(rows) // size))
        numbers = () if isinstance(rows, StretchedRows) else range(1, self._last + 1)
        self._rendered = {number: self._render(number) for number in numbers}

    def response(self, number: int) -> bytes:
        if not 1 <= number <= self._last:
            return _NOT_FOUND
        return self._rendered.get(number) or self._render(number)

    def _render(self, number: int) -> bytes:
        rows = self._rows[self._size * (number - 1) : self._size * number]
        links = {"next": f"{self._path}?page={number + 1}" if number < self._last else None}
        meta = {"current_page": number, "last_page": self._last, "per_page": self._size, "total": len(self._rows)}
        body = b'{"data":[%b],"links":%b,"meta":%b}' % (b",".join(rows), render(links), render(meta))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        return head + body


class Pages:
    """All lists of an account, each at the server's default page size and at the largest it grants."""

    def __init__(self, account: Account, limit: int, stretch: int) -> None:
        """Render the pages. `stretch`: number of rows that alt_delivery should have; 0: as many as it has."""
        self._limit = limit
        self._lists: dict[tuple[str, int], PagedList] = {}
        for path, rows in _lists(account):
            served = StretchedRows(rows, stretch) if stretch and path.endswith("/alt_delivery") else rows
            for size in {REPORT_PAGE_SIZE, limit}:
                self._lists[path, size] = PagedList(path, served, size)

    def response(self, target: str) -> bytes:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        page, per_page = int(query.get("page", ["1"])[0]), int(query.get("per_page", ["0"])[0])
        pages = self._lists.get((parts.path, self._limit if per_page >= self._limit else REPORT_PAGE_SIZE))
        return pages.response(page) if pages else _NOT_FOUND


def _lists(account: Account) -> Iterator[tuple[str, list[bytes]]]:
    """Yield path and rendered rows of the campaign list and of each report."""
    campaigns = account.campaigns()
    yield f"{ROOT}campaigns", [render(row) for row in campaigns]
    for campaign in campaigns:
        for report in REPORTS:
            rows = [render(row) for row in account.rows(campaign["uuid"], report)]
            yield f"{ROOT}reporting/{campaign['uuid']}/{report}", rows


class Connection(asyncio.Protocol):
    """One client, which sends requests without a body, one after another."""

    def __init__(self, pages: Pages, latency: float) -> None:
        self._pages, self._latency = pages, latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            request, self._received = self._received[: end + 4], self._received[end + 4 :]
            match = _REQUEST.match(request)
            response = self._pages.response(match[1].decode()) if match else _NOT_FOUND
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, response)
            else:
                self._transport.write(response)


async def serve(pages: Pages, latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(pages, latency), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}/{ROOT}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True, help="rows in all six reports together")
    parser.add_argument("--campaigns", type=int, default=1)
    parser.add_argument("--per-page-limit", type=int, default=REPORT_PAGE_SIZE, help="largest page size granted")
    parser.add_argument(
        "--stretch", type=int, default=0, help="rows of alt_delivery, made by repeating those of --rows"
    )
    parser.add_argument("--seed", type=int, default=1, help="another one makes other campaigns")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each response")
    arguments = parser.parse_args()
    account = Account(seed=arguments.seed, campaigns=arguments.campaigns, rows=arguments.rows, special=False)
    asyncio.run(serve(Pages(account, arguments.per_page_limit, arguments.stretch), arguments.latency))


if __name__ == "__main__":
    main()
