"""`requests_per_minute` shared by all loads of a database: a window of a minute that is kept in it.

    a load's next request -> what all sent in the last minute -> it may go, or waits until it may

A row for each request of the last minute: who is killed leaves nothing reserved.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import psycopg2

from passona.address import Server
from passona.errors import NotWritten
from passona.pace import WINDOW_SECONDS
from passona.postgres_locks import BUDGET
from passona.postgres_session import connected
from passona.schema import DATASET

_TABLE = f"{DATASET}._requests"
# One after the other, each with what the one before has left; a single trip to the server, a single transaction.
_TAKE = f"""
SELECT pg_advisory_xact_lock({", ".join(map(str, BUDGET))});
CREATE UNLOGGED TABLE IF NOT EXISTS {_TABLE} (sent_at TIMESTAMP WITH TIME ZONE NOT NULL);
DELETE FROM {_TABLE} WHERE sent_at <= clock_timestamp() - interval '{WINDOW_SECONDS} s';
WITH taken AS (
    INSERT INTO {_TABLE} SELECT clock_timestamp() WHERE (SELECT count(*) FROM {_TABLE}) < %(bound)s RETURNING sent_at
)
SELECT coalesce(
    (SELECT 0 FROM taken),
    (SELECT extract(epoch FROM sent_at - clock_timestamp()) + {WINDOW_SECONDS} FROM {_TABLE}
     ORDER BY sent_at DESC LIMIT 1 OFFSET %(bound)s - 1)
)::DOUBLE PRECISION
"""  # noqa: S608  # constants


class SharedBudget:
    """The bound as one load sees it. Safe to use from many threads. `name`: of its session."""

    def __init__(self, server: Server, name: str, per_minute: int) -> None:
        self._server, self._per_minute = server, per_minute
        self._lock = threading.Lock()
        self._raw: Any = connected(server, name)
        with self._raw.cursor() as cursor:
            cursor.execute("SET client_min_messages = 'warning'")  # not each time that the table is there

    def take(self) -> float:
        """Takes one request of the budget, and gives 0; or takes none, and gives the seconds until one is free.

        :raises NotWritten: the server has ended the session.
        """
        try:
            with self._lock, self._raw.cursor() as cursor:
                cursor.execute(_TAKE, {"bound": self._per_minute})
                return max(0.0, float(cursor.fetchone()[0]))
        except psycopg2.Error as error:
            raise NotWritten(
                f"{self._server} has ended the session by which loads share requests_per_minute: nothing is asked any "
                "more, run again"
            ) from error

    def close(self) -> None:
        with contextlib.suppress(psycopg2.Error):
            self._raw.close()
