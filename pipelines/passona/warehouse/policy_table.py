"""What a warehouse records of its privacy: its mode, the id of its key, and forgotten people.

    tables passona._privacy, passona._forgotten + PrivacySettings -> Privacy, or an error

`masking.mode` decides; this module reads and writes the tables.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from passona.config.privacy_settings import PrivacySettings
from passona.masking.mode import Mode, agent_class, first_mode, privacy_in, tokens_of
from passona.masking.policy import Privacy
from passona.reports.definitions import REPORTS
from passona.warehouse.accounts import account_of_copy
from passona.warehouse.connection import Connection, columns_of, first_row, tables_of

if TYPE_CHECKING:
    from passona.warehouse.database import Database

_TABLES = """
CREATE TABLE IF NOT EXISTS passona._privacy (mode VARCHAR NOT NULL, key_id VARCHAR, forgetting_key VARCHAR);
CREATE TABLE IF NOT EXISTS passona._forgotten
    (entry VARCHAR NOT NULL, forgotten_at TIMESTAMP WITH TIME ZONE NOT NULL, account VARCHAR);
COMMENT ON TABLE passona._privacy IS
    'One row: the privacy mode of this warehouse. forgetting_key keys the entries of _forgotten in clear mode';
COMMENT ON TABLE passona._forgotten IS
    'One row per forgotten person: a keyed digest of the phone; account: who forgot it, null: all accounts';
"""


def privacy_of(database: Database, privacy_settings: PrivacySettings, account: str | None = None) -> Privacy:
    """Return the privacy of this warehouse. One without data takes the mode that is configured.

    Of the forgotten people, it has those of `account` and of all accounts.

    :raises ConfigurationError: it has data in another mode, or by another key.
    """
    connection = database.connection
    with database.writing("the mode of the warehouse"):
        _create_tables(connection)
        mode = _stored_mode(connection)
        if mode is None:
            mode = first_mode(privacy_settings, has_data=_has_data(connection))
            connection.execute("INSERT INTO passona._privacy VALUES (?, ?, ?)", list(mode))
    return privacy_in(privacy_settings, mode, _forgotten(connection, account))


def read_privacy(connection: Connection, privacy_settings: PrivacySettings, account: str | None = None) -> Privacy:
    """Return the privacy of a warehouse that is open for reading. `account`: as for `privacy_of`.

    :raises ConfigurationError: it has data in another mode, or by another key.
    """
    mode = _stored_mode(connection) or first_mode(privacy_settings, has_data=_has_data(connection))
    return privacy_in(privacy_settings, mode, _forgotten(connection, account))


def known_mode(connection: Connection) -> tuple[str, str | None]:
    """Return the mode of a warehouse and the id of its key; clear if it records none."""
    mode, key_id, _ = _stored_mode(connection) or ("clear", None, None)
    return mode, key_id


def mode_of_copy(connection: Connection) -> tuple[str, str | None] | None:
    """Return mode and key id of a published copy; None of one of the marts alone, which has no persons."""
    return known_mode(connection) if "report_ledger" in tables_of(connection, "passona") else None


def privacy_of_copy(privacy_settings: PrivacySettings, mode: str) -> Privacy:
    """Return the privacy of a copy, in this mode and by the key that is configured, of a clear warehouse.

    :raises ConfigurationError: no key is configured.
    """
    fields = () if mode == "minimal" else privacy_settings.privacy_fields
    keys = replace(privacy_settings, privacy=mode, privacy_fields=fields).keys
    return Privacy(mode, tokens_of(keys), frozenset(fields), agent_class=agent_class(mode))


def note_mode(connection: Connection, mode: str, key_id: str | None) -> None:
    """Record the privacy of a new copy. It has no forgotten people, because nothing is loaded into it."""
    _create_tables(connection)
    # In clear mode, the key of entries that somebody may add.
    key = secrets.token_hex(32) if mode == "clear" else None
    connection.execute("INSERT INTO passona._privacy VALUES (?, ?, ?)", [mode, key_id, key])


def add_account_column(connection: Connection) -> None:
    """Add the column of accounts that the list of an earlier version lacks: its entries are of all accounts."""
    if _has_tables(connection) and ("_forgotten", "account") not in columns_of(connection, "passona"):
        connection.execute("ALTER TABLE passona._forgotten ADD COLUMN account VARCHAR")


def block(connection: Connection, entries: Iterable[str], account: str | None = None) -> None:
    """Add people whom an account has forgotten, or all accounts; does nothing in a copy without that table.

    A copy of one account lists nobody either: the person may be another account's.
    """
    if not _has_tables(connection) or account_of_copy(connection) is not None:
        return
    for entry in entries:
        connection.execute(
            "INSERT INTO passona._forgotten (entry, forgotten_at, account) SELECT ?, now(), CAST(? AS VARCHAR) "
            "WHERE NOT EXISTS (SELECT 1 FROM passona._forgotten WHERE entry = ? AND (account IS NULL OR account = ?))",
            [entry, account, entry, account],
        )


def has_forgotten(connection: Connection, account: str) -> bool:
    """Return True if this account has forgotten anybody."""
    return _has_tables(connection) and bool(
        connection.execute("SELECT 1 FROM passona._forgotten WHERE account = ? LIMIT 1", [account]).fetchall()
    )


def inherit_forgotten(connection: Connection, old: str, new: str) -> bool:
    """Let an account keep out whom another one has forgotten, because it takes over campaigns of that one.

    Return True if there are such people whom it did not keep out before.
    """
    if not _has_tables(connection):
        return False
    ((added,),) = connection.execute(
        "INSERT INTO passona._forgotten (entry, forgotten_at, account) "
        "SELECT DISTINCT entry, now(), CAST(? AS VARCHAR) FROM passona._forgotten WHERE account = ? "
        "AND entry NOT IN (SELECT entry FROM passona._forgotten WHERE account IS NULL OR account = ?)",
        [new, old, new],
    ).fetchall()
    return bool(added)


def blocked_since(connection: Connection, entries: Sequence[str]) -> dict[str | None, datetime]:
    """Return when (UTC) the person with these entries was forgotten, by account; None: by all of them.

    The first entry is of the whole number. The second is of the number with 0 in place of its country code, which may
    be another person's in another country, so it does not count.
    """
    if not _has_tables(connection):
        return {}
    rows = connection.execute(
        "SELECT account, min(forgotten_at) FROM passona._forgotten WHERE entry = ? GROUP BY account", [entries[0]]
    ).fetchall()
    return {account: since.astimezone(UTC) for account, since in rows}


def unblock(connection: Connection, entries: Iterable[str], account: str | None = None) -> None:
    """Remove people from those forgotten by an account, or by any; does nothing in a copy without that table."""
    if _has_tables(connection):
        connection.execute(
            "DELETE FROM passona._forgotten WHERE entry IN (SELECT unnest(?::VARCHAR[])) "
            "AND coalesce(account = ?, CAST(? AS VARCHAR) IS NULL)",
            [list(entries), account, account],
        )


def _create_tables(connection: Connection) -> None:
    if not _has_tables(connection):
        connection.execute(_TABLES)


def _has_tables(connection: Connection) -> bool:
    return {"_privacy", "_forgotten"} <= tables_of(connection, "passona")


def _stored_mode(connection: Connection) -> Mode | None:
    if not _has_tables(connection):
        return None
    row: Mode | None = first_row(connection.execute("SELECT mode, key_id, forgetting_key FROM passona._privacy"))
    return row


def _forgotten(connection: Connection, account: str | None) -> list[str]:
    if not _has_tables(connection):
        return []
    rows = connection.execute(
        "SELECT entry FROM passona._forgotten WHERE account IS NULL OR account = ?", [account]
    ).fetchall()
    return [entry for (entry,) in rows]


def _has_data(connection: Connection) -> bool:
    # A killed load leaves rows that the ledger does not know.
    tables = ["report_ledger", *(table for report in REPORTS.values() for table in report.tables)]
    return any(
        connection.execute(f"SELECT 1 FROM passona.{table} LIMIT 1").fetchall()  # noqa: S608  # names of ours
        for table in tables
    )
