"""A person goes out of every table of a warehouse, and so do the rows that belong to theirs.

    People -> rows of the reports, their fields and issues -> ledger -> marts -> what is left in other texts

Rows of the marts are built anew by `passona transform`, because the rows of their campaigns are fewer.
The bytes are gone when the file has been rewritten (`rewriting`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from passona.connection import Connection, error_kinds
from passona.errors import ConfigurationError
from passona.ownership import SCHEMAS, owned
from passona.people import People
from passona.phones import DIGIT_STEPS, spellings
from passona.quoting import literal, quoted
from passona.reports import REPORTS, Report
from passona.schema import DATASET, TABLES

# Columns that hold a phone, in the tables of the reports, of the marts, and of whoever made others of them.
_PHONES = ("phone", "msisdn", "phone_number", "mobile", "recipient")
# Columns of ids and digests, of the reports and of the marts: digits in them are no phone, and they join rows.
_KEYS = {
    *(name for table in TABLES.values() for name in table.schema.names if name.endswith("_id")),
    *(name for table in TABLES.values() for name, kind in table.personal.items() if kind in ("id", "digest")),
    *("digest", "click_id", "message_key", "_dlt_load_id", "_dlt_id", "_snapshot"),
}
# Its last twelve digits of hexadecimal may all be decimal.
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
ERASED = "[erased]"
_IN_OUR_SCHEMAS = f"is_generated = 'NEVER' AND table_schema IN ({', '.join(map(literal, SCHEMAS))})"
# What is generated follows the columns it is made of.
_NOT_GENERATED = """NOT EXISTS (
    SELECT 1 FROM duckdb_tables() AS made WHERE made.schema_name = table_schema AND made.table_name = columns.table_name
    AND contains(made.sql, column_name || ' VARCHAR GENERATED ALWAYS AS(')
)"""
# Phones in one expression: ten take DuckDB no longer than one, fifty two hundred times as long.
_AT_ONCE = 10


class TextColumn(NamedTuple):
    """A column of text, by its names as they are."""

    schema: str
    table_name: str
    name: str

    @property
    def table(self) -> str:
        """The table as SQL names it."""
        return f"{quoted(self.schema)}.{quoted(self.table_name)}"

    @property
    def quoted(self) -> str:
        return quoted(self.name)

    @property
    def shown(self) -> str:
        """The table as people read it."""
        return f"{self.schema}.{self.table_name}"

    @property
    def is_of_phones(self) -> bool:
        return self.name.lower() in _PHONES

    @property
    def is_of_keys(self) -> bool:
        """Whether it holds ids or digests, or belongs to dlt or to the register: nothing in it is a text."""
        return self.name.lower() in _KEYS or (self.schema.startswith(DATASET) and self.table_name.startswith("_"))


def erase(connection: Connection, people: People, in_texts: Sequence[str] | None = None) -> Counter[str]:
    """Rows that went or lost the number, by table. In the caller's transaction. A copy may lack some tables.

    `in_texts`: phones to look for in other texts; found here, if none are given.
    """
    name_people(connection, people)
    connection.execute("CREATE TEMP TABLE _erased (campaign_id VARCHAR, report VARCHAR, row_id VARCHAR)")
    erased: Counter[str] = Counter()
    columns = text_columns(connection)
    there = {column.shown for column in columns}
    if in_texts is None:
        in_texts = _phones_of_texts(connection, people.phones, columns)
    for report in REPORTS.values():
        if report.phone_key is not None and f"passona.{report.name}" in there:
            erased += _erase_report(connection, report)
    if "passona.report_ledger" in there:
        _note_in_ledger(connection)
    erased += _erase_marts(connection)
    erased += _erase_texts(connection, in_texts)
    connection.execute("DROP TABLE _people")
    connection.execute("DROP TABLE _erased")
    return erased


def name_people(connection: Connection, people: People) -> None:
    """Makes the table `_people`, which the conditions of this room ask."""
    connection.execute("CREATE TEMP TABLE _people AS SELECT unnest(?::VARCHAR[]) AS phone", [[*people.values]])


def found_of(connection: Connection, values: Sequence[str], columns: Iterable[TextColumn] | None = None) -> set[str]:
    """Those of these phones or tokens that stand in a column of phones. `columns`: all, if none are given."""
    found: set[str] = set()
    for column in text_columns(connection) if columns is None else columns:
        if column.is_of_phones:
            found |= {
                value
                for (value,) in connection.execute(
                    f"SELECT value FROM (SELECT unnest(?::VARCHAR[]) AS value) AS asked "  # noqa: S608  # quoted names
                    f"WHERE value IN (SELECT {column.quoted} FROM {column.table}) "
                    f"OR value IN (SELECT {_digits(column.quoted)} FROM {column.table})",
                    [[*values]],
                ).fetchall()
            }
    return found


def telling(connection: Connection, phones: Sequence[str]) -> list[str]:
    """Phones that nothing which stays holds as a part: in ids, in longer numbers. Bytes tell of these alone."""
    columns = text_columns(connection)
    return [phone for phone in phones if not any(_stays_within(connection, column, phone) for column in columns)]


def _stays_within(connection: Connection, column: TextColumn, phone: str) -> bool:
    if column.is_of_phones:
        digits = _digits(column.quoted)
        condition = f"strpos({digits}, '{phone}') > 0 AND {digits} <> '{phone}'"
    else:
        condition = f"strpos({column.quoted}, '{phone}') > 0"
        if not column.is_of_keys:
            condition += f" AND NOT ({_holds(column, [phone])})"
    return bool(connection.execute(f"SELECT 1 FROM {column.table} WHERE {condition} LIMIT 1").fetchall())  # noqa: S608  # quoted names, digits


def _phones_of_texts(connection: Connection, phones: Sequence[str], columns: Collection[TextColumn]) -> list[str]:
    """Phones to look for in other texts: not the ends of other people's, which were given without country code."""
    found = found_of(connection, phones, columns)
    return [phone for phone in phones if phone in found or not ends_another(connection, phone, columns)]


def tell_of(column: TextColumn, phones: Sequence[str], tokens: Iterable[str]) -> list[str]:
    """Conditions, any of which holds in a row of which this column tells something of the `_people`.

    `phones`, `tokens`: theirs, to look for in other texts.
    """
    if column.is_of_phones:
        return [_is_one_of_them(column.quoted)]
    if column.is_of_keys:
        return []
    named = [_holds(column, phones[at : at + _AT_ONCE]) for at in range(0, len(phones), _AT_ONCE)]
    return [*named, *(f"strpos({column.quoted}, '{token}') > 0" for token in tokens)]


def ends_another(connection: Connection, phone: str, columns: Iterable[TextColumn]) -> bool:
    """Whether somebody else's phone ends in these digits."""
    return any(
        connection.execute(
            f"SELECT 1 FROM {column.table} WHERE right({_digits(column.quoted)}, {len(phone)}) = '{phone}' LIMIT 1"  # noqa: S608  # quoted names, digits
        ).fetchall()
        for column in columns
        if column.is_of_phones
    )


def _digits(column: str) -> str:
    """A phone's digits, however it is written, as `phones.phone_digits` makes them."""
    for form, digits in DIGIT_STEPS:
        column = f"regexp_replace({column}, {literal(form)}, {literal(digits)}, 'g')"
    return column


def _is_one_of_them(column: str) -> str:
    """A condition on a column of phones, however they are written there."""
    people = "(SELECT phone FROM _people)"
    return f"({column} IN {people} OR {_digits(column)} IN {people})"


def _erase_report(connection: Connection, report: Report) -> Counter[str]:
    connection.execute(
        f"INSERT INTO _erased SELECT campaign_id, '{report.name}', row_id FROM passona.{report.name} "  # noqa: S608  # constant names
        f"WHERE {_is_one_of_them(str(report.phone_column))}"
    )
    theirs = f"row_id IN (SELECT row_id FROM _erased WHERE report = '{report.name}')"  # noqa: S608  # a constant name
    erased = Counter({f"passona.{name}": _deleted(connection, f"passona.{name}", theirs) for name in report.tables})
    erased["passona.row_issues"] += _deleted(connection, "passona.row_issues", f"report = '{report.name}' AND {theirs}")
    return erased


def _note_in_ledger(connection: Connection) -> None:
    """The counts stay true, and the digest is another: the next walk tells it."""
    connection.execute(
        "UPDATE passona.report_ledger AS ledger SET row_count = row_count - gone.number, "
        "suppressed = coalesce(suppressed, 0) + gone.number, digest = NULL "
        "FROM (SELECT campaign_id, report, count(*) AS number FROM _erased GROUP BY campaign_id, report) AS gone "
        "WHERE gone.campaign_id = ledger.campaign_id AND gone.report = ledger.report"
    )


def _erase_marts(connection: Connection) -> Counter[str]:
    """Rows of theirs in all other tables, and what the marts keep of a click beside its row."""
    erased: Counter[str] = Counter()
    own = {f"passona.{report.name}" for report in REPORTS.values()}
    columns = text_columns(connection)
    for column in columns:
        if column.is_of_phones and column.shown not in own:
            erased[column.shown] += _deleted(connection, column.table, _is_one_of_them(column.quoted))
    tables = {column.shown for column in columns}
    ours = owned(connection)
    if ours is not None:  # in a copy that has no register all models are ours
        tables &= ours
    if {"analytics.links", "passona.clicks"} <= tables:
        # Without any click left, the address may have been this person's own.
        erased["analytics.links"] += _deleted(
            connection,
            "analytics.links AS links",
            "campaign_id IN (SELECT campaign_id FROM _erased) AND NOT EXISTS (SELECT 1 FROM passona.clicks AS clicks "
            "WHERE clicks.campaign_id = links.campaign_id "
            "AND clicks.link_destination IS NOT DISTINCT FROM links.link_destination)",
        )
    if "analytics_staging.int_user_agents" in tables:
        connection.execute("DELETE FROM analytics_staging.int_user_agents")  # of the last build; the next makes it
    return erased


def _erase_texts(connection: Connection, phones: Sequence[str]) -> Counter[str]:
    """Numbers and tokens within other texts: another's message, an address, a table that somebody made.

    Columns of phones have lost the rows that are theirs; whatever is left there is another's number.
    """
    changed: Counter[str] = Counter()
    for column in text_columns(connection):
        if column.is_of_phones or column.is_of_keys:
            continue
        for at in range(0, len(phones), _AT_ONCE):
            some, text = phones[at : at + _AT_ONCE], column.quoted
            for _ in range(2):  # of two that one space parts, a pass takes the first
                text = f"regexp_replace({text}, {_whole(some)}, '\\1{ERASED}\\2', 'g')"
            changed[column.shown] += _updated(connection, column, text, _holds(column, some))
        for token in _tokens_within(connection, column):
            text = f"replace({column.quoted}, '{token}', '{ERASED}')"
            changed[column.shown] += _updated(connection, column, text, f"strpos({column.quoted}, '{token}') > 0")
    return changed


def _whole(phones: Iterable[str]) -> str:
    """An expression for all of a phone, however it is written: within more digits it is somebody else's number."""
    return literal(rf"(^|[^0-9])(?:{'|'.join(map(spellings, phones))})($|[^0-9])")


def _holds(column: TextColumn, phones: Iterable[str]) -> str:
    """A condition: the text names one of these phones."""
    return (
        f"regexp_replace({column.quoted}, {_whole(phones)}, '') <> {column.quoted} "
        f"AND regexp_replace({column.quoted}, '^{_UUID}$', '') <> ''"
    )


def _tokens_within(connection: Connection, column: TextColumn) -> list[str]:
    """Their tokens in the texts of a column, where a phone stood among other words."""
    found = connection.execute(
        f"SELECT phone FROM _people WHERE left(phone, 2) = 'p_' "  # noqa: S608  # quoted names
        f"AND EXISTS (SELECT 1 FROM {column.table} WHERE strpos({column.quoted}, phone) > 0)"
    ).fetchall()
    return [token for (token,) in found]


def _updated(connection: Connection, column: TextColumn, text: str, condition: str) -> int:
    """Gives a column another text where the condition holds; the rows it was so in."""
    return _changed(connection, column.table, f"UPDATE {column.table} SET {column.quoted} = {text} WHERE {condition}")  # noqa: S608  # quoted names, digits


def text_columns(connection: Connection) -> list[TextColumn]:
    """Every column of text of every table: a file is the warehouse's alone. On a server those of our own tables."""
    if not _is_server(connection):
        return _text_columns(connection, _NOT_GENERATED)
    ours = owned(connection) or ()
    return [column for column in _text_columns(connection, _IN_OUR_SCHEMAS) if column.shown in ours]


def named_elsewhere(connection: Connection, people: People) -> list[str]:
    """On a server, tables that users made beside ours and that name one of these people: theirs to erase."""
    if not _is_server(connection):
        return []
    ours = owned(connection) or ()
    name_people(connection, people)
    tokens = [value for value in people.values if value.startswith("p_")]
    found = {
        column.shown
        for column in _text_columns(connection, _IN_OUR_SCHEMAS)
        if column.shown not in ours
        for condition in tell_of(column, people.phones, tokens)
        if connection.execute(f"SELECT 1 FROM {column.table} WHERE {condition} LIMIT 1").fetchall()  # noqa: S608  # quoted names, digits
    }
    connection.execute("DROP TABLE _people")
    return sorted(found)


def _is_server(connection: Connection) -> bool:
    return "PostgreSQL" in str(connection.execute("SELECT version()").fetchone())


def _text_columns(connection: Connection, condition: str) -> list[TextColumn]:
    found: list[tuple[Any, ...]] = connection.execute(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "  # noqa: S608  # constants
        "JOIN information_schema.tables USING (table_catalog, table_schema, table_name) "
        "WHERE table_catalog = current_database() AND table_type = 'BASE TABLE' "
        f"AND data_type IN ('VARCHAR', 'character varying', 'text') AND {condition} ORDER BY 1, 2, 3"
    ).fetchall()
    return [TextColumn(*names) for names in found]


def _deleted(connection: Connection, table: str, condition: str) -> int:
    return _changed(connection, table, f"DELETE FROM {table} WHERE {condition}")  # noqa: S608  # our own words


def _changed(connection: Connection, table: str, sql: str) -> int:
    """The rows that a statement changed.

    :raises ConfigurationError: a constraint of the user's table forbids it.
    """
    try:
        ((rows,),) = connection.execute(sql).fetchall()
    except error_kinds("IntegrityError") as error:
        raise ConfigurationError(
            f"{table.partition(' ')[0]}: a constraint keeps people in this table, so nobody was forgotten; drop it, or "
            "erase them there yourself, and run again"
        ) from error
    return int(rows)
