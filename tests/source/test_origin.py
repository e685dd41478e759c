"""The token goes to the configured origin alone, whatever a link or a redirect says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, message, open_campaign
from support.served import assert_as_served
from support.warehouses import Warehouse


class Stranger(ThreadingHTTPServer):
    """Another server, which notes every request that reaches it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.server.heard.append(self.path)  # type: ignore[attr-defined]
                self.send_response(204)
                self.end_headers()

            do_POST = do_GET  # noqa: N815  # the name that http.server looks for

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.core
def test_a_next_link_to_another_server_is_followed_on_the_configured_one(
    warehouse: Warehouse, stranger: Stranger
) -> None:
    account = Account.empty()
    account.put(open_campaign(ONE), {"alt_delivery": [message(n) for n in range(120)]})
    with Sandbox(account, Switches(links="foreign", foreign_host=stranger.address, per_page_limit=50)) as box:
        assert warehouse.load(box).exit_code == 0
    assert stranger.heard == []
    assert_as_served(warehouse, account, [ONE])


@pytest.mark.parametrize("code", [301, 302, 307, 308])
@pytest.mark.core(1)
def test_a_redirect_is_not_followed_and_the_error_says_what_to_set(
    warehouse: Warehouse, account: Account, box: Sandbox, stranger: Stranger, code: int
) -> None:
    account.put(open_campaign(ONE), {"alt_delivery": [message(1)]})
    box.faults = [{"kind": "redirect", "to": f"{stranger.address}/x", "code": code, "report": "alt_delivery"}]
    outcome = warehouse.load(box)
    assert stranger.heard == []
    assert outcome.exit_code == 4
    (error,) = outcome.errors
    assert "base_url" in error
    assert "alt_delivery" in error


@pytest.mark.core
def test_nothing_is_told_to_anyone_but_the_api(passona: Callable[..., Any], stranger: Stranger) -> None:
    # dlt tells its makers of each run unless told not to before it is first used.
    with Sandbox(Account(campaigns=0)) as box:
        ended = passona(
            "load", box=box, RUNTIME__DLTHUB_TELEMETRY="true", RUNTIME__DLTHUB_TELEMETRY_ENDPOINT=stranger.address
        )
    assert ended.returncode == 0
    assert stranger.heard == []
