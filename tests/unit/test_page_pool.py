"""Which threads fetch, and in which order, on a clock that only moves when a page is said to take time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest

from passona.source.pace import Clock
from passona.source.page_pool import FEW, LATEST_PAGES, PagePool

SIZE = 8


class Stands(Clock):
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


class Crew:
    """Pages that are only done when `together` of them are under way at once. `most`: that ever were."""

    def __init__(self, clock: Stands, together: int, seconds: float = 0.0) -> None:
        self._clock, self._seconds = clock, seconds
        self._barrier = threading.Barrier(together)
        self._lock = threading.Lock()
        self._running = self.most = 0

    def page(self) -> None:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._barrier.wait(timeout=30)
        with self._lock:
            self._clock.time += self._seconds
            self._running -= 1


@pytest.fixture
def clock() -> Stands:
    return Stands()


@pytest.fixture
def pool(clock: Stands) -> Iterator[PagePool]:
    with PagePool(SIZE, clock) as pool:
        yield pool


def fetch(pool: PagePool, crew: Crew, pages: int) -> None:
    futures: list[Future[None]] = [pool.submit(pool.turn(), crew.page) for _ in range(pages)]
    wait(futures)
    for future in futures:
        future.result()


def test_pages_that_are_waited_for_are_fetched_by_all(pool: PagePool, clock: Stands) -> None:
    for _ in range(3 * LATEST_PAGES // SIZE):
        fetch(pool, Crew(clock, SIZE, seconds=0.01), SIZE)


def test_pages_that_come_at_once_are_fetched_by_a_few_until_they_do_so_no_more(pool: PagePool, clock: Stands) -> None:
    for _ in range(LATEST_PAGES // SIZE):
        fetch(pool, Crew(clock, SIZE), SIZE)
    crew = Crew(clock, FEW)
    fetch(pool, crew, SIZE)
    assert crew.most == FEW

    fetch(pool, Crew(clock, FEW, seconds=0.01), LATEST_PAGES)
    fetch(pool, Crew(clock, SIZE, seconds=0.01), SIZE)


def test_an_earlier_turn_goes_first(clock: Stands) -> None:
    with PagePool(1, clock) as pool:
        begun, go = threading.Event(), threading.Event()
        order: list[str] = []

        def held() -> None:
            begun.set()
            go.wait(timeout=30)

        early, late = pool.turn(), pool.turn()
        first = pool.submit(late, held)
        begun.wait(timeout=30)
        rest = [pool.submit(turn, order.append, name) for turn, name in ((late, "late"), (early, "early"))]
        go.set()
        wait([first, *rest])
    assert order == ["early", "late"]


def test_what_waits_at_the_end_is_done_by_however_few_threads(clock: Stands) -> None:
    done: list[int] = []
    with PagePool(SIZE, clock) as pool:
        for number in range(10 * LATEST_PAGES):
            pool.submit(0, done.append, number)
    assert sorted(done) == list(range(10 * LATEST_PAGES))
