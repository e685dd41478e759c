"""Erase people from every table of a warehouse.

    People -> rows of the reports, their fields and issues -> ledger -> marts -> other texts

`passona transform` then rebuilds the marts of the campaigns. The bytes are gone once the file has been rewritten
(`duckdb_rewriting`).
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set

from passona.erasure.text_columns import (
    TOKEN,
    TextColumn,
    every_column,
    of_campaigns,
    text_columns,
    texts_naming,
    texts_that_may_name,
    texts_that_stand_for,
)
from passona.errors import ConfigurationError
from passona.masking.people import People
from passona.masking.phones import ERASED, all_spellings, core, erased, phones_of, spellings_of
from passona.reports.definitions import REPORTS, Report
from passona.warehouse.accounts import ALL
from passona.warehouse.connection import Connection, error_kinds, is_server, temp_table
from passona.warehouse.ownership import registered_columns


def erase(
    connection: Connection, people: People, in_texts: Sequence[str], apart: Collection[str] = (), within: str = ALL
) -> Counter[str]:
    """Erase people in the caller's transaction; return the number of rows deleted or changed, by table.

    A copy may lack some tables.

    `in_texts`: phones to replace in other texts (`phones_of_texts`). `apart`: tables that `erase_linked` erased.
    `within`: SQL condition for the rows to erase from (`accounts.rows_of`).
    """
    every = [column for column in text_columns(connection) if column.shown not in apart]
    columns, tables = of_campaigns(every, within), {column.shown for column in every}
    create_people_table(connection, people, columns)
    connection.execute("CREATE TEMP TABLE _erased (campaign_id VARCHAR, report VARCHAR, row_id VARCHAR)")
    erased: Counter[str] = Counter()
    for report in REPORTS.values():
        if report.phone_key is not None and f"passona.{report.name}" in tables:
            erased += _erase_report(connection, report, within)
    if "passona.report_ledger" in tables:
        _update_ledger(connection)
    erased += _erase_marts(connection, columns, tables)
    erased += erase_texts(connection, columns, in_texts, people.tokens)
    connection.execute("DROP TABLE _people")
    connection.execute("DROP TABLE _erased")
    return erased


def create_people_table(connection: Connection, people: People, columns: Iterable[TextColumn] = ()) -> None:
    """Create the table `_people`: their phones and tokens, in every spelling that columns of phones have."""
    spelled = {
        text
        for column in columns
        if column.is_of_phones
        for text in texts_that_stand_for(connection, column, people.phones)
    }
    connection.execute(
        "CREATE TEMP TABLE _people AS SELECT unnest(?::VARCHAR[]) AS phone", [[*spelled.union(people.values)]]
    )


def find_people(connection: Connection, values: Sequence[str], columns: Iterable[TextColumn] | None = None) -> set[str]:
    """Return which of these phones or tokens occur in a column of phones. `columns`: default all."""
    people: set[str] = set()
    phones = [value for value in values if value.isdigit()]
    for column in text_columns(connection) if columns is None else columns:
        if column.is_of_phones:
            with temp_table(connection, value=values):
                same = (
                    f"SELECT given.value FROM given WHERE given.value IN "  # noqa: S608  # quoted names
                    f"(SELECT {column.as_text} FROM {column.table} WHERE {column.within})"
                )
                people |= {value for (value,) in connection.execute(same).fetchall()}
            for text in texts_that_may_name(connection, column, phones):
                people |= phones_of(text).intersection(phones)
    return people


def searchable_phones(connection: Connection, phones: Sequence[str]) -> list[str]:
    """Return the phones that no remaining id or longer number contains: only these can be searched for in bytes."""
    columns = text_columns(connection)
    return [phone for phone in phones if not any(_remains_in(connection, column, phone) for column in columns)]


def phones_that_remain(connection: Connection, phones: Sequence[str]) -> set[str]:
    """Return the phones that a text of any table names, such as of another account."""
    remaining: set[str] = set()
    for column in every_column(connection):
        for text in texts_naming(connection, column, phones, ()) if column.may_name else ():
            remaining |= {phone for phone in {*phones} - remaining if column.names(text, spellings_of(phone))}
    return remaining


def _remains_in(connection: Connection, column: TextColumn, phone: str) -> bool:
    return not column.is_of_numbers and any(
        core(phone) in re.sub("[^0-9]", "", text) and (column.is_of_keys or not column.names(text, spellings_of(phone)))
        for text in texts_that_may_name(connection, column, [phone])
    )


def phones_of_texts(connection: Connection, phones: Sequence[str]) -> list[str]:
    """Return the phones to replace in texts: not a number without country code that ends another person's."""
    columns = text_columns(connection)
    known = find_people(connection, phones, columns)
    return [phone for phone in phones if phone in known or not ends_another(connection, phone, columns)]


def ends_another(connection: Connection, phone: str, columns: Iterable[TextColumn]) -> bool:
    """Return True if another person's phone ends in these digits."""
    return any(
        other.endswith(phone)
        for column in columns
        if column.is_of_phones
        for text in texts_that_may_name(connection, column, [phone])
        for other in phones_of(text)
    )


def is_one_of_them(column: str) -> str:
    """Return an SQL condition: the phone is one of `_people`."""
    return f"{column} IN (SELECT _people.phone FROM _people)"  # noqa: S608  # quoted names


def _erase_report(connection: Connection, report: Report, within: str) -> Counter[str]:
    connection.execute(
        f"INSERT INTO _erased SELECT campaign_id, '{report.name}', row_id FROM passona.{report.name} "  # noqa: S608  # constant names
        f"WHERE {is_one_of_them(str(report.phone_column))} AND {within}"
    )
    ids = f"row_id IN (SELECT row_id FROM _erased WHERE report = '{report.name}')"  # noqa: S608  # a constant name
    erased = Counter({f"passona.{name}": deleted(connection, f"passona.{name}", ids) for name in report.tables})
    erased["passona.row_issues"] += deleted(connection, "passona.row_issues", f"report = '{report.name}' AND {ids}")
    return erased


def _update_ledger(connection: Connection) -> None:
    """Adjust the row counts, and clear the digests: the next walk computes them."""
    connection.execute(
        "UPDATE passona.report_ledger AS ledger SET row_count = row_count - gone.number, "
        "suppressed = coalesce(suppressed, 0) + gone.number, digest = NULL "
        "FROM (SELECT campaign_id, report, count(*) AS number FROM _erased GROUP BY campaign_id, report) AS gone "
        "WHERE gone.campaign_id = ledger.campaign_id AND gone.report = ledger.report"
    )


def _erase_marts(connection: Connection, columns: Iterable[TextColumn], tables: Set[str]) -> Counter[str]:
    """Delete their rows in all other tables, and what marts derive from their clicks. `tables`: that exist."""
    erased: Counter[str] = Counter()
    own = {f"passona.{report.name}" for report in REPORTS.values()}
    for column in columns:
        if column.is_of_phones and column.shown not in own:
            condition = f"{is_one_of_them(column.as_text)} AND {column.within}"
            erased[column.shown] += deleted(connection, column.table, condition)
    register = registered_columns(connection)
    if register is not None:  # in a copy without a register all models are ours
        tables = register.keys() & tables
    if {"analytics.links", "passona.clicks"} <= tables:
        # A link without any other click may have been made for this person.
        erased["analytics.links"] += deleted(
            connection,
            "analytics.links AS links",
            "campaign_id IN (SELECT campaign_id FROM _erased) AND NOT EXISTS (SELECT 1 FROM passona.clicks AS clicks "
            "WHERE clicks.campaign_id = links.campaign_id "
            "AND clicks.link_destination IS NOT DISTINCT FROM links.link_destination)",
        )
    if "analytics_staging.int_user_agents" in tables:
        connection.execute("DELETE FROM analytics_staging.int_user_agents")  # a cache: the next build fills it
    return erased


def erase_texts(
    connection: Connection, columns: Iterable[TextColumn], phones: Sequence[str], tokens: frozenset[str]
) -> Counter[str]:
    """Replace numbers and tokens within other texts: messages to others, addresses, users' tables.

    Columns of phones are skipped: their rows are deleted, and the remaining numbers are other people's.
    """
    changed: Counter[str] = Counter()
    spelled = all_spellings(phones)

    def without(text: str) -> str:
        numbers_erased = erased(text, spelled.__contains__)
        return TOKEN.sub(lambda token: ERASED if token[0] in tokens else token[0], numbers_erased)

    for column in columns:
        if not column.is_of_phones and not column.is_of_keys:
            texts = texts_naming(connection, column, phones, tokens)
            changed[column.shown] += _replace(connection, column, {text: without(text) for text in sorted(texts)})
    return changed


def _replace(connection: Connection, column: TextColumn, after: Mapping[str, str]) -> int:
    """Replace texts of a column; return the number of rows.

    A value of another type than text becomes NULL if the type cannot hold the mark. Its row is deleted if the column is
    NOT NULL, or if a constraint of the user's table may refuse the mark.
    """
    if not after:
        return 0
    given = f"{column.as_text} IN (SELECT given.before FROM given) AND {column.within}"  # noqa: S608  # quoted names
    if misfits := _misfits(connection, column, after):
        with temp_table(connection, before=misfits):
            rows = deleted(connection, column.table, given)
        return rows + _replace(connection, column, {text: after[text] for text in after.keys() - {*misfits}})
    with temp_table(connection, before=[*after], after=[*after.values()]):
        if column.is_text:
            value = "given.after"
        elif column.is_nullable:
            value = f"TRY(TRY_CAST(given.after AS {column.type}))"
        else:
            return deleted(connection, column.table, given)
        return changed(
            connection,
            column.table,
            f"UPDATE {column.table} AS texts SET {column.quoted} = {value} FROM given "  # noqa: S608  # quoted names
            f"WHERE {column.as_text.replace(column.quoted, f'texts.{column.quoted}')} = given.before "
            f"AND {column.within}",
        )


def _misfits(connection: Connection, column: TextColumn, after: Mapping[str, str]) -> list[str]:
    """Return the texts whose new form a user's table may refuse.

    With a CHECK or a foreign key, these are all. In a unique column, these are texts of only the number, and those that
    would become equal to another.
    """
    constraints = _constraints(connection, column)
    if constraints & {"CHECK", "FOREIGN KEY"}:
        return [*after]
    if not constraints or not column.is_text:
        return []
    with temp_table(connection, after=[*after.values()]):
        same = f"SELECT {column.quoted} FROM {column.table} WHERE {column.quoted} IN (SELECT given.after FROM given)"  # noqa: S608  # quoted names
        existing = [text for (text,) in connection.execute(same).fetchall()]
    counts = Counter([*after.values(), *existing])
    return [text for text, new in after.items() if new == ERASED or counts[new] > 1]


def _constraints(connection: Connection, column: TextColumn) -> set[str]:
    """Return the kinds of constraints on a column of a user's table in a DuckDB file."""
    if column.is_ours or is_server(connection):
        return set()
    place = "database_name = ? AND schema_name = ? AND table_name = ?"
    rows = connection.execute(
        "SELECT constraint_type FROM duckdb_constraints() "  # noqa: S608  # constants
        "WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'CHECK', 'FOREIGN KEY') "
        f"AND {place} AND list_contains(constraint_column_names, ?) UNION ALL "
        f"SELECT 'UNIQUE' FROM duckdb_indexes() WHERE is_unique AND {place} AND contains(expressions, ?)",
        [column.database, column.schema, column.table_name, column.name] * 2,
    ).fetchall()
    return {kind for (kind,) in rows}


def named_elsewhere(connection: Connection, people: People) -> list[str]:
    """Return the users' own tables that name one of these people, for the user to erase."""
    columns = [column for column in every_column(connection) if column.may_name and not column.is_ours]
    return sorted(
        {column.shown for column in columns if texts_naming(connection, column, people.phones, people.tokens)}
    )


def deleted(connection: Connection, table: str, condition: str) -> int:
    return changed(connection, table, f"DELETE FROM {table} WHERE {condition}")  # noqa: S608  # our own words


def changed(connection: Connection, table: str, sql: str) -> int:
    """Execute a statement; return the number of rows that it changed.

    :raises ConfigurationError: a constraint of the user's table forbids it.
    """
    try:
        ((rows,),) = connection.execute(sql).fetchall()
    except error_kinds("IntegrityError") as error:
        raise ConfigurationError(
            f"{table.partition(' ')[0]}: a constraint keeps people in this table, so they are not forgotten yet: drop "
            "it, or erase them there yourself, and run again"
        ) from error
    return int(rows)
