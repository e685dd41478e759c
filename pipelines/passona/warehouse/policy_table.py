"""What a warehouse knows of its own privacy: its mode, the id of its key, who is kept out of it.

    tables passona._privacy, passona._forgotten + Keeping -> Privacy, or why there is none

`privacy_mode` decides; this module reads and writes the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from passona.config.privacy_settings import PrivacySettings
from passona.masking.mode import agent_class, first_mode, privacy_in, tokens_of
from passona.masking.policy import Privacy
from passona.reports.definitions import REPORTS
from passona.warehouse.connection import Connection, first_row, tables_of

if TYPE_CHECKING:
    from passona.warehouse.database import Database

_TABLES = """
CREATE TABLE IF NOT EXISTS passona._privacy (mode VARCHAR NOT NULL, key_id VARCHAR, forgetting_key VARCHAR);
CREATE TABLE IF NOT EXISTS passona._forgotten
    (entry VARCHAR NOT NULL, forgotten_at TIMESTAMP WITH TIME ZONE NOT NULL);
COMMENT ON TABLE passona._privacy IS
    'One row: what this warehouse keeps of people. forgetting_key makes the entries of _forgotten in clear mode';
COMMENT ON TABLE passona._forgotten IS 'One row per person who is kept out: a keyed digest of the phone';
"""


def privacy_of(database: Database, privacy_settings: PrivacySettings) -> Privacy:
    """What this warehouse keeps of people. One without data takes the mode that is configured.

    :raises ConfigurationError: it has data in another mode, or by another key.
    :raises NotWritten: the database could not take it.
    """
    connection = database.connection
    with database.writing("the mode of the warehouse"):
        _make_tables(connection)
        known = first_row(connection.execute("SELECT mode, key_id, forgetting_key FROM passona._privacy"))
        if known is None:
            known = first_mode(privacy_settings, has_data=_has_data(connection))
            connection.execute("INSERT INTO passona._privacy VALUES (?, ?, ?)", list(known))
    return privacy_in(privacy_settings, known, _forgotten(connection))


def read_privacy(connection: Connection, privacy_settings: PrivacySettings) -> Privacy:
    """Return the same of a warehouse that is open for reading, without noting anything there.

    :raises ConfigurationError: it has data in another mode, or by another key.
    """
    known, forgotten = None, []
    if _has_tables(connection):
        known = first_row(connection.execute("SELECT mode, key_id, forgetting_key FROM passona._privacy"))
        forgotten = _forgotten(connection)
    return privacy_in(
        privacy_settings, known or first_mode(privacy_settings, has_data=_has_data(connection)), forgotten
    )


def _forgotten(connection: Connection) -> list[str]:
    return [entry for (entry,) in connection.execute("SELECT entry FROM passona._forgotten").fetchall()]


def known_mode(connection: Connection) -> tuple[str, str | None]:
    """The mode of a warehouse and the id of its key; clear where nothing is noted."""
    _make_tables(connection)
    known = first_row(connection.execute("SELECT mode, key_id FROM passona._privacy"))
    return (known[0], known[1]) if known else ("clear", None)


def mode_of_copy(connection: Connection) -> tuple[str, str | None] | None:
    """The same of a copy, which is left as it is; None of one of the marts without persons, which has no reports."""
    there = tables_of(connection, "passona")
    if "report_ledger" not in there:
        return None
    known = None
    if "_privacy" in there:
        known = first_row(connection.execute("SELECT mode, key_id FROM passona._privacy"))
    return (known[0], known[1]) if known else ("clear", None)


def privacy_of_copy(privacy_settings: PrivacySettings, mode: str) -> Privacy:
    """What a copy in this mode of a clear warehouse keeps of people, by the key that is configured.

    :raises ConfigurationError: there is none.
    """
    fields = () if mode == "minimal" else privacy_settings.privacy_fields
    keys = replace(privacy_settings, privacy=mode, privacy_fields=fields).keys
    return Privacy(mode, tokens_of(keys), frozenset(fields), agent_class=agent_class(mode))


def note_mode(connection: Connection, privacy: Privacy) -> None:
    """Note in a new copy what it keeps of people. It keeps nobody out, because nothing is loaded into it."""
    _make_tables(connection)
    connection.execute("INSERT INTO passona._privacy VALUES (?, ?, NULL)", [privacy.mode, privacy.tokens.key_id])


def _make_tables(connection: Connection) -> None:
    if not _has_tables(connection):
        connection.execute(_TABLES)


def _has_tables(connection: Connection) -> bool:
    return "_forgotten" in tables_of(connection, "passona")


def _has_data(connection: Connection) -> bool:
    # A load that was killed leaves rows that the ledger does not know.
    tables = ["report_ledger", *(table for report in REPORTS.values() for table in report.tables)]
    return any(
        connection.execute(f"SELECT 1 FROM passona.{table} LIMIT 1").fetchall()  # noqa: S608  # names of ours
        for table in tables
    )


def block(database: Database, entries: Iterable[str]) -> None:
    """Adds people to those who are kept out; a copy without that table keeps nobody out."""
    if not _has_tables(database.connection):
        return
    for entry in entries:
        database.connection.execute(
            "INSERT INTO passona._forgotten SELECT ?, now() WHERE ? NOT IN (SELECT entry FROM passona._forgotten)",
            [entry, entry],
        )


def blocked_since(connection: Connection, entries: Sequence[str]) -> datetime | None:
    """Return when (UTC) a person was forgotten, None for one who is not kept out. `entries`: of that person alone.

    The first entry is of the whole number. The other is of the number with 0 for its country, which may be that of
    somebody in another country as well.
    """
    if not _has_tables(connection):
        return None
    ((since,),) = connection.execute(
        "SELECT min(forgotten_at) FROM passona._forgotten WHERE entry = ?", [entries[0]]
    ).fetchall()
    return None if since is None else since.astimezone(UTC)


def unblock(connection: Connection, entries: Iterable[str]) -> None:
    """Take people off the list of those who are kept out. A copy without that list keeps nobody out."""
    if _has_tables(connection):
        connection.execute(
            "DELETE FROM passona._forgotten WHERE entry IN (SELECT unnest(?::VARCHAR[]))", [list(entries)]
        )
