"""Ten minutes under a limit of 60 requests a minute, on a clock that jumps instead of waiting.

The program's own `Client`, eight threads, over real HTTP, to a server whose limiter counts as Laravel's
does: a window of a minute begins with the first request in it, what is too much is answered with 429.
Both read the same simulated clock.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from passona.config.settings import Settings
from passona.errors import Stopped
from passona.source.client import Client
from passona.source.pace import Clock

LIMIT = 60
WINDOW = 60.0
MINUTES = 10
THREADS = 8
# Simulated seconds that an answer takes: slow beside loopback, usual on the internet.
ANSWER_SECONDS = 0.2
# Real seconds between two looks at who sleeps: whoever was woken has got up by the next.
LOOK_SECONDS = 0.001


class SimulatedClock(Clock):
    """Time that stands still while anybody works, and jumps to the first alarm when all sleep.

    `sleepers`: how many there are. A thread that waits for an answer is asleep by way of the server,
    which sleeps for it.
    """

    def __init__(self, sleepers: int) -> None:
        self._sleepers = sleepers
        self._lock = threading.Lock()
        self._time = 0.0
        self._alarms: dict[int, tuple[float, threading.Condition]] = {}
        self._changes = 0

    def now(self) -> float:
        return self._time

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        me = threading.get_ident()
        with self._lock:
            self._alarms[me] = (math.inf if seconds is None else self._time + seconds, condition)
            self._changes += 1
        condition.wait()
        with self._lock:
            del self._alarms[me]
            self._changes += 1

    def sleep(self, seconds: float) -> None:
        """Sleeps to the end, alone."""
        until = self._time + seconds
        condition = threading.Condition()
        with condition:
            while (left := until - self._time) > 0:
                self.wait(condition, left)

    def leave(self) -> None:
        """One sleeper less: it has gone home."""
        with self._lock:
            self._sleepers -= 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time goes on as long as the block."""
        ended = threading.Event()
        thread = threading.Thread(target=self._run, args=(ended,), daemon=True)
        thread.start()
        yield
        ended.set()
        thread.join()

    def _run(self, ended: threading.Event) -> None:
        seen = 0
        while not ended.wait(LOOK_SECONDS):
            with self._lock:
                steady, seen = seen == self._changes, self._changes
                if not steady or len(self._alarms) < max(1, self._sleepers):
                    continue
                self._time = max(self._time, min(when for when, _ in self._alarms.values()))
                due = [condition for when, condition in self._alarms.values() if when <= self._time]
            for condition in due:
                with condition:
                    condition.notify_all()


@dataclass
class Laravel:
    """A limiter of fixed windows. `announce`: tell in each answer what is left."""

    clock: SimulatedClock = field(repr=False)
    announce: bool
    admitted: int = 0
    refused: int = 0
    _used: int = field(default=0, repr=False)
    _ends: float = field(default=0.0, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def hit(self) -> tuple[int, dict[str, str]]:
        """Status and headers for one request, now."""
        with self._lock:
            now = self.clock.now()
            if now >= self._ends:
                self._used, self._ends = 0, now + WINDOW
            passes = self._used < LIMIT
            self._used += passes
            if now < MINUTES * WINDOW:
                self.admitted += passes
                self.refused += not passes
            left = LIMIT - self._used
        reported = {"X-RateLimit-Limit": str(LIMIT), "X-RateLimit-Remaining": str(left)} if self.announce else {}
        return (200, reported) if passes else (429, reported | {"Retry-After": str(math.ceil(self._ends - now))})


def paced(*, announce: bool) -> Laravel:
    """The limiter after ten minutes: one that announces its limit, or one whose limit the user has set."""
    clock = SimulatedClock(THREADS)
    limiter = Laravel(clock, announce)
    with _served(limiter) as address, clock.running(), ThreadPoolExecutor(THREADS) as pool:
        client = Client(Settings("t", base_url=address, requests_per_minute=None if announce else LIMIT), clock)

        def ask() -> None:
            try:
                while clock.now() < MINUTES * WINDOW:
                    client.get("campaigns", 1, None)
            except Stopped:
                pass
            finally:
                client.stop()
                clock.leave()

        for future in [pool.submit(ask) for _ in range(THREADS)]:
            future.result()
        client.close()
    return limiter


@contextmanager
def _served(limiter: Laravel) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one piece

        def do_GET(self) -> None:
            status, headers = limiter.hit()
            limiter.clock.sleep(ANSWER_SECONDS)
            self.send_response(status)
            for name, value in (headers | {"Content-Length": "2"}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api/2.0/"
        server.shutdown()
