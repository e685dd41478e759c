"""The threads that fetch pages: those of the walk that began first go first.

So walks that run side by side end one after another, not all at the end: each is shorter, and so
steadier, and its rows are loaded while the next is walked. A later walk takes what an earlier one
leaves of the connections.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

_Work = Callable[[], None]


class PagePool:
    """`size` threads, from the entry of its block to its end. What waits then is done before."""

    def __init__(self, size: int) -> None:
        self.size = size
        # Turn and number decide: the number keeps pages of a walk in their order.
        self._waiting: queue.PriorityQueue[tuple[float, int, _Work | None]] = queue.PriorityQueue()
        self._turns, self._numbers = itertools.count(), itertools.count()
        self._threads = [threading.Thread(target=self._serve, name=f"fetch-{n}", daemon=True) for n in range(size)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in self._threads:
            self._waiting.put((float("inf"), next(self._numbers), None))
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
                future.set_result(function(*arguments))
            except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
                future.set_exception(error)

        self._waiting.put((turn, next(self._numbers), work))
        return future

    def _serve(self) -> None:
        while work := self._waiting.get()[2]:
            work()
