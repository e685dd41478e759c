"""When requests may go, on a simulated clock: bounds are never passed, and hardly anything is wasted."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passona.errors import Stopped
from passona.source.pace import WINDOW_SECONDS, Clock, Pace


class Simulated(Clock):
    """A clock that stands still until somebody waits; answers that are under way arrive meanwhile."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.waits = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self.time

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        self.waits += 1
        assert self.waits < 100_000, "waits for ever"
        self.advance(self.time + (1e9 if seconds is None else seconds))

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._order), action))

    def advance(self, until: float) -> None:
        """Goes on to the next thing that happens, or to `until` if nothing does before."""
        if self._due and self._due[0][0] <= until:
            when, _, action = heapq.heappop(self._due)
            self.time = max(self.time, when)
            action()
        else:
            self.time = until


class Laravel:
    """Laravel's throttle: `limit` requests in a minute that begins with the first of them."""

    def __init__(self, limit: int) -> None:
        self.limit, self.count, self.ends = limit, 0, 0.0
        self.taken, self.refused = 0, 0

    def hit(self, now: float) -> Mapping[str, str]:
        if now >= self.ends:
            self.count, self.ends = 0, now + 60
        if self.count >= self.limit:
            self.refused += 1
            return {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": "0"}
        self.count += 1
        self.taken += 1
        return {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(self.limit - self.count)}


def run(
    pace: Pace, clock: Simulated, server: Laravel, seconds: float, *, concurrency: int = 8, chance: random.Random,
    slow: float = 0.0, lost: float = 0.0,
) -> list[float]:  # fmt: skip
    """Requests without end for so long, as many at once as allowed. Gives the instants at which they were let go.

    Answers take 20 to 300 ms, some (`slow`) up to 5 s, and overtake each other; some (`lost`) never come whole.
    """
    let_go: list[float] = []
    in_flight = 0
    until = clock.time + seconds

    def answered(headers: Mapping[str, str] | None) -> None:
        nonlocal in_flight
        in_flight -= 1
        pace.leave(headers)

    def arrive(back: float) -> None:
        headers = server.hit(clock.time)
        clock.at(clock.time + back, lambda: answered(None if chance.random() < lost else headers))

    while True:
        while in_flight == concurrency:
            clock.advance(1e12)
        pace.enter()
        if clock.time >= until:
            return let_go
        let_go.append(clock.time)
        in_flight += 1
        there, back = chance.uniform(0.01, 0.1), chance.uniform(0.01, 0.2)
        if chance.random() < slow:
            back += chance.uniform(0, 5)
        clock.at(clock.time + there, lambda back=back: arrive(back))  # type: ignore[misc]  # bound now


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 150), st.integers(1, 16), st.integers(0, 2**32))
def test_never_more_requests_in_any_minute_than_the_user_allows(bound: int, concurrency: int, seed: int) -> None:
    clock = Simulated()
    let_go = run(Pace(bound, clock), clock, Laravel(10**9), 200, concurrency=concurrency, chance=random.Random(seed))
    assert all(late - early > 60 - 1e-6 for early, late in zip(let_go, let_go[bound:], strict=False))
    # Nothing is wasted either: 200 s are three minutes and a bit.
    assert len(let_go) >= bound * 3


@pytest.mark.parametrize("limit", [10, 60, 600])
@pytest.mark.parametrize("seed", range(4))
def test_the_servers_limit_is_never_passed_and_98_percent_of_it_are_used(limit: int, seed: int) -> None:
    clock, server = Simulated(), Laravel(limit)
    run(Pace(None, clock), clock, server, 600, chance=random.Random(seed))
    assert server.refused == 0
    assert server.taken >= 0.98 * limit * 10


@pytest.mark.parametrize("seed", range(6))
def test_the_rate_limit_holds_when_answers_are_lost_or_out_of_order(seed: int) -> None:
    clock, server = Simulated(), Laravel(60)
    run(Pace(None, clock), clock, server, 600, chance=random.Random(seed), slow=0.1, lost=0.05)
    assert server.refused == 0
    assert server.taken >= 0.85 * 600


def test_the_stricter_of_the_users_bound_and_the_servers_limit_holds() -> None:
    clock, server = Simulated(), Laravel(60)
    assert len(run(Pace(30, clock), clock, server, 299, chance=random.Random(1))) == 150
    clock, server = Simulated(), Laravel(30)
    run(Pace(60, clock), clock, server, 299, chance=random.Random(1))
    assert (server.taken, server.refused) == (150, 0)


def test_without_a_bound_and_without_announcements_nothing_waits() -> None:
    clock = Simulated()
    pace = Pace(None, clock)
    for _ in range(500):
        pace.enter()
        pace.leave({"Content-Type": "application/json"})
    assert clock.waits == 0


@pytest.mark.parametrize("value", ["", "many", "-1", "1.5"])
def test_an_announcement_that_is_no_number_is_none(value: str) -> None:
    clock = Simulated()
    pace = Pace(None, clock)
    for _ in range(20):
        pace.enter()
        pace.leave({"X-RateLimit-Remaining": value})
    assert clock.waits == 0


def test_a_server_that_stops_announcing_is_let_go_again_after_a_minute() -> None:
    clock = Simulated()
    pace = Pace(None, clock)
    pace.enter()
    pace.leave({"X-RateLimit-Remaining": "0"})
    pace.enter()
    assert clock.time == 1_000 + WINDOW_SECONDS
    pace.leave({})
    pace.enter()
    pace.enter()
    assert clock.time == 1_000 + WINDOW_SECONDS


def test_when_a_minute_is_over_one_request_asks_before_the_others_follow() -> None:
    clock = Simulated()
    pace = Pace(None, clock)
    pace.enter()
    pace.leave({"X-RateLimit-Remaining": "5"})
    clock.advance(1_000 + WINDOW_SECONDS)
    pace.enter()
    clock.at(clock.time + 2, lambda: pace.leave({"X-RateLimit-Remaining": "5"}))
    pace.enter()
    assert clock.time == 1_000 + WINDOW_SECONDS + 2


def test_no_request_goes_while_the_server_asked_for_a_pause() -> None:
    clock = Simulated()
    pace = Pace(None, clock)
    pace.pause(30)
    pace.pause(5)  # a shorter one does not shorten it
    pace.enter()
    assert clock.time == 1_030
    pace.enter()
    assert clock.time == 1_030


def test_a_pause_that_begins_while_requests_wait_holds_for_them_too() -> None:
    clock = Simulated()
    pace = Pace(1, clock)
    pace.enter()
    clock.at(1_059, lambda: pace.pause(100))
    pace.enter()
    assert clock.time == 1_159


def test_sleeping_takes_its_time_and_lets_others_go() -> None:
    clock = Simulated()
    pace = Pace(None, clock)
    clock.at(1_001, pace.enter)
    pace.sleep(4)
    assert clock.time == 1_004


@pytest.mark.parametrize("what", ["enter", "sleep"])
def test_stop_wakes_those_who_wait(what: str) -> None:
    pace = Pace()
    pace.pause(1_000)
    ends: list[BaseException] = []
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        try:
            if what == "enter":
                pace.enter()
            else:
                pace.sleep(1_000)
        except Stopped as stopped:
            ends.append(stopped)

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    waiting.wait(5)
    pace.stop()
    for thread in threads:
        thread.join(5)
    assert len(ends) == 3


def test_after_stop_nothing_goes() -> None:
    pace = Pace()
    assert not pace.stopped
    pace.stop()
    assert pace.stopped
    with pytest.raises(Stopped):
        pace.enter()
    with pytest.raises(Stopped):
        pace.sleep(0)
