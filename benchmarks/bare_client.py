"""Pages by bare sockets: what a server can give, whatever is done with it.

targets -> eight connections, asked together and then read in turn -> bodies
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

import orjson

# As many as the program has in flight.
CONNECTIONS = 8
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


def bodies(address: str, targets: Sequence[str]) -> Iterator[bytes]:
    """The bodies at these targets (path and query below the base address), in their order."""
    parts = urlsplit(address)
    head = f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer sandbox\r\n\r\n"
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((parts.hostname or "", parts.port or 80)))
            for _ in range(CONNECTIONS)
        ]
        for start in range(0, len(targets), CONNECTIONS):
            asked = list(zip(connections, targets[start : start + CONNECTIONS], strict=False))
            for connection, target in asked:
                connection.sendall(f"GET {parts.path}{target}{head}".encode())
            for connection, _ in asked:
                yield _body(connection)


def first_campaign(address: str) -> str:
    """The uuid of the campaign that is first in the list."""
    (first,) = bodies(address, ["campaigns?page=1"])
    return str(orjson.loads(first)["data"][0]["uuid"])


def _body(connection: socket.socket) -> bytes:
    heard = b""
    while (end := heard.find(_HEAD_END)) < 0:
        heard += _more(connection)
    length = _LENGTH.search(heard, 0, end)
    assert length, "an answer without a length"
    missing = int(length[1]) - (len(heard) - end - len(_HEAD_END))
    pieces = [heard[end + len(_HEAD_END) :]]
    while missing > 0:
        pieces.append(_more(connection))
        missing -= len(pieces[-1])
    return b"".join(pieces)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    if not data:
        raise ConnectionError("the server closed a connection")
    return data
