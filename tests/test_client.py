"""The client over real HTTP: bounds that the server announces, and faults of the wire."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from passona.client import Client
from passona.pace import Clock
from passona.settings import Settings
from sandbox import Account, Sandbox, Switches
from warehouses import GUIDE


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
