"""The rate limit: requests per window, which begins with its first request, as in Laravel."""

from __future__ import annotations

from math import ceil
from threading import Lock
from time import monotonic

from passona_sandbox.refusals import http_date
from passona_sandbox.switches import Switches


class Meter:
    """Counts requests in the current window, thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ends = 0.0
        self._used = 0

    def admit(self, switches: Switches) -> tuple[bool, dict[str, str]]:
        """Count one request; return whether it may pass, and headers for its answer."""
        if not switches.rate_limit:
            return True, {}
        with self._lock:
            now = monotonic()
            if now >= self._ends:
                self._ends, self._used = now + switches.rate_window, 0
            passes = self._used < switches.rate_limit
            self._used += passes
            left, wait = switches.rate_limit - self._used, self._ends - now
        return passes, {**_quota(switches, left), **({} if passes else _retry(switches, wait))}


def _quota(switches: Switches, left: int) -> dict[str, str]:
    if not switches.rate_headers:
        return {}
    return {"X-RateLimit-Limit": str(switches.rate_limit), "X-RateLimit-Remaining": str(max(left, 0))}


def _retry(switches: Switches, wait: float) -> dict[str, str]:
    if switches.retry_after == "none":
        return {}
    return {"Retry-After": str(ceil(wait)) if switches.retry_after == "seconds" else http_date(wait)}
