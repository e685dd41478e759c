"""Servers that never come to an end: each byte is in time, and the whole is not."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from passona.config.settings import Settings
from passona.csv_files import _downloads as downloads
from passona.errors import OutcomeUnknown, RequestFailed, TokenRefused
from passona.source.client import Client
from support.warehouses import GUIDE, Warehouse

Run = Callable[..., "subprocess.CompletedProcess[str]"]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
# What is sent at once, and then byte by byte, over and over.
DRIPS: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "a status line": (b"HTTP/1.1 200 ", b"O"),
    "the name of a header": (HEAD, b"x"),
    "the value of a header": (HEAD + b"X: ", b"x"),
    "a continued header": (HEAD + b"X: y\r\n", b" \r\n"),
    "a body of known length": (HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
    "a body until the end of the connection": (HEAD + b"Connection: close\r\n\r\n", b" "),
    "a whole page, and blanks": (HEAD + b'Connection: close\r\n\r\n{"data": []}', b" "),
    "the size of a chunk": (CHUNKED, b"0"),
    "an extension of a chunk": (CHUNKED + b"1;", b"x"),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "trailers": (CHUNKED + b"1\r\n \r\n0\r\n", b"X: y\r\n"),
    "a trailer": (CHUNKED + b"1\r\n \r\n0\r\nX: ", b"y"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers of 100 Continue": (b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n"),
    "103 Early Hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    "an error's body": (b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n", b" "),
}
SECONDS = 30  # for what takes a few tenths


class Dripping:
    """A server that answers every connection with a drip, until it is left; `floods`: as fast as it can."""

    def __init__(self, start: bytes, drip: bytes, *, floods: bool = False) -> None:
        self._start, self._drip, self._floods = start, drip, floods
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self._answering: list[tuple[socket.socket, threading.Thread]] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Dripping:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._listener.close()
        for connection, thread in self._answering:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
                thread.start()
                self._answering.append((connection, thread))

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(65_536)
            connection.sendall(self._start)
            while not self._stopped.wait(0 if self._floods else 0.005):
                if self._floods:
                    connection.sendall(self._drip * 1_000)
                    continue
                for byte in self._drip:
                    connection.sendall(bytes([byte]))
                    if self._stopped.wait(0.002):
                        return
                if not self._drip and not connection.recv(1, socket.MSG_PEEK):
                    break


def settings(port: int, scheme: str = "http", host: str = "127.0.0.1", **other: Any) -> Settings:
    options = {"base_url": f"{scheme}://{host}:{port}/api/2.0/", "request_timeout": 0.3, "retry_pause": 0.001}
    return Settings("token", **(options | other))


@pytest.fixture
def in_time() -> Iterator[Callable[..., Any]]:
    """Calls something that has to end; one that does not fails the test, and does not hold it up."""
    pool = ThreadPoolExecutor()
    yield lambda function, *arguments: pool.submit(function, *arguments).result(SECONDS)
    pool.shutdown(wait=False)


@pytest.mark.parametrize("name", DRIPS)
@pytest.mark.core(2)
def test_whatever_drips_the_request_ends(name: str, in_time: Callable[..., Any]) -> None:
    with (
        Dripping(*DRIPS[name]) as server,
        contextlib.closing(Client(settings(server.port), attempts=2)) as client,
        pytest.raises(RequestFailed) as failed,
    ):
        in_time(client.get, "campaigns", 1, None)
    assert "tried 2 times" in str(failed.value)
    at_once = {"nothing": "timed out", "an error's body": "status 500", "103 Early Hints": "status 103"}
    said = at_once.get(name, "0.3 s")
    assert said in str(failed.value) or "0.3 s" in str(failed.value)


@pytest.mark.parametrize("name", ["100 Continue", "103 Early Hints", "the size of a chunk", "chunks", "trailers"])
@pytest.mark.core
def test_a_flood_without_end_ends_too(name: str, in_time: Callable[..., Any]) -> None:
    server = Dripping(*DRIPS[name], floods=True)
    with server, contextlib.closing(Client(settings(server.port), attempts=2)) as client, pytest.raises(RequestFailed):
        in_time(client.get, "campaigns", 1, None)


@pytest.mark.core
def test_a_refused_token_ends_the_run_whatever_drips_behind_it(in_time: Callable[..., Any]) -> None:
    start = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\n\r\n"
    with Dripping(start, b" ") as server, contextlib.closing(Client(settings(server.port))) as client:
        with pytest.raises(TokenRefused):
            in_time(client.get, "campaigns", 1, None)
        assert client.requests == 1


@pytest.mark.core
def test_the_fate_of_a_post_that_is_never_answered_is_unknown(in_time: Callable[..., Any]) -> None:
    with Dripping(*DRIPS["a status line"]) as server, contextlib.closing(Client(settings(server.port))) as client:
        with pytest.raises(OutcomeUnknown):
            in_time(client.post, f"reporting/{GUIDE}/clicks")
        assert client.requests == 1


@pytest.mark.core
def test_a_handshake_that_never_ends_ends(in_time: Callable[..., Any]) -> None:
    hello = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"  # the beginning of a ServerHello of 16 KB
    with (
        Dripping(hello, b"\0") as server,
        contextlib.closing(Client(settings(server.port, "https"), attempts=2)) as client,
    ):
        with pytest.raises(RequestFailed, match="no answer"):
            in_time(client.get, "campaigns", 1, None)
        with pytest.raises(RequestFailed, match="not sent"):
            in_time(client.post, f"reporting/{GUIDE}/clicks")


@pytest.mark.parametrize("answer", [(b"HTTP/1.1 200 ", b"O"), (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (b"", b"")])
def test_a_proxy_that_never_answers_is_left(
    monkeypatch: pytest.MonkeyPatch, in_time: Callable[..., Any], answer: tuple[bytes, bytes]
) -> None:
    with Dripping(*answer) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        elsewhere = settings(443, "https", "passona.example")
        with contextlib.closing(Client(elsewhere, attempts=2)) as client, pytest.raises(RequestFailed):
            in_time(client.get, "campaigns", 1, None)


@pytest.mark.core
def test_a_name_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch, in_time: Callable[..., Any]) -> None:
    answered = threading.Event()
    ask = socket.getaddrinfo

    def wait(*arguments: Any, **options: Any) -> Any:
        answered.wait()
        return ask(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    with contextlib.closing(Client(settings(9), attempts=2)) as client:
        with pytest.raises(RequestFailed, match=r"no answer within 0\.3 s"):
            in_time(client.get, "campaigns", 1, None)
        with pytest.raises(RequestFailed, match="not sent"):
            in_time(client.post, f"reporting/{GUIDE}/clicks")
    answered.set()


def test_a_stop_wakes_who_waits_for_a_connection(monkeypatch: pytest.MonkeyPatch, in_time: Callable[..., Any]) -> None:
    asked, answered = threading.Event(), threading.Event()

    def wait(*_: Any, **_options: Any) -> Any:
        asked.set()
        answered.wait()
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    client = Client(settings(9, request_timeout=3600))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get, "campaigns", 1, None)
        assert asked.wait(SECONDS)
        client.stop()
        assert waiting.exception(SECONDS) is not None
    client.close()
    answered.set()


def test_an_answer_behind_those_that_let_the_request_go_on_is_the_answer() -> None:
    body = json.dumps({"data": []}).encode()
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with (
        Dripping(whole, b"") as server,
        contextlib.closing(Client(settings(server.port, request_timeout=30))) as client,
    ):
        assert client.get("campaigns", 1, None) == body


@pytest.mark.parametrize("code", [b"101 Switching Protocols", b"102 Processing", b"103 Early Hints"])
@pytest.mark.parametrize("more", [b"", b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_interim_answer_is_never_taken_for_the_next_one(code: bytes, more: bytes) -> None:
    # http.client takes it for the answer; the real one would be read as the next request's.
    late = threading.Event()

    class Announcing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        asked = 0

        def do_GET(self) -> None:
            type(self).asked += 1
            if self.asked == 1:
                self.wfile.write(b"HTTP/1.1 %b\r\n%b\r\n" % (code, more))
                late.wait(SECONDS)
            body = self.path.encode()
            with contextlib.suppress(OSError):
                self.wfile.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Announcing) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with contextlib.closing(Client(settings(server.server_port, request_timeout=30))) as client:
            assert client.get("first", 1, None) == b"/api/2.0/first?page=1"
            late.set()
            assert client.get("second", 2, None) == b"/api/2.0/second?page=2"
            assert client.requests == 3
        server.shutdown()


def test_a_server_that_ends_in_time_is_not_cut_off() -> None:
    body = b'{"data": []}'
    slow = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    with (
        Dripping(slow, body) as server,
        contextlib.closing(Client(settings(server.port, request_timeout=30))) as client,
    ):
        assert client.get("campaigns", 1, None) == body


@pytest.mark.parametrize("name", ["the name of a header", "the size of a chunk", "100 Continue"])
def test_a_load_from_such_a_server_ends_and_lets_the_warehouse_go(
    passona: Run, warehouse: Warehouse, name: str
) -> None:
    with Dripping(*DRIPS[name]) as server:
        ended = passona(
            "load", GUIDE, SOURCES__PASSONA__API_TOKEN="t", SOURCES__PASSONA__RETRY_PAUSE="0.001",
            SOURCES__PASSONA__REQUEST_TIMEOUT="0.2", SOURCES__PASSONA__BASE_URL=f"http://127.0.0.1:{server.port}/",
        )  # fmt: skip
    assert ended.returncode == 4, ended.stderr
    assert "0.2 s" in ended.stderr
    assert warehouse.rows("SELECT outcome FROM passona.runs") == [("failed",)]


@pytest.mark.parametrize("name", ["a status line", "the value of a header", "the size of a chunk", "100 Continue"])
def test_a_download_from_such_a_server_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_time: Callable[..., Any], name: str
) -> None:
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(downloads, "LONGEST_SECONDS", 0.3)
    with Dripping(*DRIPS[name]) as server, pytest.raises(RequestFailed, match="it did not come in time"):
        in_time(downloads.download, f"http://127.0.0.1:{server.port}/x.csv", tmp_path / "x.csv")
