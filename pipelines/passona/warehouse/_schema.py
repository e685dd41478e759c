"""The tables of the dataset: created, migrated and described before the first package.

dlt alone would create them at the end of its first load, which takes half a second, and without comments.
"""

from passona.config.settings import DEFAULT_ACCOUNT
from passona.reports.definitions import REPORTS
from passona.reports.tables import DATASET, TABLES, comment_on
from passona.warehouse._key_columns import create_key_table
from passona.warehouse._migrations import migrate
from passona.warehouse.connection import Connection, literal, quoted
from passona.warehouse.engines.engine import Engine
from passona.warehouse.ownership import RESERVED_NAMES, Inventory, QualifiedName, dataset_columns, model_names
from passona.warehouse.policy_table import add_account_column


def create_tables(engine: Engine) -> None:
    """Create what is missing, in two transactions.

    :raises ConfigurationError: a later version created the warehouse, or an object of the user is in the way.
    """
    connection = engine.connection
    inventory = Inventory(connection, engine.relations())
    inventory.check(RESERVED_NAMES)
    connection.begin()
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {DATASET}")
    inventory.update_register([*RESERVED_NAMES, *model_names()])
    migrate(connection)
    inventory.check_types()
    # DuckDB adds no column in a transaction that has changed rows. After a kill here, the next run adds them.
    connection.commit()
    connection.begin()
    missing, new_columns = inventory.missing_tables(), inventory.missing_columns()
    for name in missing:
        columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in TABLES[name].sql_columns.items())
        connection.execute(f"CREATE TABLE {DATASET}.{quoted(name)} ({columns})")
    for name, column, kind in new_columns:
        connection.execute(f"ALTER TABLE {DATASET}.{quoted(name)} ADD COLUMN {quoted(column)} {kind}")
    add_account_column(connection)
    inventory.record({QualifiedName(DATASET, table.name): ("table", table.sql_columns) for table in TABLES.values()})
    create_key_table(connection)
    for statement in engine.indexes:
        connection.execute(statement)
    if missing:
        _mark_dropped(connection, missing)
    _name_account(connection)
    # Only one run writes at a time, so none of these is active.
    connection.execute("UPDATE passona.runs SET outcome = 'interrupted' WHERE outcome = 'running'")
    if missing or new_columns or any(comment != comment_on(*place) for place, comment in inventory.comments()):
        describe(connection)
    connection.commit()


def _name_account(connection: Connection) -> None:
    """Assign what a version without accounts loaded, or the source of such a version, to the account `default`."""
    connection.execute("UPDATE passona.campaigns SET account = ? WHERE account IS NULL", [DEFAULT_ACCOUNT])
    connection.execute(
        "UPDATE passona.runs SET account = ? WHERE account IS NULL AND verb IN ('load', 'import-csv', 'generate')",
        [DEFAULT_ACCOUNT],
    )


def _mark_dropped(connection: Connection, missing: set[str]) -> None:
    """Make reports due whose tables the user dropped, such as by dlt's `drop` command."""
    reports = [report.name for report in REPORTS.values() if not missing.isdisjoint((*report.tables, "row_issues"))]
    connection.execute(
        "UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, error = 'its table was dropped' "
        "WHERE report IN (SELECT unnest(?::VARCHAR[]))",
        [reports],
    )


def describe(connection: Connection) -> None:
    """Comment on our tables and columns, which dlt's descriptions do not do. The user's columns keep their comments."""
    for table in TABLES.values():
        connection.execute(f"COMMENT ON TABLE passona.{quoted(table.name)} IS {literal(table.comment)}")
    for name, columns in dataset_columns(connection).items():
        for column in columns:
            comment = literal(comment_on(name, column))
            connection.execute(f"COMMENT ON COLUMN passona.{quoted(name)}.{quoted(column)} IS {comment}")
