"""Which marts may leave the warehouse without persons in them, and a file of those alone.

    schema `analytics` -> PUBLIC -> a new DuckDB file

A mart is left out unless it is named here: one that is new, or somebody's own, waits until it is.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from passona.errors import ConfigurationError, PassonaError
from passona.warehouse.connection import tables_of
from passona.warehouse.quoting import literal, quoted

SCHEMA = "analytics"
# Sums by campaign, link, device, hour, status and reason.
PUBLIC = ("campaigns", "links", "devices", "campaign_hours", "campaign_statuses", "unsent_reasons")
# Rows of persons: phones, what they clicked, what the account knows of them.
PERSONAL = ("messages", "clicks", "recipient_fields")

# What the parts divide adds up to the figures of `campaigns`, as in the project's own test: a build that was
# stopped leaves some marts newer than others.
_PARTS = {
    "campaign_statuses": ("messages", "sent"),
    "unsent_reasons": ("messages", "unsent"),
    "links": ("clicks", "clicks"),
    "devices": ("clicks", "clicks"),
}


class HalfBuilt(PassonaError):  # noqa: N818  # named for what happened, as all errors are
    """The marts are not all of one build. Build them again (`passona transform`)."""


def is_half_built(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return True if marts are there, and the last build of them did not come to its end."""
    last = connection.execute(
        "SELECT outcome FROM passona.runs WHERE verb = 'transform' ORDER BY started_at DESC LIMIT 1"
    ).fetchall()
    return last in ([("running",)], [("interrupted",)]) and bool(_made(connection))


def left_out(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """The marts there are that are not known to be without persons."""
    return tuple(sorted(_made(connection) - set(PUBLIC)))


def copy_marts(connection: duckdb.DuckDBPyConnection, file: Path, storage_version: str) -> None:
    """Writes the public marts, with their comments, to a new DuckDB file.

    :raises ConfigurationError: they are missing.
    :raises HalfBuilt: they disagree with each other.
    """
    _check(connection)
    connection.execute(f"ATTACH {literal(str(file))} AS marts (READ_WRITE, STORAGE_VERSION {literal(storage_version)})")
    try:
        connection.execute(f"CREATE SCHEMA marts.{SCHEMA}")
        for name in PUBLIC:
            connection.execute(f"CREATE TABLE marts.{SCHEMA}.{name} AS FROM {SCHEMA}.{name} ORDER BY ALL")
        for what, name, comment in _comments(connection):
            connection.execute(f"COMMENT ON {what} marts.{SCHEMA}.{name} IS {literal(comment)}")
    finally:
        connection.execute("DETACH marts")


def _check(connection: duckdb.DuckDBPyConnection) -> None:
    missing = sorted(set(PUBLIC) - _made(connection))
    if missing:
        raise ConfigurationError(f"the warehouse has no {SCHEMA}.{missing[0]}: run passona transform first")
    for name, (part, whole) in _PARTS.items():
        unequal = connection.execute(
            f"SELECT count(*) FROM {SCHEMA}.campaigns LEFT JOIN "  # noqa: S608  # constants of this module
            f"(SELECT campaign_id, sum({part}) AS parts FROM {SCHEMA}.{name} GROUP BY campaign_id) USING (campaign_id) "
            f"WHERE coalesce(campaigns.{whole}, 0) <> coalesce(parts, 0)"
        ).fetchall()[0][0]
        if unequal:
            raise HalfBuilt(
                f"{SCHEMA}.{name} and {SCHEMA}.campaigns tell different {whole} of {unequal:,} campaigns: a build was "
                "stopped; run passona transform"
            )


def _made(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return tables_of(connection, SCHEMA)


def _comments(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """What is commented (TABLE or COLUMN), its quoted name, the comment."""
    found = connection.execute(
        "SELECT 'TABLE', table_name, NULL, comment FROM duckdb_tables() WHERE schema_name = $schema "
        "AND database_name = current_database() AND comment IS NOT NULL AND table_name IN $public UNION ALL "
        "SELECT 'COLUMN', table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = $schema "
        "AND database_name = current_database() AND comment IS NOT NULL AND table_name IN $public",
        {"schema": SCHEMA, "public": list(PUBLIC)},
    ).fetchall()
    return [
        (what, ".".join(quoted(name) for name in (table, column) if name), comment)
        for what, table, column, comment in found
    ]
