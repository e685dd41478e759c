"""A bare server of pages rendered before: so little work a request that it is not what is measured.

    python benchmarks/page_server.py --rows 300000 [--per-page-limit 500] [--latency 0.05]

Serves made-up campaigns of the sandbox, wire format and rows the same, but for what a benchmark
does not need: no faults, no rate limit, any token. Prints its base address when all is rendered.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from passona_sandbox import Account
from passona_sandbox.pages import render
from passona_sandbox.reports import REPORT_PAGE_SIZE, REPORTS

ROOT = "/api/2.0/"
_REQUEST = re.compile(rb"GET (\S+) HTTP/1\.1\r\n")
_ID_DIGITS = re.compile(rb'(?<="MessageId":")[0-9a-f]{8}')
_MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


class Stretched(Sequence[bytes]):
    """As many rows as wished from a few: each of them again and again, with a MessageId of its own.

    The first eight digits of a MessageId count the rows, and are written when a page is asked for:
    three million rows rendered before would be a gigabyte.
    """

    def __init__(self, rows: list[bytes], length: int) -> None:
        self._parts = [_ID_DIGITS.split(row, 1) for row in rows]
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, places: Any) -> Any:
        few = len(self._parts)
        rows = ((self._parts[place % few], place) for place in range(self._length)[places])
        return [b"%b%08x%b" % (before, place, after) for (before, after), place in rows]


class Book:
    """All pages of one list of rows in one size, as answers ready to be sent, as far as they can be."""

    def __init__(self, path: str, rows: Sequence[bytes], size: int) -> None:
        self._path, self._rows, self._size = path, rows, size
        self._last = max(1, -(-len(rows) // size))
        numbers = () if isinstance(rows, Stretched) else range(1, self._last + 1)
        self._ready = {number: self._made(number) for number in numbers}

    def answer(self, number: int) -> bytes:
        if not 1 <= number <= self._last:
            return _MISSING
        return self._ready.get(number) or self._made(number)

    def _made(self, number: int) -> bytes:
        rows = self._rows[self._size * (number - 1) : self._size * number]
        links = {"next": f"{self._path}?page={number + 1}" if number < self._last else None}
        meta = {"current_page": number, "last_page": self._last, "per_page": self._size, "total": len(self._rows)}
        body = b'{"data":[%b],"links":%b,"meta":%b}' % (b",".join(rows), render(links), render(meta))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        return head + body


class Library:
    """The books of an account: each report in the server's own size and in the largest that it grants.

    `stretch`: rows that alt_delivery shall have; None leaves it as it is. `copies`: how often each campaign is there,
    with the same rows and an id of its own.
    """

    def __init__(self, account: Account, limit: int, stretch: int | None = None, copies: int = 1) -> None:
        self.limit = limit
        sizes = {REPORT_PAGE_SIZE, limit}
        ids = [campaign["uuid"] for campaign in account.campaigns()]
        self._originals = {copied(id_, copy): id_ for id_ in ids for copy in range(1, copies)}
        self._books = {}
        for path, rows in _lists(account, copies):
            stretched = stretch is not None and path.endswith("/alt_delivery")
            for size in sizes:
                self._books[path, size] = Book(path, Stretched(rows, stretch or 0) if stretched else rows, size)

    def answer(self, target: str) -> bytes:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        page, asked = int(query.get("page", ["1"])[0]), int(query.get("per_page", [str(REPORT_PAGE_SIZE)])[0])
        size = self.limit if asked >= self.limit else REPORT_PAGE_SIZE
        path = parts.path.lstrip("/")
        id_ = path.rpartition("/")[0].rpartition("/")[2]
        original = self._originals.get(id_, id_)
        book = self._books.get((path.replace(id_, original), size))
        answer = book.answer(page) if book else _MISSING
        return answer if original == id_ else answer.replace(original.encode(), id_.encode())


def copied(id_: str, copy: int) -> str:
    """The id of a copy of a campaign, as long as its own: answers have their length in front."""
    return f"{copy:08x}{id_[8:]}"


def _lists(account: Account, copies: int) -> Iterator[tuple[str, list[bytes]]]:
    """Path and rows of the campaign list and of each report."""
    root = ROOT.lstrip("/")
    campaigns = account.campaigns()
    others = [row | {"uuid": copied(row["uuid"], copy)} for copy in range(1, copies) for row in campaigns]
    yield f"{root}campaigns", [render(row) for row in campaigns + others]
    for campaign in campaigns:
        for report in REPORTS:
            rows = [render(row) for row in account.rows(campaign["uuid"], report)]
            yield f"{root}reporting/{campaign['uuid']}/{report}", rows


class Connection(asyncio.Protocol):
    """One client: requests without a body, one after another."""

    def __init__(self, library: Library, latency: float) -> None:
        self._library, self._latency = library, latency
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            request, self._heard = self._heard[: end + 4], self._heard[end + 4 :]
            match = _REQUEST.match(request)
            answer = self._library.answer(match[1].decode()) if match else _MISSING
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def serve(library: Library, latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(library, latency), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    sys.stdout.write(f"http://{host}:{port}{ROOT}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True, help="rows in all six reports together")
    parser.add_argument("--campaigns", type=int, default=1)
    parser.add_argument("--per-page-limit", type=int, default=REPORT_PAGE_SIZE, help="largest page size granted")
    parser.add_argument("--stretch", type=int, help="rows that alt_delivery has, those of --rows again and again")
    parser.add_argument("--copies", type=int, default=1, help="how often each campaign is there")
    parser.add_argument("--special", action="store_true", help="the sandbox's special campaigns, too")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    arguments = parser.parse_args()
    account = Account(campaigns=arguments.campaigns, rows=arguments.rows, special=arguments.special)
    library = Library(account, arguments.per_page_limit, arguments.stretch, arguments.copies)
    asyncio.run(serve(library, arguments.latency))


if __name__ == "__main__":
    main()
