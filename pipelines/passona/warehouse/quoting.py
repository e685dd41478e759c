"""Names and texts within SQL, where DuckDB takes no parameters: in ATTACH, SET, COMMENT ON and for identifiers."""

from __future__ import annotations


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text."""
    return "'" + value.replace("'", "''") + "'"
