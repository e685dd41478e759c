"""`publish --marts-only`: a DuckDB file of the marts that have no rows of persons.

Only marts in `PUBLIC` are copied: a new mart, or a user's table, is not until it is added there.
"""

from functools import cache
from pathlib import Path

import duckdb

from passona.config.dbt_project import project_folder
from passona.errors import ConfigurationError, PassonaError
from passona.warehouse.accounts import is_of_account, note_account
from passona.warehouse.connection import columns_of, literal, quoted, tables_of

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


@cache
def _documentation() -> str:
    files = sorted(project_folder().rglob("*.yml"))
    return " ".join(" ".join(file.read_text("utf-8").split()) for file in files)


def is_documented(comment: str) -> bool:
    """Return True if a comment on a model is from the dbt project, and not a user's."""
    return " ".join(comment.split()) in _documentation()


def copy_marts(
    connection: duckdb.DuckDBPyConnection, file: Path, storage_version: str, account: str | None = None
) -> None:
    """Write the public marts, with their comments, to a new DuckDB file. `account`: only its campaigns.

    :raises ConfigurationError: a mart is missing.
    :raises HalfBuilt: the marts disagree with each other.
    """
    within = is_of_account(account)
    _check(connection, within)
    columns = {*columns_of(connection, SCHEMA)}
    connection.execute(f"ATTACH {literal(str(file))} AS marts (READ_WRITE, STORAGE_VERSION {literal(storage_version)})")
    try:
        connection.execute(f"CREATE SCHEMA marts.{SCHEMA}")
        for name in PUBLIC:
            # The mart may be older than the move of a campaign to this account.
            own = f" REPLACE ({literal(account)} AS account)" if account and (name, "account") in columns else ""
            rows = f"SELECT *{own} FROM {SCHEMA}.{name} WHERE {within} ORDER BY ALL"  # noqa: S608  # constants
            connection.execute(f"CREATE TABLE marts.{SCHEMA}.{name} AS {rows}")
        for what, name, comment in _comments(connection):
            if account is None or is_documented(comment):
                connection.execute(f"COMMENT ON {what} marts.{SCHEMA}.{name} IS {literal(comment)}")
        if account is not None:
            note_account(connection, account, "marts.")
    finally:
        connection.execute("DETACH marts")


def _check(connection: duckdb.DuckDBPyConnection, within: str) -> None:
    missing = sorted(set(PUBLIC) - tables_of(connection, SCHEMA))
    if missing:
        raise ConfigurationError(f"the warehouse has no {SCHEMA}.{missing[0]}: run passona transform first")
    for name, (part, whole) in _PARTS.items():
        unequal = connection.execute(
            f"SELECT count(*) FROM {SCHEMA}.campaigns LEFT JOIN "  # noqa: S608  # constants of this module
            f"(SELECT campaign_id, sum({part}) AS parts FROM {SCHEMA}.{name} GROUP BY campaign_id) USING (campaign_id) "
            f"WHERE coalesce(campaigns.{whole}, 0) <> coalesce(parts, 0) AND {within}"
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
