"""When the next request may go: one gate for all threads, in front of every request.

Three bounds, the strictest wins: the user's `requests_per_minute`, this run's own or shared with other
loads; what the server announces (`X-RateLimit-Limit` and `-Remaining`, seen in an earlier version of the
API, window one minute as in Laravel); and a pause the server asked for (`Retry-After`).
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from passona.errors import Stopped

# Laravel's throttle counts by the minute; the API's documents name no other window.
WINDOW_SECONDS = 60.0
# A `Date` header has whole seconds and spends time on its way: clocks that differ by less than this agree.
CLOCKS_AGREE = timedelta(minutes=1)


class Clock:
    """Time as the program sees it, durations in seconds; another one can be given to simulate."""

    def now(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        """The instant by which is decided what is due, and by which all that is done is dated."""
        return datetime.now(UTC)

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Waits on a held condition until it is notified or `seconds` have passed."""
        condition.wait(seconds)


class ServerClock(Clock):
    """The server's time, learned from the `Date` headers of its answers; until then the time of `own`.

    What is due and what is settled depends on it, so a machine whose clock is wrong settles nothing too early.
    `ahead`: by how much `own` is ahead of the server, 0 where the two agree.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self.ahead = timedelta()
        self._learned: str | None = None

    def now(self) -> float:
        return self._own.now()

    def utc(self) -> datetime:
        return self._own.utc() - self.ahead

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        self._own.wait(condition, seconds)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Compares itself with an answer that has just come."""
        text = headers.get("Date")
        if text == self._learned:  # dates have whole seconds: most answers bring no news
            return
        self._learned = text
        date = _http_date(text)
        if date is not None and abs(self.utc() - date) > CLOCKS_AGREE:
            self.ahead = self._own.utc() - date


def _http_date(text: str | None) -> datetime | None:
    """A `Date` header as an instant, None if it is missing or unreadable."""
    try:
        date = email.utils.parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


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
        # Whether a request is under way that asks a new window what it allows.
        self._asking = False
        self._stopped = False

    def enter(self) -> None:
        """Waits until a request may go.

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
        """Takes a request back. `headers`: those of its answer, None if none came."""
        with self._changed:
            self._in_flight -= 1
            self._learn(headers)
            self._changed.notify_all()

    def sleep(self, seconds: float) -> None:
        """Waits, unless the run ends meanwhile.

        :raises Stopped: the run ends.
        """
        with self._changed:
            until = self._clock.now() + seconds
            while not self._stopped and (left := until - self._clock.now()) > 0:
                self._clock.wait(self._changed, left)
            if self._stopped:
                raise Stopped

    def pause(self, seconds: float) -> None:
        """No request goes for so long: the server asked for it."""
        with self._changed:
            self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def stop(self) -> None:
        """Lets no further request go; those who wait are woken."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def _wait(self) -> float:
        """Seconds until a request may go, 0 for now."""
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
            # A whole window later the server announces nothing any more.
            self._asking, self._remaining = False, None
        elif self._remaining:
            # It may have been counted all the same.
            self._remaining -= 1

    def _count(self, left: int) -> None:
        """Answers overtake each other, so within a window the lowest number is the latest."""
        if self._remaining is None or self._asking:
            self._asking, self._remaining = False, left
            self._window_ends = self._clock.now() + WINDOW_SECONDS
        else:
            self._remaining = min(self._remaining, left)
