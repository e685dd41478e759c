"""`passona re-key`: replace every token of a warehouse by one of a new key, without the phones.

A token cannot be reversed, so the new key is applied to the old token. From then on a load makes the new key's token of
the old key's token (`tokens.Tokens`), so it needs both keys. A leaked old key reveals nothing about new tokens.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
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
from passona.warehouse.run_record import RunRecord

# By the letter that its tokens begin with.
_PURPOSES = {"p": "phone", "l": "link"}
# Ids of rows, and what the marts call them.
_DIGESTS = ("row_id", "click_id", "message_key")
_BLOCK = 64  # bytes of a block of SHA-256


def re_key(
    address: Address, privacy_settings: PrivacySettings, wait: float, notify: Callable[[str], None]
) -> Counter[str]:
    """Replace tokens and row ids, and rewrite the file; return the number of changed values by table.

    :raises ConfigurationError: the warehouse has no tokens, or they are not of the former keys.
    """
    if not isinstance(address, Path):
        raise ConfigurationError(
            f"{address} cannot have a new key: re-key is for a DuckDB file; load into a new database with the new key"
        )
    with closing(open_database(address, wait, notify)) as database:
        database.prepare()
        mode, key_id = known_mode(database.connection)
        keys = _keys(privacy_settings, mode, key_id)
        with database.run(RunRecord("re-key")), transaction(database.connection):
            changed = _change_all(database.connection, keys, key_id)
        drop_spools(database)
        database.rewrite((), wait, notify)
    return +changed


def _change_all(connection: Connection, keys: tuple[bytes, ...], key_id: str | None) -> Counter[str]:
    """Replace every token and row id in every table, tokens of an interrupted run included."""
    changed: Counter[str] = Counter()
    new = Tokens(keys)
    _name_row_ids(connection)
    for column in filter(attrgetter("is_text"), text_columns(connection)):
        # Key by key, so that tokens of older keys take the same steps.
        for count in range(1, len(keys)):
            changed[column.shown] += _change_tokens(connection, column, keys[: count + 1])
        if new.key_id != key_id and column.name in _DIGESTS:
            query = f"UPDATE {column.table} SET {column.quoted} = left(sha256($key || {column.quoted}), {TOKEN_DIGITS})"  # noqa: S608  # quoted names
            if not column.is_ours:  # a user's own ids may have such a name
                query += f" WHERE {column.quoted} IN (SELECT row_id FROM _row_ids)"  # noqa: S608  # quoted names
            changed[column.shown] += _execute(connection, query, {"key": new.row_key.hex()})
    if changed.total():
        # Row ids are part of the digest: the next walk of an open report is written.
        connection.execute("UPDATE passona.report_ledger SET digest = NULL")
    connection.execute("UPDATE passona._privacy SET key_id = ?", [new.key_id])
    connection.execute("DROP TABLE _row_ids")
    return changed


def _name_row_ids(connection: Connection) -> None:
    """Create the table `_row_ids` of all row ids before the change."""
    ids = " UNION ALL ".join(f"SELECT row_id FROM passona.{name}" for name in REPORTS)  # noqa: S608  # constant names
    connection.execute(f"CREATE TEMP TABLE _row_ids AS {ids}")


def _change_tokens(connection: Connection, column: TextColumn, keys: tuple[bytes, ...]) -> int:
    """Apply the last key to tokens of the keys before it, until no text has one; return the number of updates."""
    changed = 0
    old, new = Tokens(keys[:-1]), Tokens(keys)
    for letter, purpose in _PURPOSES.items():
        before, after = f"{letter}_{old.key_id}_", f"{letter}_{new.key_id}_"
        values: dict[str, object] = {"before": before, "after": after, **_pads(purpose_key(keys[-1], purpose))}
        update = _token_update(column, before)
        while rows := _execute(connection, update, values):  # each pass takes one token of a text
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


def _token_update(column: TextColumn, before: str) -> str:
    """Return an UPDATE that replaces the first token of each text, wherever it occurs."""
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


def _execute(connection: Connection, sql: str, values: dict[str, object]) -> int:
    ((rows,),) = connection.execute(sql, values).fetchall()
    return int(rows)
