"""Walks in threads: many at once, and few verified ones in memory.

tasks -> threads -> Finished, in the order in which the walks end
"""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from passona.errors import PassonaError, Stopped, TokenRefused, WalkFailed
from passona.source.ledger import Task
from passona.source.walk import Walk, Walker

# How often `finished` yields None while no walk ends.
TICK_SECONDS = 1.0
# Of one account; a package of so many bytes takes seconds to write.
PACKAGE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Finished:
    """A walk that has ended, or why it failed. `account`: that walked. `seconds`: how long it took."""

    account: str
    task: Task
    result: Walk | PassonaError
    seconds: float


class Walks:
    """The walks of a run, of all its accounts. No new one begins after the block.

    `package_bytes`: bytes of verified walks that make a package full; at twice as many no new walk begins. Several
    accounts fill packages faster than one, and have as little memory.
    """

    def __init__(self, accounts: int) -> None:
        self.package_bytes = PACKAGE_BYTES if accounts == 1 else PACKAGE_BYTES // 2
        self._done: queue.SimpleQueue[tuple[str, Task, Walk | BaseException | None, float]] = queue.SimpleQueue()
        self._backlog = _Backlog(2 * self.package_bytes)
        self._pending = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._backlog.open()

    def start(
        self, account: str, walker: Walker, threads: Executor, tasks: Sequence[Task], fresh_since: datetime | None
    ) -> None:
        """Walk the reports of an account.

        `fresh_since`: the spool of a killed walk is resumed only if that walk began later; None: later than the rows
        in the tables.
        """
        self._pending += len(tasks)
        for task in tasks:
            known_since = task.known.verified_at if task.known else None
            threads.submit(self._walk, account, walker, task, fresh_since or known_since)

    def finished(self) -> Iterator[Finished | None]:
        """Yield walks as they end, and None every TICK_SECONDS without one."""
        while self._pending:
            try:
                account, task, result, seconds = self._done.get(timeout=TICK_SECONDS)
            except queue.Empty:
                yield None
                continue
            self._pending -= 1
            if isinstance(result, BaseException) and not isinstance(result, WalkFailed | TokenRefused):
                raise result
            if result is not None:
                yield Finished(account, task, result, seconds)

    def _walk(self, account: str, walker: Walker, task: Task, fresh_since: datetime | None) -> None:
        """Walk one report, in a thread. None goes to the queue if the run, or the account's part of it, ended first."""
        result: Walk | BaseException | None = None
        begun = time.monotonic()
        try:
            self._backlog.wait()
            begun = time.monotonic()
            uuid, address = task.campaign.campaign_id, task.campaign.address
            result = walker.walk(task.report, uuid, task.verified_digest, fresh_since, address=address)
            self._backlog.add(result.spool.memory)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # `finished` raises it in the caller's thread
            result = error
        self._done.put((account, task, result, round(time.monotonic() - begun, 3)))

    def drop(self, walk: Walk) -> None:
        """Drop a verified walk that no package takes."""
        self.release(walk.spool.memory)
        walk.spool.drop()

    def release(self, size: int) -> None:
        """Note that `size` bytes of verified walks are no longer in memory."""
        self._backlog.add(-size)


class _Backlog:
    """Bytes of verified walks in memory that no package has written yet."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._bytes = 0
        self._open = False

    def wait(self) -> None:
        """Block while there are too many."""
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._bytes < self._limit)

    def add(self, size: int) -> None:
        with self._changed:
            self._bytes += size
            self._changed.notify_all()

    def open(self) -> None:
        """Stop blocking: the run ends."""
        with self._changed:
            self._open = True
            self._changed.notify_all()
