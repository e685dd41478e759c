"""One writer at a time: the session of a run has an advisory lock for as long as the run lasts.

The lock works across machines, and the server releases it when the session ends, however its process ended. The same
session also writes, so a run that has lost its lock cannot write. dlt and dbt have sessions of their own, named after
the run: the next run ends leftover ones before it writes anything.
"""

import contextlib
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from passona.config.address import Server
from passona.errors import Busy, NotWritten
from passona.reports.tables import DATASET, LOCK
from passona.warehouse._locking import Locked, wait_for
from passona.warehouse.connection import first_row, literal, quoted
from passona.warehouse.engines._postgres_session import Session, connected

_RUN, _WAITS = "passona on", "passona waits on"
# PostgreSQL cuts application_name at 63 bytes.
_HOST = socket.gethostname()[:24]
_STAGING = f"{DATASET}_staging_"
# The comment on the staging dataset of a run: only what has it is dropped.
STAGING_COMMENT = "staging dataset of one run of passona-warehouse, dropped with its tables"
# A machine that disappears keeps its session, and the lock, for a minute: 30 s of silence, then three probes.
_KEEPALIVE = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
# A server takes milliseconds to end a session, unless its disk is slow.
_ENDING_SECONDS = 10.0
_HOLDERS = (
    "FROM pg_locks LEFT JOIN pg_stat_activity AS holder USING (pid) WHERE locktype = 'advisory' AND granted "  # noqa: S608  # constants
    "AND objsubid = 2 AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    f"AND classid = {LOCK[0]} AND objid = {LOCK[1]}"
)


class RunLock:
    """The lock of this run, of its session `session`. `name`: of all sessions of the run."""

    def __init__(self, server: Server) -> None:
        self._server, self._token = server, secrets.token_hex(4)
        self.name = f"{_RUN} {_HOST} (process {os.getpid()}) {self._token}"
        self.session = Session(connected(server, f"{_WAITS} {_HOST} (process {os.getpid()})"))

    @property
    def staging(self) -> str:
        """The staging dataset of this run; other runs do not touch it while this one is active."""
        return _STAGING + self._token

    def acquire(self, wait: float, notify: Callable[[str], None]) -> None:
        """Wait up to `wait` seconds for the run that has the lock, and remove the leftovers of killed runs."""
        # PostgreSQL 14 and later have this setting; it would end a session that only waits for the API.
        self.session.execute("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'")
        for name, value in _KEEPALIVE.items():
            self.session.execute(f"SET {name} = {value}")
        wait_for(self._try, str(self._server), wait, notify)
        self.session.execute(f"SET application_name = {literal(self.name)}")
        self._end_leftovers()

    def _try(self) -> None:
        ((acquired,),) = self.session.execute("SELECT pg_try_advisory_lock(?, ?)", [*LOCK]).fetchall()
        if not acquired:
            raise Locked(self._holder())

    def _holder(self) -> str:
        holder = first_row(self.session.execute(f"SELECT application_name, pid {_HOLDERS}"))
        if holder is None:
            return "a run that is just ending"
        name, backend = holder
        if not name:
            return f"another user's session (backend {backend})"  # the server hides its name from this role
        # A session gets the lock a moment before it is renamed.
        return re.sub(r" [0-9a-f]{8}$", "", str(name)).replace(_WAITS, _RUN)

    def _end_leftovers(self) -> None:
        """End the sessions of runs that have lost the lock, and drop their staging datasets."""
        others = (
            "FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user "  # constants
            f"AND left(application_name, {len(_RUN)}) = '{_RUN}' AND application_name <> ?"
        )
        until = time.monotonic() + _ENDING_SECONDS
        while self.session.execute(f"SELECT pg_terminate_backend(pid) {others}", [self.name]).fetchall():
            if time.monotonic() >= until:
                raise Busy("the server cannot end a session of a run that was killed; look for it in pg_stat_activity")
            time.sleep(0.05)
        staging = self.session.execute(
            "SELECT nspname FROM pg_namespace WHERE pg_get_userbyid(nspowner) = current_user "
            "AND obj_description(oid, 'pg_namespace') = ?",
            [STAGING_COMMENT],
        ).fetchall()
        for (schema,) in staging:
            self.session.execute(f"DROP SCHEMA IF EXISTS {quoted(schema)} CASCADE")

    def release(self) -> None:
        """Drop the staging dataset, then end the session. The next run removes the leftovers of a broken one."""
        with contextlib.suppress(psycopg2.Error, NotWritten):
            self.session.rollback()
            self.session.execute(f"DROP SCHEMA IF EXISTS {quoted(self.staging)} CASCADE")
        with contextlib.suppress(psycopg2.Error):
            self.session.close()


def is_locked(session: Session) -> bool:
    """Return True if a run has the lock."""
    return bool(session.execute(f"SELECT 1 {_HOLDERS}").fetchall())


def is_locked_by(cursor: Any, name: str) -> bool:
    """Return True if the run whose sessions have this name has the lock."""
    cursor.execute(f"SELECT 1 {_HOLDERS} AND holder.application_name = %s", [name])
    return cursor.fetchone() is not None
