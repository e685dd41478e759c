"""A cache of rendered pages: reading a report again costs next to nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

LARGEST = 64 * 2**20  # bytes


class PageCache:
    """The last 64 MiB of pages, thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pages: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0

    def page(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return the page of this key; call `make` if it is not cached."""
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
                return page
        page = make()
        with self._lock:
            self._size += len(page) - len(self._pages.pop(key, b""))
            self._pages[key] = page
            while self._size > LARGEST:
                self._size -= len(self._pages.popitem(last=False)[1])
        return page
