"""The threads that fetch pages. Pages of the walk that began first go first.

Concurrent walks therefore end one after another instead of all at the end: each is shorter, and so steadier, and its
rows are loaded while the next is walked. A later walk uses the connections that an earlier one leaves free.

If pages come almost at once, this process is the bottleneck: its threads compete for one interpreter, and more threads
are slower. Then all but a few of them rest.
"""

import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

from passona.source.pace import Clock

# One page is on its way while another one is read.
FEW = 2
# Two threads whose pages take no longer than this fetch a thousand a second: no more can be read.
SOON_SECONDS = 0.002
# One page may have waited for another thread instead of the server; not all of so many.
LATEST_PAGES = 16


class PagePool:
    """`size` threads. They start with the block and end with it, after the work that waits then is done."""

    def __init__(self, size: int, clock: Clock | None = None) -> None:
        self.size = size
        self._clock = clock or Clock()
        # Ordered by turn, then by number, which keeps the pages of a walk in order.
        self._waiting: queue.PriorityQueue[tuple[float, int, Callable[[], None] | None]] = queue.PriorityQueue()
        self._turns, self._numbers = itertools.count(), itertools.count()
        self._latest: deque[float] = deque(maxlen=LATEST_PAGES)
        self._lock = threading.Lock()
        self._ends = False
        # Set if pages take time, so that more threads fetch more of them.
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

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._waiting.put((float("inf"), next(self._numbers), None))
        with self._lock:
            self._ends = True
            self._all_serve.set()
        for thread in self._threads:
            thread.join()

    def turn(self) -> int:
        """Return the place in line of a walk that begins now."""
        return next(self._turns)

    def submit(self, turn: int, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Call `function` in one of the threads, before the calls of later turns."""
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            began = self._clock.now()
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001  # raised again by future.result()
                self._note(self._clock.now() - began)
                future.set_exception(error)
            else:
                self._note(self._clock.now() - began)
                future.set_result(result)

        self._waiting.put((turn, next(self._numbers), work))
        return future

    def _note(self, seconds: float) -> None:
        """Note how long a page took; the latest pages decide how many threads serve."""
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
