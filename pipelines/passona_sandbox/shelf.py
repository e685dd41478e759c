"""Pages rendered before, kept while nothing changed: reading a report again costs next to nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

ROOM = 64 * 2**20  # bytes


class Shelf:
    """The last 64 MiB of pages; any thread may ask."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = Lock()
        self._pages: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0

    def page(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Give the page of this key, made now if it is not there."""
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
                return page
        page = make()
        with self._lock:
            self._size += len(page) - len(self._pages.pop(key, b""))
            self._pages[key] = page
            while self._size > ROOM:
                self._size -= len(self._pages.popitem(last=False)[1])
        return page
