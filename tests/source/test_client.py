"""The client over real HTTP: bounds that the server announces, and faults of the wire."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest

from passona.config.settings import Settings
from passona.errors import RequestFailed
from passona.source.client import Client
from passona.source.pace import Clock
from passona_sandbox import Account, Sandbox, Switches
from support.warehouses import GUIDE

pytestmark = pytest.mark.core


class FastClock(Clock):
    """A minute of the program is a second of the server."""

    def now(self) -> float:
        return time.monotonic() * 60

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        condition.wait(None if seconds is None else seconds / 60)


def test_the_limit_that_the_server_announces_is_used_up_and_never_passed() -> None:
    switches = Switches(rate_limit=20, rate_window=1.0)
    with Sandbox(Account(campaigns=0), switches) as box, ThreadPoolExecutor(8) as pool:
        client = Client(Settings(box.token, base_url=box.base_url), FastClock())
        begun = time.monotonic()
        list(pool.map(lambda _: client.get(f"reporting/{GUIDE}/sent", 1, None), range(80)))
        took = time.monotonic() - begun
        client.close()
        statuses = [record.status for record in box.requests]
    assert statuses == [200] * 80
    # Four windows' worth of requests need three whole windows and a bit of the fourth.
    assert took < 5


@pytest.mark.parametrize("asked", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_server_that_asks_for_no_pause_gets_the_usual_one(asked: str) -> None:
    # Retry-After: 0 used to switch the growing pauses off: eight tries within a moment.
    faults = [{"kind": "status", "code": 503, "headers": {"Retry-After": asked}, "times": 3}]
    with Sandbox(Account(campaigns=0), faults=faults) as box:
        client = Client(Settings(box.token, base_url=box.base_url, retry_pause=0.1))
        client.get(f"reporting/{GUIDE}/sent", 1, None)
        client.close()
        at = [record.at for record in box.requests]
    pauses = [after - before for before, after in pairwise(at)]
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True))


def test_a_post_never_goes_on_a_connection_that_another_request_has_used() -> None:
    # A server may close after an answer without saying so; the next POST on that connection came to an unknown fate.
    connections = set()

    class PrivacySettings(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            connections.add(self.client_address)
            self.send_response_only(200 if self.command == "GET" else 409)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), PrivacySettings) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        client = Client(Settings("token", base_url=f"http://127.0.0.1:{server.server_port}/", retry_pause=0.01))
        for _ in range(2):
            assert client.get("campaigns", 1, None) == b"{}"
            with pytest.raises(RequestFailed, match="status 409"):
                client.post(f"reporting/{GUIDE}/sent")
        client.close()
        server.shutdown()
    # Both GETs have one.
    assert len(connections) == 3
