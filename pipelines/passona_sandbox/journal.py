"""One record per request, in the order of the answers."""

from collections import deque
from dataclasses import dataclass
from threading import Lock

KEPT = 200_000


@dataclass(frozen=True, slots=True)
class Record:
    """One request and the status of its answer (0: closed without one).

    `kind` is "campaigns", "report" or "other"; `at` is monotonic seconds when the request was read;
    `page` and `per_page` are as the client wrote them; `in_flight` counts the requests being answered
    at that moment, this one included.
    """

    method: str
    path: str
    query: str
    kind: str
    campaign: str | None
    report: str | None
    page: str | None
    per_page: str | None
    authorized: bool
    at: float
    in_flight: int
    status: int


class Journal:
    """The last 200,000 records, thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._records: deque[Record] = deque(maxlen=KEPT)
        self._in_flight = 0

    def begin(self) -> int:
        """Count a request as in flight; return how many are."""
        with self._lock:
            self._in_flight += 1
            return self._in_flight

    def end(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def write(self, record: Record) -> None:
        with self._lock:
            self._records.append(record)

    def records(self) -> list[Record]:
        with self._lock:
            return list(self._records)

    def forget(self) -> None:
        with self._lock:
            self._records.clear()
