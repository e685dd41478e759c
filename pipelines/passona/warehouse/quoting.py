"""Quoting for SQL that takes no parameters: identifiers, and texts in ATTACH, SET and COMMENT ON."""

from __future__ import annotations


def quoted(name: str) -> str:
    """Return an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a text in SQL."""
    return "'" + value.replace("'", "''") + "'"
