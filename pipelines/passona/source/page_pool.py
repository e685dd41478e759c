"""The threads that fetch pages: those of the walk that began first go first.

So walks that run side by side end one after another, not all at the end: each is shorter, and so
steadier, and its rows are loaded while the next is walked. A later walk takes what an earlier one
leaves of the connections.

Where pages come at once it is this process that takes the time: its threads hand one interpreter over
to each other, the more of them the slower. Then all but a few of them rest.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from passona.source.pace import Clock

# One page is on its way while another one is read.
FEW = 2
# Two threads that wait no longer than this for a page bring a thousand in a second: no more can be read.
SOON_SECONDS = 0.002
# A page may have waited for another thread, and not for the server; not all of so many.
LATEST_PAGES = 16

_Work = Callable[[], None]


class PagePool:
    """`size` threads, from the entry of its block to its end. What waits then is done before.

    `clock`: by which is seen how soon pages come.
    """

    def __init__(self, size: int, clock: Clock | None = None) -> None:
        self.size = size
        self._clock = clock or Clock()
        # Turn and number decide: the number keeps pages of a walk in their order.
        self._waiting: queue.PriorityQueue[tuple[float, int, _Work | None]] = queue.PriorityQueue()
        self._turns, self._numbers = itertools.count(), itertools.count()
        self._latest: deque[float] = deque(maxlen=LATEST_PAGES)
        self._lock = threading.Lock()
        self._ends = False
        # Set where each page is waited for, so that more threads bring more of them.
        self._all_serve = threading.Event()
        self._all_serve.set()
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"fetch-{number}", daemon=True)
            for number in range(size)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in self._threads:
            self._waiting.put((float("inf"), next(self._numbers), None))
        with self._lock:
            self._ends = True
            self._all_serve.set()
        for thread in self._threads:
            thread.join()

    def turn(self) -> int:
        """The place in line of a walk that begins now."""
        return next(self._turns)

    def submit(self, turn: int, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Calls `function` in one of the threads, when it is this turn's turn."""
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(self._timed(function, *arguments))
            except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
                future.set_exception(error)

        self._waiting.put((turn, next(self._numbers), work))
        return future

    def _timed(self, function: Callable[..., Any], *arguments: object) -> Any:
        begun = self._clock.now()
        try:
            return function(*arguments)
        finally:
            self._note(self._clock.now() - begun)

    def _note(self, seconds: float) -> None:
        """How long a page took; the latest of them decide how many threads are of use."""
        with self._lock:
            self._latest.append(seconds)
            soon = len(self._latest) == LATEST_PAGES and min(self._latest) < SOON_SECONDS
            if soon and not self._ends:
                self._all_serve.clear()
            elif not self._all_serve.is_set():
                self._all_serve.set()

    def _serve(self, number: int) -> None:
        while True:
            waiting = self._waiting.get()
            if number >= FEW and not self._all_serve.is_set():
                self._waiting.put(waiting)
                self._all_serve.wait()
            elif work := waiting[2]:
                work()
            else:
                return
