"""`publish --marts-only`: a DuckDB file of the marts that have no rows of persons.

Only marts in `PUBLIC` are copied: a new mart, or a user's table, is not until it is added there.
"""

from pathlib import Path

import duckdb

from passona.errors import ConfigurationError, PassonaError
from passona.warehouse.connection import literal, quoted, tables_of

SCHEMA = "analytics"
# Sums by campaign, link, device, hour, status and reason.
PUBLIC = ("campaigns", "links", "devices", "campaign_hours", "campaign_statuses", "unsent_reasons")
# Rows of persons: phone numbers, clicks, contact fields.
PERSONAL = ("messages", "clicks", "recipient_fields")

# Marts whose sums by campaign must equal a column of `campaigns`: an interrupted build leaves some marts newer
# than others.
_PARTS = {
    "campaign_statuses": ("messages", "sent"),
    "unsent_reasons": ("messages", "unsent"),
    "links": ("clicks", "clicks"),
    "devices": ("clicks", "clicks"),
}


class HalfBuilt(PassonaError):  # noqa: N818  # named for what happened, as all errors are
    """The marts are not all of one build. Build them again with `passona transform`."""


def is_half_built(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return True if there are marts, and their last build was interrupted."""
    last = connection.execute(
        "SELECT outcome FROM passona.runs WHERE verb = 'transform' ORDER BY started_at DESC LIMIT 1"
    ).fetchall()
    return last in ([("running",)], [("interrupted",)]) and bool(tables_of(connection, SCHEMA))


def left_out(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Return the tables of the schema that are not copied."""
    return tuple(sorted(tables_of(connection, SCHEMA) - set(PUBLIC)))


def copy_marts(connection: duckdb.DuckDBPyConnection, file: Path, storage_version: str) -> None:
    """Write the public marts, with their comments, to a new DuckDB file.

    :raises ConfigurationError: a mart is missing.
    :raises HalfBuilt: the marts disagree with each other.
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
    missing = sorted(set(PUBLIC) - tables_of(connection, SCHEMA))
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


def _comments(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Return kind (TABLE or COLUMN), quoted name and comment."""
    rows = connection.execute(
        "SELECT 'TABLE', table_name, NULL, comment FROM duckdb_tables() WHERE schema_name = $schema "
        "AND database_name = current_database() AND comment IS NOT NULL AND table_name IN $public UNION ALL "
        "SELECT 'COLUMN', table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = $schema "
        "AND database_name = current_database() AND comment IS NOT NULL AND table_name IN $public",
        {"schema": SCHEMA, "public": list(PUBLIC)},
    ).fetchall()
    return [
        (what, ".".join(quoted(name) for name in (table, column) if name), comment)
        for what, table, column, comment in rows
    ]
