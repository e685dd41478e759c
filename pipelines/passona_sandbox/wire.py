"""HTTP/1.1 by hand: bytes <-> requests and responses on one kept-alive connection.

Only what a fast local API needs, and every bad end of an answer that a client has to survive (`Ending`).
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event
from typing import Literal
from urllib.parse import parse_qs, urlsplit

Ending = Literal["whole", "close", "reset", "truncate", "broken_chunk", "drip"]

JSON = "application/json"
HTML = "text/html; charset=UTF-8"
_LONGEST_HEAD = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST
_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The last value of each query parameter."""
        if "?" not in self.target:
            return {}
        return {key: values[-1] for key, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass
class Response:
    """One answer; `pause` is in seconds, before it and (dripping) between bytes."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = "whole"
    pause: float = 0.0
    drip: float = 0.0


def read(connection: socket.socket) -> Iterator[Request]:
    """Yield the requests of a connection until the client leaves or sends nonsense."""
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            piece = connection.recv(65_536)
            if not piece or len(buffer) > _LONGEST_HEAD:
                return
            buffer += piece
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        request = parse(head.decode("latin-1"))
        length = int(request.headers.get("content-length", "0"))
        while len(buffer) < length:
            piece = connection.recv(65_536)
            if not piece:
                return
            buffer += piece
        buffer = buffer[length:]
        yield request
        if request.headers.get("connection", "").lower() == "close":
            return


def parse(head: str) -> Request:
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    fields = (line.partition(":") for line in lines)
    return Request(method, target, {name.lower(): value.strip() for name, _, value in fields})


def send(connection: socket.socket, response: Response, stopped: Event) -> bool:
    """Send an answer; return True if the connection can be used again."""
    if response.pause:
        stopped.wait(response.pause)
    body, ending = response.body, response.ending
    half = body[: len(body) // 2]
    if ending == "whole":
        connection.sendall(_head(response, f"Content-Length: {len(body)}") + body)
    elif ending == "truncate":
        connection.sendall(_head(response, f"Content-Length: {len(body)}") + half)
    elif ending == "broken_chunk":
        chunk = b"%x\r\n%b\r\nzz\r\n" % (len(half), half)
        connection.sendall(_head(response, "Transfer-Encoding: chunked") + chunk)
    elif ending == "reset":
        connection.sendall(_head(response, f"Content-Length: {len(body)}") + half)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    elif ending == "drip":
        connection.sendall(_head(response, "Connection: close"))
        while not stopped.wait(response.drip):
            connection.sendall(b" ")  # blanks before JSON are valid, and never enough
    return ending == "whole"


def _head(response: Response, framing: str) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}",
        f"Content-Type: {response.content_type}",
        framing,
        *[f"{name}: {value}" for name, value in response.headers.items()],
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
