"""`passona person`: everything stored about one person, and which rows of others contain the number.

    phone or token -> its spellings in the warehouse -> rows, fields and issues by table | counts of other rows

Opens the warehouse read-only. A row is the person's if a column of phones says so, as for `passona forget`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from passona.config.address import Address, check_exists
from passona.config.privacy_settings import PrivacySettings
from passona.erasure._erase import ends_another
from passona.erasure.text_columns import (
    TOKEN,
    TextColumn,
    every_column,
    of_campaigns,
    texts_naming,
    texts_that_stand_for,
)
from passona.errors import ConfigurationError
from passona.masking.people import People, people
from passona.masking.phones import all_spellings, phones_of
from passona.reports.definitions import REPORTS
from passona.warehouse.accounts import campaigns_of, rows_of
from passona.warehouse.connection import Connection, registered, tables_of, temp_table
from passona.warehouse.database import open_reader
from passona.warehouse.policy_table import blocked_since, read_privacy

# Replaces the phone of another person in a row of this one.
OTHER = "[another person]"
# Types that are read as they are; all others are read as texts.
_PLAIN = (
    "VARCHAR", "CHARACTER VARYING", "TEXT", "BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "DOUBLE PRECISION",
    "TIMESTAMP WITH TIME ZONE",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class Mention:
    """How many rows of others contain the number in a column, and in which campaigns, if the table has them."""

    table: str
    column: str
    rows: int
    campaigns: list[str]


@dataclass(frozen=True)
class Person:
    """What is stored about a person. `privacy`: the mode of the warehouse. `blocked_since`: when the person was
    forgotten for all accounts, or for the one asked for (UTC), or None. `tables`: their rows, by tables that have any.
    """

    privacy: str
    blocked_since: datetime | None
    tables: dict[str, list[Row]]
    mentions: list[Mention]


_Columns = Collection[TextColumn]


def person(
    address: Address,
    text: tuple[str, str],
    privacy_settings: PrivacySettings,
    wait: float,
    notify: Callable[[str], None],
    *,
    account: str | None = None,
) -> Person:
    """Find a person in the warehouse at `address`. `text`: where the phone or token is from, and itself.

    `account`: only in its campaigns. Users' tables are left out then, because their rows may be of any account.

    :raises ConfigurationError: there is no warehouse, the text is no phone, the privacy is not the warehouse's, or it
        lacks the account.
    """
    check_exists(address)
    with closing(open_reader(address, wait, notify)) as connection:
        if "report_ledger" not in tables_of(connection, "passona"):
            raise ConfigurationError(f"{address} holds no tables of passona: run passona load first")
        campaigns = campaigns_of(connection, account)
        privacy = read_privacy(connection, privacy_settings)
        who = people([text], privacy)
        blocked = blocked_since(connection, who.entries)
        since = min((blocked[each] for each in {None, account} & blocked.keys()), default=None)
        with rows_of(connection, campaigns) as within:
            columns = [column for column in every_column(connection) if not _is_internal(column)]
            return Person(privacy.mode, since, *_find(connection, who, of_campaigns(columns, within)))


def _find(connection: Connection, who: People, columns: _Columns) -> tuple[dict[str, list[Row]], list[Mention]]:
    """Return the person's rows by table, and the mentions in other rows."""
    (issues,) = (each for each in columns if each.shown == "passona.row_issues" and each.name == "raw_value")
    phones = [column for column in columns if column.is_of_phones]
    values = {text for column in phones for text in texts_that_stand_for(connection, column, who.phones)}
    # A phone of another type than text is stored only there.
    in_issues = texts_naming(connection, issues, who.phones, who.tokens)
    with temp_table(connection, value=sorted({*who.values, *values, *in_issues})):
        conditions = _conditions(columns)
        tables = {
            table: rows
            for table, condition in conditions.items()
            if (rows := _rows(connection, _of_table(columns, table), condition, who))
        }
        # A number without its country code may be the end of another person's.
        if not tables and any(ends_another(connection, phone, columns) for phone in who.phones):
            return {}, []
        return tables, list(_mentions(connection, who, columns, conditions))


def _is_internal(column: TextColumn) -> bool:
    """Return True if the column is not part of the contract."""
    return column.is_ours and (column.name.startswith("_") or column.table_name.startswith("_"))


def _of_table(columns: _Columns, table: str) -> list[TextColumn]:
    return [column for column in columns if column.shown == table]


def _conditions(columns: _Columns) -> dict[str, str]:
    """Return, by table, the SQL condition for the person's rows; tables without a column of phones have none."""
    conditions: defaultdict[str, list[str]] = defaultdict(list)
    for column in columns:
        if column.is_of_phones:
            conditions[column.shown].append(f"{column.as_text} IN (SELECT value FROM given)")  # noqa: S608  # quoted names
    for report in REPORTS.values():
        if report.phone_key is None:
            continue
        conditions[f"passona.{report.name}"].append(
            f"row_id IN (SELECT row_id FROM passona.row_issues WHERE report = '{report.name}' "  # noqa: S608  # constant names
            f"AND column_name = '{report.phone_column}' AND raw_value IN (SELECT value FROM given))"
        )
        condition = " OR ".join(conditions[f"passona.{report.name}"])
        within = f"row_id IN (SELECT row_id FROM passona.{report.name} WHERE {condition})"  # noqa: S608  # constant names
        for child in report.tables[1:]:
            conditions[f"passona.{child}"].append(within)
        conditions["passona.row_issues"].append(f"(report = '{report.name}' AND {within})")
    return {table: " OR ".join(conditions[table]) for table in sorted(conditions)}


def _rows(connection: Connection, columns: _Columns, condition: str, who: People) -> list[Row]:
    names = ", ".join(each.quoted if each.type.upper() in _PLAIN else each.as_text for each in columns)
    table, within = next((each.table, each.within) for each in columns)
    query = f"SELECT {names} FROM {table} WHERE ({condition}) AND {within}"  # noqa: S608  # quoted names
    cells_of_rows = connection.execute(query).fetchall()
    known = {*who.values, *all_spellings(who.phones)}
    rows = [
        {c.name: _own(cell, known) if c.is_of_phones else cell for c, cell in zip(columns, cells, strict=True)}
        for cells in cells_of_rows
    ]
    return sorted(rows, key=lambda row: [_sortable(cell) for cell in row.values()])


def _own(cell: object, known: Collection[str]) -> object:
    """Return a cell of a column of phones, unless it is another person's."""
    phones = {cell} if TOKEN.fullmatch(str(cell)) else phones_of(str(cell))
    return OTHER if phones and phones.isdisjoint(known) else cell


def _sortable(cell: object) -> str:
    return cell if isinstance(cell, str) else f"{cell!s:>20}"  # numbers in their order


def _mentions(
    connection: Connection, who: People, columns: _Columns, conditions: Mapping[str, str]
) -> Iterable[Mention]:
    """Yield the rows of others whose texts name the person, by column."""
    with_campaigns = {column.shown for column in columns if column.name == "campaign_id"}
    for column in columns:
        is_searched = column.is_text or (column.may_name and not column.is_ours)
        if not is_searched or column.is_of_phones or column.is_of_keys:
            continue
        if not (texts := texts_naming(connection, column, who.phones, who.tokens)):
            continue
        others = f"({conditions.get(column.shown, 'false')}) IS NOT TRUE"
        campaign = f"CAST({'campaign_id' if column.shown in with_campaigns else 'NULL'} AS VARCHAR)"
        with registered(connection, "naming", pa.table({"text": pa.array(sorted(texts), pa.string())})):
            counts = connection.execute(
                f"SELECT {campaign}, count(*) FROM {column.table} "  # noqa: S608  # quoted names
                f"WHERE {column.as_text} IN (SELECT text FROM naming) AND {others} AND {column.within} "
                "GROUP BY 1 ORDER BY 1"
            ).fetchall()
        if counts:
            campaigns = [campaign for campaign, _ in counts if campaign is not None]
            yield Mention(column.shown, column.name, sum(rows for _, rows in counts), campaigns)
