"""`passona re-key`: every token of a warehouse becomes one of a new key; nobody's phone is needed for it.

A token cannot be turned back, so the new key is applied to the old token: what a load makes of a phone is
the new key's token of the old key's token (`tokens.Tokens`). Both keys are needed from then on, and who
has the old one alone, from wherever it leaked, can tell nothing of the new tokens.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from passona.database import Connection, open_database
from passona.erasure import text_columns
from passona.errors import ConfigurationError
from passona.forgetting import drop_spools
from passona.keeping import Keeping
from passona.register import known_mode
from passona.rewriting import rewrite
from passona.tokens import TOKEN_DIGITS, Tokens, purpose_key

# By the letter that its tokens begin with.
_PURPOSES = {"p": "phone", "l": "link"}
# Ids of rows, and what the marts call them.
_DIGESTS = ("row_id", "click_id", "message_key")
_BLOCK = 64  # bytes of a block of SHA-256


def re_key(path: Path, keeping: Keeping, wait: float, say: Callable[[str], None]) -> Counter[str]:
    """Rows with new tokens or ids, by table. The file is rewritten: no old token stays in it.

    :raises ConfigurationError: the warehouse has no tokens, or they are not of the keys before the last.
    """
    database = open_database(path, wait, say)
    try:
        database.prepare()
        changed: Counter[str] = Counter()
        known = known_mode(database.connection)
        old, new = _keys(keeping, *known)
        if new.key_id != known[1]:  # else it was killed before the file was rewritten
            run_id = str(uuid.uuid4())
            database.begin_run(run_id, "re-key")
            changed = _changed_all(database.connection, keeping.keys[-1].encode(), old, new)
            database.end_run(run_id, "ok", 0, 0)
        drop_spools(database)
        rewrite(database)
    finally:
        database.close()
    return +changed


def _changed_all(connection: Connection, key: bytes, old: Tokens, new: Tokens) -> Counter[str]:
    """Every token and every id in every table, in one transaction."""
    connection.begin()
    changed: Counter[str] = Counter()
    for table, column in text_columns(connection):
        for letter, purpose in _PURPOSES.items():
            before, after = f"{letter}_{old.key_id}_", f"{letter}_{new.key_id}_"
            values: dict[str, object] = {"before": before, "after": after, **_pads(purpose_key(key, purpose))}
            changed[table] += _changed(connection, _tokens_anew(table, column, before), values)
        if column in _DIGESTS:
            anew = f"UPDATE {table} SET {column} = left(sha256($key || {column}), {TOKEN_DIGITS})"  # noqa: S608  # quoted names
            changed[table] += _changed(connection, anew, {"key": new.row_key.hex()})
    # Ids are others now, so the next walk of an open report finds another content, and writes it.
    connection.execute("UPDATE passona.report_ledger SET digest = NULL")
    connection.execute("UPDATE passona._privacy SET key_id = ?", [new.key_id])
    connection.commit()
    return changed


def _keys(keeping: Keeping, mode: str, key_id: str | None) -> tuple[Tokens, Tokens]:
    keys = [key.encode() for key in keeping.keys]
    if mode == "clear" or keeping.privacy != mode:
        raise ConfigurationError(
            f"sources.passona.privacy: this warehouse is {mode}, the configuration says {keeping.privacy}; a new key "
            "is for a warehouse of tokens, in its own mode"
        )
    old, new = Tokens(tuple(keys[:-1])), Tokens(tuple(keys))
    if len(keys) < 2 or key_id not in (old.key_id, new.key_id):
        raise ConfigurationError(
            f"sources.passona.privacy_former_keys: expected the keys of this warehouse's tokens ({key_id}), oldest "
            "first, and the new one as privacy_key; the former keys configured are not these"
        )
    return old, new


def _tokens_anew(table: str, column: str, before: str) -> str:
    """An UPDATE that gives a token the new key's in its place, wherever in a text it stands."""
    place = f"strpos({column}, $before)"
    old = f"substr({column}, {place} + {len(before)}, {TOKEN_DIGITS})"
    # HMAC-SHA-256 as RFC 2104 defines it.
    new = f"left(sha256($outer::BLOB || unhex(sha256($inner::BLOB || encode({old})))), {TOKEN_DIGITS})"
    rest = f"substr({column}, {place} + {len(before) + TOKEN_DIGITS})"
    return (
        f"UPDATE {table} SET {column} = left({column}, {place} - 1) || $after || {new} || {rest} "  # noqa: S608  # quoted names
        f"WHERE contains({column}, $before)"
    )


def _pads(key: bytes) -> dict[str, bytes]:
    padded = key.ljust(_BLOCK, b"\0")
    return {"inner": bytes(byte ^ 0x36 for byte in padded), "outer": bytes(byte ^ 0x5C for byte in padded)}


def _changed(connection: Connection, sql: str, values: dict[str, object]) -> int:
    ((rows,),) = connection.execute(sql, values).fetchall()
    return int(rows)
