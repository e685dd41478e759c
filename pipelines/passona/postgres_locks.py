"""Who may write to a database, told by advisory locks: they hold for all machines, and the server lets go of them
when their session ends, however its process ended.

    at the door -> alone, or one of many loads -> Hold -> writing, one at a time

A hold has a token, which is in the names of its sessions and of its staging dataset, and is locked while the hold
lasts. So whoever writes knows what is left of those that are no more, because they were killed while the server
worked for them or lost their locks: their sessions are ended, their staging goes, before anything else is written.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psycopg2
import psycopg2.errors

from passona.address import Server
from passona.errors import Busy, NotWritten
from passona.postgres_session import Session, connected
from passona.quoting import literal, quoted
from passona.schema import DATASET
from passona.waiting import Taken, wait_for

log = logging.getLogger("passona")

# Two numbers name a lock among all advisory locks of a database. The first is "pass" in ASCII for those that are
# waited for, and the numbers after it for those that only tell who is there.
_CLASS = 0x70617373
_HOLDS, _RUN_IDS = _CLASS + 1, _CLASS + 2
# Held for as long as a run lasts: by one that is alone, or shared by many loads.
_RUNS = 1
# Held by who is alone or waits for it; who comes after goes through it, so that loads without end keep nobody waiting.
_DOOR = 2
# Held while something is written.
_WRITES = 3
# Held while a request is counted (`postgres_budget`).
BUDGET = (_CLASS, 4)
_RUN, _WAITS = "passona on", "passona waits on"
# What pg_stat_activity shows of a name is cut at 63 bytes.
_HOST = socket.gethostname()[:24]
_STAGING = f"{DATASET}_staging_"
# A machine that is gone keeps its sessions, and their locks, for a minute: 30 s of silence, then three questions.
_KEEPALIVE = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
# A server takes milliseconds to end a session, unless its disk is slow.
_ENDING_SECONDS = 10.0
# A signal is heard after so long in the queue of those who want to write.
_TURN = "1s"
# A package takes seconds; tables that are written anew after retention take minutes.
_LONG_SECONDS = 60.0

_THERE = (
    "FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
    "AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = "
)


class Hold:
    """A run's hold on a database: a session of its own, whose locks tell all others what this run is about.

    `token`: what it is known by. `name`: of all its sessions.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        number = secrets.randbits(31)
        self._number, self.token = number, f"{number:08x}"
        self._session = Session(connected(server, f"{_WAITS} {_HOST} (process {os.getpid()})"))
        self._at_door = self._writes = False

    @property
    def session(self) -> Session:
        """The session that holds the locks."""
        return self._session

    @property
    def name(self) -> str:
        """What the server shows of this run's sessions, and others of who holds the warehouse."""
        return f"{_RUN} {_HOST} (process {os.getpid()}) {self.token}"

    @property
    def staging(self) -> str:
        """The staging dataset of this run, which nobody else empties."""
        return _STAGING + self.token

    def take(self, wait: float, say: Callable[[str], None], *, alone: bool) -> None:
        """Waits up to `wait` seconds for whoever is in the way: with `alone` for everybody.

        :raises Busy: somebody still is after that; names the holder.
        """
        session = self._session
        # Of Postgres 14 and later; it would end the session that only holds locks.
        session.execute("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'")
        for name, value in _KEEPALIVE.items():
            session.execute(f"SET {name} = {value}")
        wait_for(self._alone if alone else self._among_others, str(self._server), wait, say)
        session.execute("SELECT pg_advisory_lock(?, ?)", [_HOLDS, self._number])
        session.execute(f"SET application_name = {literal(self.name)}")
        with self.writing():  # what is left of others goes
            pass

    def _alone(self) -> None:
        if not self._at_door:
            self._try(_DOOR)
            self._at_door = True
        self._try(_RUNS)

    def _among_others(self) -> None:
        self._try(_DOOR, "_shared")
        try:
            self._try(_RUNS, "_shared")
        finally:
            self._session.execute("SELECT pg_advisory_unlock_shared(?, ?)", [_CLASS, _DOOR])

    def _try(self, lock: int, kind: str = "") -> None:
        (taken,) = self._session.execute(f"SELECT pg_try_advisory_lock{kind}(?, ?)", [_CLASS, lock]).fetchone()
        if not taken:
            raise Taken(self._holders(lock) or "a run that ends just now")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody else writes in this block; a block within another is a part of it.

        :raises NotWritten: the server has ended the session that holds the locks, so others may be writing.
        :raises Busy: the server cannot end a session of a run that is no more.
        """
        if self._writes:
            yield
            return
        with self._kept():
            self._wait_for_turn()
        self._writes = True
        try:
            with self._kept():
                _end_leftovers(self._session)
            yield
        finally:
            self._writes = False
            with self._kept():
                # It counts: granted in the moment in which the wait for it ended, it is held twice.
                while self._session.execute("SELECT pg_advisory_unlock(?, ?)", [_CLASS, _WRITES]).fetchone()[0]:
                    pass

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            if not self._session.closed:
                raise
            raise NotWritten(
                f"{self._server} has ended the session that holds the lock: nothing is written any more, run again"
            ) from error

    def _wait_for_turn(self) -> None:
        """In the server's queue: who came first is first, but for the moments between two waits."""
        until: float | None = time.monotonic() + _LONG_SECONDS
        while True:
            try:
                # One transaction; the lock is the session's.
                self._session.execute(
                    f"SET LOCAL lock_timeout = '{_TURN}'; SELECT pg_advisory_lock({_CLASS}, {_WRITES})"
                )
                return
            except psycopg2.errors.LockNotAvailable:
                if until is not None and time.monotonic() > until:
                    until = None
                    log.warning(
                        "%s is written by %s; waiting for it", self._server, self._holders(_WRITES) or "another"
                    )

    def _holders(self, lock: int) -> str | None:
        """Who has a lock, None if nobody does."""
        found = self._session.execute(
            "SELECT application_name, pid FROM pg_stat_activity RIGHT JOIN "  # noqa: S608  # constants
            f"(SELECT pid {_THERE} {_CLASS} AND objid = ?) AS holders USING (pid) ORDER BY backend_start, pid",
            [lock],
        ).fetchall()
        if not found:
            return None
        name, backend = found[0]
        # A stranger's may be hidden.
        first = _told(str(name), at_door=lock == _DOOR) if name else f"another user's session (backend {backend})"
        others = f" and {len(found) - 1} other{'s' if len(found) > 2 else ''}" if len(found) > 1 else ""
        return first + others

    def claim(self, run_id: str) -> None:
        """Others see from now on that this run is at work, as long as this hold lasts."""
        with self._kept():
            self._session.execute("SELECT pg_try_advisory_lock(?, ?)", [_RUN_IDS, _key(run_id)])

    def close(self) -> None:
        """Lets go of all."""
        with contextlib.suppress(psycopg2.Error):
            self._session.close()


def living(session: Session, run_ids: Iterable[str]) -> set[str]:
    """Those of these runs that are at work."""
    there = {number for (number,) in session.execute(f"SELECT objid::BIGINT {_THERE} {_RUN_IDS}").fetchall()}
    return {run_id for run_id in run_ids if _key(run_id) in there}


def is_held(cursor: Any, name: str) -> bool:
    """Whether the hold whose sessions have this name lasts still."""
    cursor.execute(f"SELECT 1 {_THERE} {_HOLDS} AND to_hex(objid::BIGINT) = ltrim(%s, '0')", [name[-8:]])
    return cursor.fetchone() is not None


def _key(run_id: str) -> int:
    """A run's number among locks: of two with the same, which happens once in two thousand million, a run that was
    killed is told as running while the other is."""
    return zlib.crc32(run_id.encode()) & 0x7FFFFFFF


def _told(name: str, *, at_door: bool) -> str:
    """A session's name as people read it."""
    name = re.sub(r" [0-9a-f]{8}$", "", name)
    if name.startswith(_WAITS):
        # Between lock and name, who holds it has this name still.
        return name.replace(_WAITS, _RUN) + (", which waits to be alone" if at_door else "")
    return name


def _end_leftovers(session: Session) -> None:
    """Ends the sessions of holds that are no more, and drops their staging datasets.

    :raises Busy: the server cannot end one.
    """
    theirs = "FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND application_name"
    until = time.monotonic() + _ENDING_SECONDS
    while names := _of_the_dead(session, f"SELECT application_name {theirs} LIKE '{_RUN} %'"):
        session.execute(f"SELECT pg_terminate_backend(pid) {theirs} = ANY(?)", [names])
        if time.monotonic() >= until:
            raise Busy("the server cannot end a session of a run that was killed; look for it in pg_stat_activity")
        time.sleep(0.05)
    staging = (
        "SELECT nspname FROM pg_namespace WHERE pg_get_userbyid(nspowner) = current_user "  # noqa: S608  # constants
        f"AND left(nspname, {len(_STAGING)}) = '{_STAGING}'"
    )
    for schema in _of_the_dead(session, staging):
        session.execute(f"DROP SCHEMA IF EXISTS {quoted(schema)} CASCADE")


def _of_the_dead(session: Session, names: str) -> list[str]:
    """Those of the names that this query gives whose last word is no token of a hold."""
    found = session.execute(names).fetchall()
    # Looked at after the names, because a hold locks its token before anything has its name.
    alive = {f"{number:08x}" for (number,) in session.execute(f"SELECT objid::BIGINT {_THERE} {_HOLDS}").fetchall()}
    return [name for (name,) in found if name[-8:] not in alive]
