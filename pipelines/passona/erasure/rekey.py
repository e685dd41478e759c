"""`passona re-key`: every token of a warehouse becomes one of a new key; nobody's phone is needed for it.

A token cannot be turned back, so the new key is applied to the old token: what a load makes of a phone is
the new key's token of the old key's token (`tokens.Tokens`). Both keys are needed from then on, and who
has the old one alone, from wherever it leaked, can tell nothing of the new tokens.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

from passona.config.address import Address
from passona.config.privacy_settings import PrivacySettings
from passona.erasure.forget import drop_spools
from passona.erasure.text_columns import TextColumn, text_columns
from passona.errors import ConfigurationError
from passona.masking.tokens import TOKEN_DIGITS, Tokens, purpose_key
from passona.reports.definitions import REPORTS
from passona.warehouse.connection import Connection, transaction
from passona.warehouse.database import open_database
from passona.warehouse.policy_table import known_mode

# By the letter that its tokens begin with.
_PURPOSES = {"p": "phone", "l": "link"}
# Ids of rows, and what the marts call them.
_DIGESTS = ("row_id", "click_id", "message_key")
_BLOCK = 64  # bytes of a block of SHA-256


def re_key(
    address: Address, privacy_settings: PrivacySettings, wait: float, notify: Callable[[str], None]
) -> Counter[str]:
    """Rows with new tokens or ids, by table. The file is rewritten: no old token stays in it.

    :raises ConfigurationError: the warehouse has no tokens, or they are not of the keys before the last.
    """
    if not isinstance(address, Path):
        raise ConfigurationError(
            f"{address} cannot have a new key: re-key is for a DuckDB file; load into a new database with the new key"
        )
    database = open_database(address, wait, notify)
    try:
        database.prepare()
        known = known_mode(database.connection)
        keys = _keys(privacy_settings, *known)
        run_id = str(uuid.uuid4())
        database.begin_run(run_id, "re-key")
        with transaction(database.connection):
            changed = _changed_all(database.connection, keys, known[1])
        database.end_run(run_id, "ok", 0, 0)
        drop_spools(database)
        database.rewrite((), wait, notify)
    finally:
        database.close()
    return +changed


def _changed_all(connection: Connection, keys: tuple[bytes, ...], key_id: str | None) -> Counter[str]:
    """Every token and every id in every table. Tokens that an earlier run left are found too."""
    changed: Counter[str] = Counter()
    new = Tokens(keys)
    _name_row_ids(connection)
    for column in filter(attrgetter("is_text"), text_columns(connection)):
        # One key after the other: what still has an older key's token gets there by the same steps.
        for count in range(1, len(keys)):
            changed[column.shown] += _tokens_changed(connection, column, keys[: count + 1])
        if new.key_id != key_id and column.name in _DIGESTS:
            anew = f"UPDATE {column.table} SET {column.quoted} = left(sha256($key || {column.quoted}), {TOKEN_DIGITS})"  # noqa: S608  # quoted names
            if not column.is_ours:  # a user's own ids may be called so
                anew += f" WHERE {column.quoted} IN (SELECT row_id FROM _row_ids)"  # noqa: S608  # quoted names
            changed[column.shown] += _changed(connection, anew, {"key": new.row_key.hex()})
    if changed.total():
        # Rows are others now, so the next walk of an open report finds another content, and writes it.
        connection.execute("UPDATE passona.report_ledger SET digest = NULL")
    connection.execute("UPDATE passona._privacy SET key_id = ?", [new.key_id])
    connection.execute("DROP TABLE _row_ids")
    return changed


def _name_row_ids(connection: Connection) -> None:
    """Make the table `_row_ids` of all ids as they are before they change."""
    ids = " UNION ALL ".join(f"SELECT row_id FROM passona.{name}" for name in REPORTS)  # noqa: S608  # constant names
    connection.execute(f"CREATE TEMP TABLE _row_ids AS {ids}")


def _tokens_changed(connection: Connection, column: TextColumn, keys: tuple[bytes, ...]) -> int:
    """Gives tokens of the keys before the last the last one, until none is left in any text."""
    changed = 0
    old, new = Tokens(keys[:-1]), Tokens(keys)
    for letter, purpose in _PURPOSES.items():
        before, after = f"{letter}_{old.key_id}_", f"{letter}_{new.key_id}_"
        values: dict[str, object] = {"before": before, "after": after, **_pads(purpose_key(keys[-1], purpose))}
        anew = _tokens_anew(column, before)
        while rows := _changed(connection, anew, values):  # each pass takes one token of a text
            changed += rows
    return changed


def _keys(privacy_settings: PrivacySettings, mode: str, key_id: str | None) -> tuple[bytes, ...]:
    keys = tuple(key.encode() for key in privacy_settings.keys)
    if mode == "clear" or privacy_settings.privacy != mode:
        raise ConfigurationError(
            f"sources.passona.privacy: this warehouse is {mode}, the configuration says {privacy_settings.privacy}; "
            "a new key is for a warehouse of tokens, in its own mode"
        )
    if len(keys) < 2 or key_id not in (Tokens(keys[:-1]).key_id, Tokens(keys).key_id):
        raise ConfigurationError(
            f"sources.passona.privacy_former_keys: expected the keys of this warehouse's tokens ({key_id}), oldest "
            "first, and the new one as privacy_key; the former keys configured are not these"
        )
    return keys


def _tokens_anew(column: TextColumn, before: str) -> str:
    """An UPDATE that gives the first token of a text the new key's, wherever it stands, and however often."""
    form = f"'{before}[0-9a-f]{{{TOKEN_DIGITS}}}'"
    token = f"regexp_extract({column.quoted}, {form})"
    old = f"right({token}, {TOKEN_DIGITS})"
    # HMAC-SHA-256 as RFC 2104 defines it.
    new = f"left(sha256($outer::BLOB || unhex(sha256($inner::BLOB || encode({old})))), {TOKEN_DIGITS})"
    return (
        f"UPDATE {column.table} SET {column.quoted} = replace({column.quoted}, {token}, $after || {new}) "  # noqa: S608  # quoted names
        f"WHERE contains({column.quoted}, $before) AND regexp_matches({column.quoted}, {form})"
    )


def _pads(key: bytes) -> dict[str, bytes]:
    padded = key.ljust(_BLOCK, b"\0")
    return {"inner": bytes(byte ^ 0x36 for byte in padded), "outer": bytes(byte ^ 0x5C for byte in padded)}


def _changed(connection: Connection, sql: str, values: dict[str, object]) -> int:
    ((rows,),) = connection.execute(sql, values).fetchall()
    return int(rows)
