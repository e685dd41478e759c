"""The columns of a warehouse that may contain a person's number, and the texts that do.

catalog -> columns, ours and the users' -> candidate texts (by SQL) -> texts that name a person (by `phones`)
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from passona.masking.phone_search import may_name
from passona.masking.phones import all_spellings, names_one, phones_of, read_phone
from passona.masking.tokens import PHONE_TOKEN
from passona.reports.definitions import REPORTS
from passona.reports.tables import DATASET, TABLES
from passona.warehouse.accounts import ALL
from passona.warehouse.connection import IS_GENERATED, Connection, is_server, literal, quoted
from passona.warehouse.ownership import INTERNAL, SCHEMAS, STAGING, registered_columns

# Names of columns of phones in reports, marts, and users' tables made from them.
_PHONES = {
    *("phone", "msisdn"),
    *(name for table in TABLES.values() for name, kind in table.personal.items() if kind == "phone"),
}
# Columns of ids and digests in reports and marts: they join rows, and their digits are not phones.
_KEYS = {
    *(name for table in TABLES.values() for name in table.schema.names if name.endswith("_id")),
    *(name for table in TABLES.values() for name, kind in table.personal.items() if kind in ("id", "digest")),
    *("digest", "click_id", "message_key", "_dlt_load_id", "_dlt_id", "_snapshot"),
}
# Its last twelve hexadecimal digits may all be decimal.
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TOKEN = re.compile(PHONE_TOKEN)
_REPORTS = {f"{DATASET}.{name}" for name in REPORTS}
_TEXT_TYPES = ("VARCHAR", "character varying", "text")
# Types whose values have digits, but no phone numbers.
_OTHER_TYPES = re.compile("bool|date|time|interval|uuid|bit|xid", re.IGNORECASE)
_SEVERAL_VALUES = re.compile(r"STRUCT|MAP|UNION|JSON|.*\]$", re.IGNORECASE | re.DOTALL)
_NUMBERS = re.compile(
    r"(?:u?(?:tiny|small|big|huge)?int(?:eger)?|double|float|real|decimal\([0-9, ]+\))", re.IGNORECASE
)
_COLUMNS_OF_FILE = f"""
SELECT database_name, schema_name, table_name, column_name, data_type, is_nullable, {IS_GENERATED}
FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, schema_name, table_name)
WHERE database_name = current_database() AND NOT temporary ORDER BY 2, 3, column_index
"""  # noqa: S608  # constants
_COLUMNS_OF_SERVER = f"""
SELECT table_catalog, table_schema, table_name, column_name, data_type, is_nullable = 'YES',
    is_generated <> 'NEVER'
FROM information_schema.columns JOIN information_schema.tables USING (table_catalog, table_schema, table_name)
WHERE table_type = 'BASE TABLE' AND table_schema IN ({", ".join(map(literal, SCHEMAS))})
ORDER BY 2, 3, ordinal_position
"""  # noqa: S608  # constants
# Phones in one regular expression: thirty take DuckDB no longer than one, a hundred many times as long.
_AT_ONCE = 10


class TextColumn(NamedTuple):
    """A column whose values can be read as texts. `type`: as SQL writes it.

    `is_ours`: this program or dlt made its table. `within`: SQL condition for the rows to look at.
    """

    database: str
    schema: str
    table_name: str
    name: str
    type: str
    is_nullable: bool
    is_generated: bool = False
    is_ours: bool = True
    within: str = ALL

    @property
    def is_text(self) -> bool:
        return self.type in _TEXT_TYPES

    @property
    def may_name(self) -> bool:
        """Return True if its values may contain a phone. Generated columns follow the columns they derive from."""
        return not self.is_generated and not _OTHER_TYPES.match(self.type)

    @property
    def is_of_numbers(self) -> bool:
        """Return True if each value is one number, which is a phone as a whole or not at all: 0.447700900123 is not."""
        return bool(_NUMBERS.fullmatch(self.type))

    @property
    def as_text(self) -> str:
        """Return its values as text, in SQL."""
        return self.quoted if self.is_text else f"CAST({self.quoted} AS VARCHAR)"

    @property
    def table(self) -> str:
        """Return the full name of the table in SQL, which no temporary table can shadow."""
        return ".".join(map(quoted, (self.database, self.schema, self.table_name)))

    @property
    def quoted(self) -> str:
        return quoted(self.name)

    @property
    def shown(self) -> str:
        """Return the name of the table for people."""
        return f"{self.schema}.{self.table_name}"

    @property
    def is_of_phones(self) -> bool:
        return self.name.lower() in _PHONES and not _SEVERAL_VALUES.match(self.type)

    @property
    def is_of_keys(self) -> bool:
        """Return True if it has ids or digests, or is internal to dlt or this program.

        In users' tables a name proves nothing: people store numbers under any name.
        """
        return self.is_ours and (self.name.lower() in _KEYS or self.table_name.startswith("_"))

    def names(self, text: str, phones: Collection[str]) -> bool:
        """Return True if a value of the column contains one of these phones. `phones`: in all their spellings."""
        if self.is_of_numbers:
            return read_phone(text) in phones
        return not _UUID.fullmatch(text) and names_one(text, phones)


def text_columns(connection: Connection) -> list[TextColumn]:
    """Return every column that may contain a phone: in a file of all tables, on a server of ours.

    Of our columns only texts and those of the reports: the others are sums.
    """
    columns = [column for column in every_column(connection) if column.may_name]
    if is_server(connection):
        return [column for column in columns if column.is_text and column.is_ours]
    made = registered_columns(connection)
    return [column for column in columns if column.is_text or not _holds_sums(column, made)]


def of_campaigns(columns: Sequence[TextColumn], within: str) -> list[TextColumn]:
    """Limit columns to rows of some campaigns (`accounts.rows_of`).

    Users' tables are left out, because their rows may be of any account, and so are tables without campaigns.
    """
    if within == ALL:
        return [*columns]
    tables = {column.shown for column in columns if column.is_ours and column.name == "campaign_id"}
    return [column._replace(within=within) for column in columns if column.shown in tables]


def _holds_sums(column: TextColumn, made: Mapping[str, Collection[str]] | None) -> bool:
    if not column.is_ours or column.shown in _REPORTS:
        return False
    return made is None or column.table_name.startswith("_") or column.name in made.get(column.shown, ())


def every_column(connection: Connection) -> list[TextColumn]:
    """Return every column of every table in order; on a server of our schemas."""
    made = registered_columns(connection)
    rows = connection.execute(_COLUMNS_OF_SERVER if is_server(connection) else _COLUMNS_OF_FILE).fetchall()
    return [TextColumn(*(*values, _is_table_of_ours(values[1], values[2], made))) for values in rows]


def _is_table_of_ours(schema: str, table: str, made: Collection[str] | None) -> bool:
    if made is None:  # in a copy without a register
        return schema in SCHEMAS
    is_internal = table in TABLES or table in INTERNAL or table.startswith("_dlt_")
    return f"{schema}.{table}" in made or (schema in (DATASET, STAGING) and is_internal)


def texts_naming(
    connection: Connection, column: TextColumn, phones: Sequence[str], tokens: Collection[str]
) -> set[str]:
    """Return the values of a column, as texts, that contain one of these phones or tokens."""
    spelled = all_spellings(phones)
    naming = {text for text in texts_that_may_name(connection, column, phones) if column.names(text, spelled)}
    if tokens:
        rows = connection.execute(
            f"SELECT DISTINCT {column.as_text} FROM {column.table} "  # noqa: S608  # quoted names
            f"WHERE strpos({column.as_text}, 'p_') > 0 AND {column.within}"
        ).fetchall()
        naming |= {text for (text,) in rows if not set(TOKEN.findall(text)).isdisjoint(tokens)}
    return naming


def texts_that_stand_for(connection: Connection, column: TextColumn, phones: Sequence[str]) -> set[str]:
    """Return the values of a column of phones, as texts, that are one of these phones in any spelling."""
    spelled = all_spellings(phones)
    texts = texts_that_may_name(connection, column, phones)
    return {text for text in texts if not phones_of(text).isdisjoint(spelled)}


def texts_that_may_name(connection: Connection, column: TextColumn, phones: Sequence[str]) -> Iterator[str]:
    """Yield the texts of a column that may contain one of these phones; nearly all others are skipped."""
    for at in range(0, len(phones), _AT_ONCE):
        form = literal(may_name(phones[at : at + _AT_ONCE]))
        rows = connection.execute(
            f"SELECT DISTINCT {column.as_text} FROM {column.table} "  # noqa: S608  # quoted names, digits
            f"WHERE regexp_replace({column.as_text}, {form}, '') <> {column.as_text} AND {column.within}"
        ).fetchall()
        yield from (text for (text,) in rows)
