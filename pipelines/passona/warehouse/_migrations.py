"""Warehouses of other versions: the first version's is migrated, a later version's refused.

    passona._upgrades -> form number -> statements of the migration, in the first transaction of a run -> FORM

Form 0 is that of the first version. A new column that may be NULL in old rows needs no new form: `_schema` adds it.
"""

from importlib.metadata import version

from passona.errors import ConfigurationError
from passona.reports.tables import DATASET, FORM, TABLES
from passona.warehouse.connection import Connection, columns_of, first_row, tables_of
from passona.warehouse.ownership import UPGRADES

# ruff: noqa: S608  # the statements are constants

# The tables of rows in form 0, each with the report of its rows in SQL.
_ROWS = {
    "clicks": "'clicks'", "delivery": "'delivery'", "alt_delivery": "'alt_delivery'",
    "alt_delivery__fields": "'alt_delivery'", "recipient": "'recipient'", "recipient__fields": "'recipient'",
    "sent": "'sent'", "unsent": "'unsent'", "unsent__fields": "'unsent'", "row_issues": "report",
}  # fmt: skip
_MIXED_CASE = "campaign_id <> lower(campaign_id)"


def check_readable(connection: Connection) -> None:
    """Check that this version can read the warehouse, or that it is empty.

    :raises ConfigurationError: it has another form; says what to do.
    """
    form, made_by = _form(connection)
    if form is not None and (form < FORM or _lacks_columns(connection)):
        raise ConfigurationError(
            f"the warehouse was made by an earlier version of passona-warehouse ({made_by}, this is "
            f"{_this_version()}): run passona load, which brings it forward"
        )


def migrate(connection: Connection) -> None:
    """Bring the warehouse to FORM, in the caller's transaction.

    :raises ConfigurationError: a later version created it; says what to do.
    """
    form, _ = _form(connection)
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {DATASET}.{UPGRADES} (form BIGINT NOT NULL, step VARCHAR NOT NULL, "
        "version VARCHAR NOT NULL, taken_at TIMESTAMP WITH TIME ZONE NOT NULL)"
    )
    if form == FORM:
        return
    if form is not None:
        _lower_campaign_ids(connection)
    step = "created" if form is None else "campaign ids are in lower case"
    connection.execute(f"INSERT INTO {DATASET}.{UPGRADES} VALUES (?, ?, ?, now())", [FORM, step, _this_version()])


def _form(connection: Connection) -> tuple[int | None, str]:
    """Return the form of the warehouse, None if it has no tables, and the version that gave it this form."""
    tables = tables_of(connection, DATASET)
    row = None
    if UPGRADES in tables:
        query = f"SELECT form, version FROM {DATASET}.{UPGRADES} ORDER BY form DESC LIMIT 1"
        row = first_row(connection.execute(query))
    elif not tables & TABLES.keys():
        return None, ""
    form, made_by = row or (0, "0.1.0")
    if form > FORM:
        raise ConfigurationError(
            f"the warehouse was made by passona-warehouse {made_by}, and this is {_this_version()}, which does not "
            f"know its form: pip install --upgrade 'passona-warehouse>={made_by}'"
        )
    return form, made_by


def _lacks_columns(connection: Connection) -> bool:
    columns = columns_of(connection, DATASET)
    tables = {table for table, _ in columns}
    return any(
        (table.name, column) not in columns
        for table in TABLES.values()
        if table.name in tables
        for column in table.sql_columns
    )


def _lower_campaign_ids(connection: Connection) -> None:
    """Write campaign ids in lower case. Of a campaign with both spellings, rows of the lower-case one stay."""
    # The other spelling may have been loaded later, so the report is due again.
    connection.execute(
        "UPDATE passona.report_ledger SET state = 'open' WHERE state = 'settled' "
        f"AND campaign_id IN (SELECT lower(campaign_id) FROM passona.report_ledger WHERE {_MIXED_CASE})"
    )
    campaign_tables = ("campaigns__contact_groups", "campaigns")
    by_report = _ROWS | {"report_ledger": "report"}
    for table, report in by_report.items():
        connection.execute(
            f"DELETE FROM passona.{table} WHERE {_MIXED_CASE} "
            f"AND (lower(campaign_id), {report}) IN (SELECT campaign_id, report FROM passona.report_ledger)"
        )
    for table in campaign_tables:
        connection.execute(
            f"DELETE FROM passona.{table} WHERE {_MIXED_CASE} "
            "AND lower(campaign_id) IN (SELECT campaign_id FROM passona.campaigns)"
        )
    for table in (*by_report, *campaign_tables):
        connection.execute(f"UPDATE passona.{table} SET campaign_id = lower(campaign_id) WHERE {_MIXED_CASE}")


def _this_version() -> str:
    return version("passona-warehouse")
