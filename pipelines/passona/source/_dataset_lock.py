"""One run at a time into a Postgres dataset: dlt commits table by table, so concurrent runs would mix their rows.

    first resource -> advisory lock in a session of its own -> the load package is complete, or the process ends

`passona load` takes the same lock. Other destinations have none: the scheduler has to ensure it (docs/source.md).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import zlib
from typing import Any

from dlt import Pipeline
from dlt.destinations.exceptions import DatabaseException

from passona.errors import Busy
from passona.reports.tables import DATASET, LOCK

log = logging.getLogger("passona")

# As long as the command line waits (`--wait`).
WAIT_SECONDS = 60.0
# How often a waiting run tries again, and a finished run checks whether its package is loaded.
_TICK_SECONDS = 0.1

# Locks that are not released yet, by the working folder of their pipeline, which has one run at a time.
_session_locks: dict[str, DatasetLock] = {}


class DatasetLock:
    """The lock of one run. It ends with its database session, however the process ends."""

    def __init__(self, pipeline: Pipeline, load_id: str) -> None:
        self._pipeline, self._load_id = pipeline, load_id
        self._client: Any = pipeline.sql_client()
        self._released = threading.Event()
        self._using = threading.Lock()  # the client is not thread-safe

    def take(self) -> None:
        """Take the lock, if necessary after waiting for the run that has it.

        :raises Busy: another run still has it after WAIT_SECONDS.
        """
        if (earlier := _session_locks.pop(self._pipeline.working_dir, None)) is not None:
            earlier.release()
        self._client.open_connection()
        until = time.monotonic() + WAIT_SECONDS
        if not self._try_lock():
            log.warning("another run writes to dataset %s: waiting for it", self._pipeline.dataset_name)
            while not self._try_lock():
                if time.monotonic() > until:
                    self.release()
                    raise Busy(
                        f"another run has held dataset {self._pipeline.dataset_name} for more than {WAIT_SECONDS:g} s; "
                        "run this again when it has ended"
                    )
                time.sleep(_TICK_SECONDS)
        _session_locks[self._pipeline.working_dir] = self

    def release_when_loaded(self) -> None:
        """Release the lock in the background once dlt has noted that the package is loaded; dlt has no hook for it."""
        threading.Thread(target=self._watch, name="dataset lock", daemon=True).start()

    def release(self) -> None:
        self._released.set()
        with self._using, contextlib.suppress(DatabaseException):
            self._client.close_connection()

    def _try_lock(self) -> bool:
        dataset = str(self._pipeline.dataset_name)
        number = LOCK[1] if dataset == DATASET else zlib.crc32(dataset.encode()) >> 1
        ((locked,),) = self._client.execute_sql("SELECT pg_try_advisory_lock(%s, %s)", LOCK[0], number)
        return bool(locked)

    def _watch(self) -> None:
        while not self._released.wait(_TICK_SECONDS):
            if self._is_over():
                self.release()

    def _is_over(self) -> bool:
        """Return True if the package is loaded, or the session has ended and the lock with it."""
        loads = self._client.make_qualified_table_name("_dlt_loads")
        statement = f"SELECT 1 FROM {loads} WHERE load_id = %s"  # noqa: S608  # dlt's name
        with self._using:
            if self._client.native_connection is None:  # closed by `release`, or by dlt when the server ended it
                return True
            try:
                return bool(self._client.execute_sql(statement, self._load_id))
            except DatabaseException:  # no table before the first load
                return False
