"""The form of a warehouse: one made by an earlier version is brought forward, one by a later version refused.

    open file -> form noted in it -> steps that it has not seen, columns that it lacks -> form of this version

The form is a number: how many of `STEPS` the warehouse has seen; that of the first release is 0. It is noted
in the table `_upgrades`, a row for each step with the version that took it. All of it is one transaction, the
first thing that a load does: killed in the middle of it, the warehouse is in its old form.

What changes the tables goes here, beside the change itself:

- A new column that may be NULL in old rows is written in `schema` alone. It is added to every warehouse.
- It gets a step, too, where old rows need another value, or where earlier versions must not write such a
  warehouse any more, because they would leave the column empty: a step is what makes them refuse.
- A step is frozen once it is released, and never left out or moved. It does all it needs by itself (`ADD COLUMN
  IF NOT EXISTS`), for the columns that `schema` names today may have gone again in a later step.
- A step that renames a column or changes its type also empties `passona._dlt_version`: there dlt keeps the
  columns as they were. It learns them anew with the next package.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from passona.errors import ConfigurationError
from passona.reports.tables import DATASET, TABLES
from passona.warehouse.connection import Connection, columns_of, first_row, tables_of
from passona.warehouse.ownership import UPGRADES

# ruff: noqa: S608  # the statements are constants


@dataclass(frozen=True)
class Step:
    """One change of form. `statements`: SQL that is run once, in order."""

    why: str
    statements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """What a warehouse says of itself. `version`: of the program that gave it this form."""

    number: int
    version: str


# The tables of rows in the first release, each with the report of its rows.
_ROWS = {
    "clicks": "'clicks'", "delivery": "'delivery'", "alt_delivery": "'alt_delivery'",
    "alt_delivery__fields": "'alt_delivery'", "recipient": "'recipient'", "recipient__fields": "'recipient'",
    "sent": "'sent'", "unsent": "'unsent'", "unsent__fields": "'unsent'", "row_issues": "report",
}  # fmt: skip
_ODD = "campaign_id <> lower(campaign_id)"


def _lowered() -> tuple[str, ...]:
    """SQL that writes campaign ids in lower case. Where both spellings are there, that in lower case stays."""
    # Another spelling may have been loaded later, so what stays is due again.
    statements = [
        f"""
        UPDATE passona.report_ledger SET state = 'open' WHERE state = 'settled'
        AND campaign_id IN (SELECT lower(campaign_id) FROM passona.report_ledger WHERE {_ODD})
        """
    ]
    statements += [
        f"""
        DELETE FROM passona.{table} WHERE {_ODD}
        AND (lower(campaign_id), {report}) IN (SELECT campaign_id, report FROM passona.report_ledger)
        """
        for table, report in (_ROWS | {"report_ledger": "report"}).items()
    ]
    statements += [
        f"""
        DELETE FROM passona.{table} WHERE {_ODD} AND lower(campaign_id) IN (SELECT campaign_id FROM passona.campaigns)
        """
        for table in ("campaigns__contact_groups", "campaigns")
    ]
    tables = (*_ROWS, "report_ledger", "campaigns__contact_groups", "campaigns")
    statements += [f"UPDATE passona.{table} SET campaign_id = lower(campaign_id) WHERE {_ODD}" for table in tables]
    return tuple(statements)


STEPS: tuple[Step, ...] = (Step("campaign ids are in lower case", _lowered()),)
_FIRST = Form(0, "0.1.0")


def form_of(connection: Connection) -> Form | None:
    """The form of a warehouse; None where nothing was ever loaded. Before there were notes it was the first."""
    tables = tables_of(connection, DATASET)
    if UPGRADES not in tables:
        return _FIRST if tables & TABLES.keys() else None
    noted = first_row(connection.execute(f"SELECT form, version FROM {DATASET}.{UPGRADES} ORDER BY form DESC LIMIT 1"))
    return Form(*noted) if noted else _FIRST


def check_readable(connection: Connection) -> None:
    """Nothing, where this version can read the warehouse, or where there is none.

    :raises ConfigurationError: it is of another form; says what to do.
    """
    form = form_of(connection)
    if form is None:
        return
    _refuse_later(form)
    if form.number < len(STEPS) or missing_columns(connection):
        raise ConfigurationError(
            f"the warehouse was made by an earlier version of passona-warehouse ({form.version}, this is "
            f"{_version()}): run passona load, which brings it forward"
        )


def migrate(connection: Connection) -> bool:
    """Takes the steps that the warehouse has not seen, and notes them; whether there were any. To be called in a
    transaction.

    :raises ConfigurationError: a later version made it; says what to do.
    """
    form = form_of(connection)
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {DATASET}.{UPGRADES} (form BIGINT NOT NULL, step VARCHAR NOT NULL, "
        "version VARCHAR NOT NULL, taken_at TIMESTAMP WITH TIME ZONE NOT NULL)"
    )
    if form is None:
        _note(connection, len(STEPS), "made so")
        return False
    _refuse_later(form)
    for number, step in enumerate(STEPS[form.number :], form.number + 1):
        for statement in step.statements:
            connection.execute(statement)
        _note(connection, number, step.why)
    return form.number < len(STEPS)


def missing_columns(connection: Connection) -> list[tuple[str, str]]:
    """Columns of this version that the warehouse's tables do not have, each with its table."""
    found = columns_of(connection, DATASET)
    there = {table for table, _ in found}
    return [
        (table.name, column)
        for table in TABLES.values()
        if table.name in there
        for column in table.sql_columns
        if (table.name, column) not in found
    ]


def _refuse_later(form: Form) -> None:
    if form.number > len(STEPS):
        raise ConfigurationError(
            f"the warehouse was made by passona-warehouse {form.version}, and this is {_version()}, which does not "
            f"know its form: pip install --upgrade 'passona-warehouse>={form.version}'"
        )


def _note(connection: Connection, form: int, step: str) -> None:
    connection.execute(
        f"INSERT INTO {DATASET}.{UPGRADES} VALUES (?, ?, ?, now())",
        [form, step, _version()],
    )


def _version() -> str:
    return version("passona-warehouse")
