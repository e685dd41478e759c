"""When the next request may go: one gate for all threads, in front of every request.

The strictest of three limits wins: the user's `requests_per_minute`; the server's `X-RateLimit-Limit` and `-Remaining`
(seen in an earlier version of the API, window one minute as in Laravel); a pause that the server asked for
(`Retry-After`).
"""

import email.utils
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from passona.errors import Stopped

# Laravel's throttle counts by the minute; the API's documents name no other window.
WINDOW_SECONDS = 60.0
# A `Date` header has whole seconds and is late by the time on the wire: clocks that differ by less than this agree.
CLOCKS_AGREE = timedelta(minutes=1)


class Clock:
    """The program's clock, durations in seconds; tests and simulations pass another one."""

    def now(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the current instant: it decides what is due and dates what is done."""
        return datetime.now(UTC)

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Wait on an acquired condition until it is notified or `seconds` have passed."""
        condition.wait(seconds)


class ServerClock:
    """The server's time, from the `Date` headers of its answers; before the first answer the time of `own`.

    It decides what is due and what settles, so a machine with a wrong clock settles nothing too early. `ahead`: by how
    much `own` is ahead of the server, 0 if the two agree.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self.ahead = timedelta()
        self._learned: str | None = None

    def utc(self) -> datetime:
        return self._own.utc() - self.ahead

    def learn(self, headers: Mapping[str, str]) -> None:
        """Compare with the headers of an answer that has just arrived."""
        text = headers.get("Date")
        if text == self._learned:  # dates have whole seconds: most answers bring no news
            return
        self._learned = text
        date = http_date(text)
        if date is not None and abs(self.utc() - date) > CLOCKS_AGREE:
            self.ahead = self._own.utc() - date


def http_date(text: str | None) -> datetime | None:
    """Return the date in a header as an instant in UTC, None if it is missing or unreadable."""
    try:
        date = email.utils.parsedate_to_datetime(text or "")
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class Pace:
    """The gate. `enter` before a request, `leave` after it with the headers of its answer."""

    def __init__(self, requests_per_minute: int | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._changed = threading.Condition()
        self._bound = requests_per_minute
        self._sent: deque[float] = deque(maxlen=requests_per_minute or 1)
        self._paused_until = 0.0
        self._in_flight = 0
        self._remaining: int | None = None
        self._window_ends = 0.0
        # A request is under way whose answer will announce the limit of a new window.
        self._asking = False
        self._stopped = False

    def enter(self) -> None:
        """Wait until a request may go.

        :raises Stopped: the run ends.
        """
        with self._changed:
            while (wait := self._wait()) > 0:
                self._clock.wait(self._changed, wait)
            now = self._clock.now()
            self._asking = self._remaining is not None and now >= self._window_ends
            self._sent.append(now)
            self._in_flight += 1

    def leave(self, headers: Mapping[str, str] | None = None) -> None:
        """Note the end of a request. `headers`: those of its answer, None without an answer."""
        with self._changed:
            self._in_flight -= 1
            self._learn(headers)
            self._changed.notify_all()

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run ends meanwhile.

        :raises Stopped: the run ends.
        """
        with self._changed:
            until = self._clock.now() + seconds
            while not self._stopped and (left := until - self._clock.now()) > 0:
                self._clock.wait(self._changed, left)
            if self._stopped:
                raise Stopped

    def pause(self, seconds: float) -> None:
        """Let no request go for so many seconds: the server asked for it."""
        with self._changed:
            self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def stop(self) -> None:
        """Let no further request go, and wake the waiting threads."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def _wait(self) -> float:
        """Return the seconds until a request may go, 0 or less for now."""
        if self._stopped:
            raise Stopped
        now = self._clock.now()
        wait = self._paused_until - now
        if self._bound and len(self._sent) == self._bound:
            wait = max(wait, self._sent[0] + WINDOW_SECONDS - now)
        if self._remaining is None:
            return wait
        if now >= self._window_ends:
            # The window is over by our clock; one request asks whether it is by the server's.
            return max(wait, WINDOW_SECONDS if self._in_flight else 0.0)
        return max(wait, self._window_ends - now if self._remaining <= self._in_flight else 0.0)

    def _learn(self, headers: Mapping[str, str] | None) -> None:
        left = (headers or {}).get("X-RateLimit-Remaining", "")
        if left.isdecimal() and len(left) < 10:
            self._count(int(left))
        elif self._asking and headers is not None:
            # The server no longer announces a limit.
            self._asking, self._remaining = False, None
        elif self._remaining:
            # The server may have counted this request, too.
            self._remaining -= 1

    def _count(self, left: int) -> None:
        """Note the remaining requests; answers overtake each other, so the lowest number of a window is the latest."""
        if self._remaining is None or self._asking:
            self._asking, self._remaining = False, left
            self._window_ends = self._clock.now() + WINDOW_SECONDS
        else:
            self._remaining = min(self._remaining, left)
