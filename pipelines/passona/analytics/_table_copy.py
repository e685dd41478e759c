"""`publish --privacy` and `--account`: a copy table by table, in another privacy mode or of one account.

    our tables -> rows of the account -> each column by its kind (`masking.policy`) -> a new DuckDB file
        -> searched for people

A copy in another mode has what a load in that mode stores, with two differences. Row ids are keyed from the clear ones,
the same in all tables, so that they join. Phone numbers of known people become tokens even in texts in which a load
would not recognize them, such as names of campaigns. Users' own tables and columns are not copied: their content is
unknown.

A copy of one account has nothing of another one: no runs, columns of new keys, user agents or comments of users.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from passona.analytics._marts_file import is_documented
from passona.erasure.text_columns import TextColumn, text_columns
from passona.errors import ConfigurationError
from passona.masking.masks import list_shape
from passona.masking.phone_search import may_name_anybody
from passona.masking.phones import pieces, splice, with_country
from passona.masking.policy import Privacy
from passona.masking.tokens import TOKEN_DIGITS
from passona.reports.definitions import CAMPAIGNS, CLICKS, DELIVERY, RECIPIENT, REPORTS, UNSENT, Column, Report
from passona.reports.tables import DATASET, TABLES, comment_on
from passona.warehouse.accounts import ALL, is_of_account, note_account
from passona.warehouse.connection import (
    Connection,
    error_kinds,
    literal,
    quoted,
    registered,
    tables_of,
    temp_table,
    transaction,
)
from passona.warehouse.engines.duckdb_rewriting import STORAGE_VERSION, catalog_texts
from passona.warehouse.ownership import REGISTER, STAGING, UPGRADES, QualifiedName, registered_objects
from passona.warehouse.policy_table import known_mode, note_mode
from passona.warehouse.verification import digest_of_rows

Reduce = Callable[[str], str | None]

ROWS_AT_ONCE = 50_000
_LEDGER, _RUNS = QualifiedName(DATASET, "report_ledger"), QualifiedName(DATASET, "runs")
_REPORTS = REPORTS | {CAMPAIGNS.name: CAMPAIGNS}
_DIGESTS = ("row_id", "click_id", "message_key")
# Columns of marts and fields tables, with the report column that has the same content.
_SAME_AS = {
    "phone": (CLICKS, "phone_number"),
    "link_name": (CLICKS, "link_name"),
    "link_destination": (CLICKS, "link_destination"),
    "user_agent": (CLICKS, "user_agent"),
    "status": (DELIVERY, "status"),
    "group_name": (RECIPIENT, "group_name"),
    "name": (RECIPIENT, "group_name"),
    "field_name": (RECIPIENT, "group_name"),
    "reason": (UNSENT, "reason"),
    "unsent_reasons": (UNSENT, "reason"),
}
KNOWN_IN_MARTS = {*_SAME_AS, *_DIGESTS, "msisdn", "field_value"}
# Internal tables that readers and `passona forget` need.
_INTERNAL = ("_dlt_loads", UPGRADES)
# Tables without campaigns that have nothing of any account.
_OF_ALL = {"click_rules", "message_statuses", "int_built_project"}
_ANY_TOKEN = f"([pl]_[0-9a-f]{{8}}_[0-9a-f]{{{TOKEN_DIGITS}}})"
# A count of recipients has fewer digits than a phone number.
_IS_COUNT = "BETWEEN -999999999 AND 999999999"
# Impossible counts become issues, as in a load in such a mode.
_ISSUES = " UNION ALL BY NAME ".join(
    ["SELECT * FROM warehouse.passona.row_issues"]
    + [
        f"SELECT campaign_id, '{report.name}' AS report, {'row_id, ' if report is not CAMPAIGNS else ''}"  # noqa: S608  # constants
        f"'{column.name}' AS column_name, {column.name}::VARCHAR AS raw_value, 'unexpected_type' AS issue, "
        f"_dlt_load_id FROM warehouse.passona.{report.name} WHERE {column.name} NOT {_IS_COUNT}"
        for report in _REPORTS.values()
        for column in report.columns
        if column.kind == "integer"
    ]
)
# A raw value, preceded by its report, column and issue. A list that was not text came as JSON.
_RAW = """report || '/' || column_name || '/' || CASE WHEN issue = 'unaligned_fields' AND (row_id, column_name) IN (
    SELECT (row_id, column_name) FROM warehouse.passona.row_issues WHERE issue = 'unexpected_type'
) THEN 'unexpected_type' ELSE issue END || '/' || raw_value"""


class _Kept(NamedTuple):
    """A column of the copy: its name, its SQL expression in the warehouse, and the function for each text."""

    name: str
    sql: str
    reduce: Reduce | None = None


def write_copy(connection: Any, part: Path, privacy: Privacy, account: str | None) -> int:
    """Write a new DuckDB file; return how many of its texts still contain numbers or tokens of people, which must be 0.

    `privacy`: clear for the rows as they are.

    :raises ConfigurationError: the warehouse is older than the register of our tables.
    """
    replacements: dict[str, str] = {}
    for _ in range(2):  # the second pass replaces what the first one missed
        with _new_copy(connection, part) as copy:
            _Writer(connection, copy, privacy, account, replacements).write()
            if privacy.is_clear:
                return 0
            replacements = _find_texts(copy, privacy)
            count = len(replacements) + len(_with_tokens(copy, catalog_texts(copy), privacy))
        if not count:
            break
    return count


def made_by_users(connection: Connection) -> tuple[str, ...]:
    """Return users' own tables, views and columns, which are not copied."""
    own = registered_objects(connection)
    columns = connection.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE NOT internal AND database_name = current_database()"
    ).fetchall()
    names = set()
    for schema, table, column in columns:
        name = QualifiedName(schema, table)
        if name in own:
            names |= {f"{name}.{column}"} - {f"{name}.{own_column}" for own_column in own[name][1]}
        elif schema != STAGING and not (schema == DATASET and table.startswith("_")):
            names.add(str(name))
    return tuple(sorted(names))


@contextmanager
def _new_copy(connection: Any, part: Path) -> Iterator[Any]:
    """Yield a session with a new file, which sees the warehouse as `warehouse`."""
    part.unlink(missing_ok=True)
    umask = os.umask(0o077)
    connection.execute(f"ATTACH {literal(str(part))} AS copied (READ_WRITE, STORAGE_VERSION '{STORAGE_VERSION}')")
    copy = connection.cursor()
    try:
        copy.execute("USE copied")
        yield copy
    finally:
        copy.close()
        connection.execute("DETACH copied")
        os.umask(umask)


@dataclass
class _Writer:
    """Writes all our tables and views. `replacements`: texts that name people, and their form with tokens."""

    source: Any
    copy: Any
    privacy: Privacy
    account: str | None
    replacements: dict[str, str] = field(default_factory=dict)

    def write(self) -> None:
        internal = tables_of(self.source, DATASET)
        if REGISTER not in internal:
            raise ConfigurationError(
                "the warehouse does not say which tables are its own: it is of an earlier version; run passona load "
                "first, which brings it forward"
            )
        objects = {
            name: (kind, self._own_columns(name, columns))
            for name, (kind, columns) in registered_objects(self.source).items()
        }
        for schema in {name.schema for name in objects}:
            self.copy.execute(f"CREATE SCHEMA {schema}")
        self._note()
        for name, (kind, columns) in objects.items():
            if kind == "table":
                self._write_table(name, columns)
        for table in internal.intersection(_INTERNAL):
            own = "load_id IN (SELECT _dlt_load_id FROM passona.report_ledger)"
            condition = own if self.account and table == "_dlt_loads" else ALL
            self.copy.execute(f"CREATE TABLE passona.{table} AS FROM warehouse.passona.{table} WHERE {condition}")
        if not self.privacy.is_clear:
            self._write_digests()
        self._write_views(objects)
        self._write_comments(objects)
        self._write_register()

    def _note(self) -> None:
        """Record the mode of the copy, and its account."""
        mode, key_id = known_mode(self.source)
        if not self.privacy.is_clear:
            mode, key_id = self.privacy.mode, self.privacy.tokens.key_id
        note_mode(self.copy, mode, key_id)
        if self.account is not None:
            note_account(self.copy, self.account)

    def _own_columns(self, name: QualifiedName, columns: list[str]) -> list[str]:
        """Return the columns without those of new keys that only another account has."""
        known = TABLES[name.name].sql_columns if name.schema == DATASET else columns
        new = [column for column in columns if column not in known]
        if self.account is None or not new:
            return columns
        counts = ", ".join(f"count({quoted(column)})" for column in new)
        query = f"SELECT {counts} FROM passona.{name.name} WHERE {self._condition(name, columns)}"  # noqa: S608  # quoted names
        (values,) = self.source.execute(query).fetchall()
        foreign = {column for column, count in zip(new, values, strict=True) if not count}
        return [column for column in columns if column not in foreign]

    def _condition(self, name: QualifiedName, columns: Collection[str]) -> str:
        """Return the SQL condition for the rows of a table."""
        if self.account is None or name.name in _OF_ALL:
            return ALL
        own, of_runs = is_of_account(self.account, "warehouse."), f"account = {literal(self.account)}"
        if name == _RUNS:  # a run of generate names the campaign, which may be another account's by now
            return f"{of_runs} AND (campaign_id IS NULL OR {own})"
        if "campaign_id" in columns:
            return own
        return of_runs if "account" in columns else "false"

    def _write_table(self, name: QualifiedName, names: list[str]) -> None:
        table, columns = ".".join(map(quoted, name)), [self._kept(name, column) for column in names]
        is_reduced = not self.privacy.is_clear and name == QualifiedName(DATASET, "row_issues")
        place = f"({_ISSUES})" if is_reduced else f"warehouse.{table}"
        query = (
            f"SELECT {', '.join(f'{each.sql} AS {quoted(each.name)}' for each in columns)} FROM {place} "  # noqa: S608  # quoted names
            f"WHERE {self._condition(name, names)}"
        )
        self.copy.execute(f"CREATE TABLE {table} AS {query} LIMIT 0")
        with transaction(self.copy):
            for batch in self.source.sql(query).to_arrow_reader(ROWS_AT_ONCE):
                with registered(self.copy, "piece", self._reduced(name, columns, batch)):
                    self.copy.execute(f"INSERT INTO {table} FROM piece")
        if name.name == "int_user_agents":  # several may have become equal
            one = f"SELECT min(rowid) FROM {table} GROUP BY user_agent"  # noqa: S608  # a constant name
            self.copy.execute(f"DELETE FROM {table} WHERE rowid NOT IN ({one})")  # noqa: S608  # a constant name

    def _reduced(self, name: QualifiedName, columns: list[_Kept], batch: pa.RecordBatch) -> pa.Table:
        arrays = []
        for (column, _, reduce), texts in zip(columns, batch.columns, strict=True):
            is_text = (
                texts.type == pa.string() and not TextColumn("", *name, column, "VARCHAR", is_nullable=True).is_of_keys
            )
            arrays.append(self._each(texts, reduce, replace=is_text and bool(self.replacements)))
        return pa.Table.from_arrays(arrays, names=batch.schema.names)

    def _each(self, texts: pa.Array[Any], reduce: Reduce | None, *, replace: bool) -> pa.Array[Any]:
        """Return the texts of a column as the copy stores them. Most columns have few distinct ones."""
        if reduce is None and not replace:
            return texts
        encoded: Any = texts.dictionary_encode()
        cells = [reduce(text) if reduce else text for text in encoded.dictionary.to_pylist()]
        if replace:
            cells = [self.replacements.get(text, text) if text else text for text in cells]
        made: pa.Array[Any] = pa.array(cells, pa.string()).take(encoded.indices)
        return made

    def _kept(self, table: QualifiedName, column: str) -> _Kept:
        plain = quoted(column)
        if self.account is not None and column == "account" and table.name not in REPORTS:
            return _Kept(column, literal(self.account))  # a mart may be older than the move of a campaign
        if self.account is not None and table == _LEDGER and column == "run_id":
            own = f"SELECT run_id FROM warehouse.passona.runs WHERE account = {literal(self.account)}"  # noqa: S608  # quoted
            return _Kept(column, f"CASE WHEN run_id IN ({own}) THEN run_id END")
        if self.privacy.is_clear:
            return _Kept(column, plain)
        if column in _DIGESTS:
            # The formula of `passona re-key`.
            key = literal(self.privacy.row_key.hex())
            return _Kept(column, f"left(sha256({key} || {plain}), {TOKEN_DIGITS})")
        if table.schema == DATASET and table.name in _REPORTS:
            return self._of_report(_REPORTS[table.name], column)
        return _Kept(self.privacy.new_name(column), self._expressions.get(column, plain), self._by_name.get(column))

    def _of_report(self, report: Report, column: str) -> _Kept:
        plain = quoted(column)
        if known := _column_of(report, column):
            if known.kind == "integer":
                return _Kept(column, f"CASE WHEN {plain} {_IS_COUNT} THEN {plain} END")
            return _Kept(column, plain, self.privacy.reducer(report, known) if known.kind == "text" else None)
        if column in TABLES[report.name].sql_columns:
            return _Kept(column, plain)
        kept = (report.name, column) in self._kept_columns
        return _Kept(self.privacy.new_name(column), plain if kept else "NULL::VARCHAR", self.privacy.value)

    def _like(self, report: Report, column: str) -> Reduce:
        """Return the function of a report column; a mart may have "" for NULL."""
        known = _column_of(report, column)
        reduce = self.privacy.reducer(report, known) if known else None
        return lambda text: reduce(text) if reduce and text else text

    @cached_property
    def _by_name(self) -> dict[str, Reduce]:
        """Return the functions of columns that are not of a report, by name."""
        value = self.privacy.value
        return {name: self._like(*same) for name, same in _SAME_AS.items()} | {
            "raw_value": self._raw, "value": value, "field_value": value,
        }  # fmt: skip

    @cached_property
    def _expressions(self) -> dict[str, str]:
        """Return the SQL expressions of columns that are not copied as they are."""
        names = ", ".join(map(literal, self.privacy.fields)) or "NULL"
        named = f"field_name IN ({names})"
        return {
            "msisdn": "NULL::VARCHAR",
            "digest": "NULL::VARCHAR",
            "value": f"CASE WHEN name IN ({names}) THEN value WHEN value IS NOT NULL THEN '' END",
            "field_value": f"CASE WHEN {named} THEN field_value WHEN field_value IS NOT NULL THEN '' END",
            "has_other_values": f"CASE WHEN {named} THEN has_other_values "
            "WHEN has_other_values IS NOT NULL THEN false END",
            "raw_value": _RAW,
        }

    @cached_property
    def _kept_columns(self) -> set[tuple[str, str]]:
        """Return the columns of unknown keys whose values the mode stores."""
        if "_keys" not in tables_of(self.source, DATASET):
            return set()
        columns = self.source.execute(
            "SELECT table_name, column_name FROM passona._keys WHERE key->>'$' IN (SELECT unnest(?::VARCHAR[]))",
            [sorted(self.privacy.fields)],
        ).fetchall()
        return set(columns)

    def _raw(self, text: str) -> str | None:
        """Return the raw value of an issue, according to its column and issue."""
        name, column_name, issue, raw = text.split("/", 3)
        column = _column_of(_REPORTS[name], column_name)
        is_json = issue in ("repeated_key", "invalid_text")
        if column is None or is_json or (issue == "unexpected_type" and column.kind != "integer"):
            return self.privacy.mismatched_value(raw)
        if issue == "unaligned_fields":
            return list_shape(raw) if column.personal == "value" else self.privacy.words(raw)
        reduce = self.privacy.reducer(_REPORTS[name], column)
        return reduce(raw) if reduce else raw

    def _write_digests(self) -> None:
        keys = self.source.execute(
            "SELECT campaign_id, report FROM passona.report_ledger WHERE verified_at IS NOT NULL AND digest IS NOT NULL"
        ).fetchall()
        digests = [digest_of_rows(self.copy, key) for key in keys]
        ids, reports = ([key[place] for key in keys] for place in (0, 1))
        with temp_table(self.copy, campaign_id=ids, report=reports, digest=digests):
            self.copy.execute(
                "UPDATE passona.report_ledger AS ledger SET digest = given.digest FROM given "
                "WHERE given.campaign_id = ledger.campaign_id AND given.report = ledger.report"
            )

    def _write_views(self, objects: Iterable[QualifiedName]) -> None:
        """Create the views in the order in which they depend on each other."""
        views = self.source.execute(
            "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE database_name = current_database()"
        ).fetchall()
        waiting = [sql for schema, name, sql in views if QualifiedName(schema, name) in objects]
        while waiting:
            later = []
            for sql in waiting:
                try:
                    self.copy.execute(sql)
                except error_kinds():
                    later.append(sql)
            if len(later) == len(waiting):
                self.copy.execute(later[0])
            waiting = later

    def _write_comments(self, objects: Mapping[QualifiedName, tuple[str, list[str]]]) -> None:
        comments = self.source.execute(
            "SELECT 'TABLE', schema_name, table_name, NULL, comment FROM duckdb_tables() "
            "WHERE database_name = current_database() UNION ALL "
            "SELECT 'VIEW', schema_name, view_name, NULL, comment FROM duckdb_views() "
            "WHERE database_name = current_database() UNION ALL "
            "SELECT 'COLUMN', schema_name, table_name, column_name, comment FROM duckdb_columns() "
            "WHERE database_name = current_database()"
        ).fetchall()
        for what, schema, table, column, comment in comments:
            own = objects.get(QualifiedName(schema, table))
            if not comment or not own or (column is not None and column not in own[1]):
                continue
            names = (schema, table, *([self._new_name(column)] if column else []))
            if text := self._comment(QualifiedName(schema, table), column, comment):
                self.copy.execute(f"COMMENT ON {what} {'.'.join(map(quoted, names))} IS {literal(text)}")

    def _comment(self, name: QualifiedName, column: str | None, comment: str) -> str | None:
        """Return a comment as the copy has it. That of one account has only ours: users' may name anything."""
        if self.account is None:
            return self.privacy.words(comment)
        if name.schema == DATASET:
            return comment_on(name.name, column)
        return comment if is_documented(comment) else None

    def _new_name(self, column: str) -> str:
        return column if self.privacy.is_clear else self.privacy.new_name(column)

    def _write_register(self) -> None:
        self.copy.execute(
            f"CREATE TABLE passona.{REGISTER} AS SELECT schema_name, table_name AS object_name, "  # noqa: S608  # constants
            "if((schema_name, table_name) IN (SELECT (schema_name, view_name) FROM duckdb_views() "
            "WHERE database_name = 'copied'), 'view', 'table') AS kind, "
            "string_agg(column_name, ',' ORDER BY column_name) AS columns FROM duckdb_columns() "
            "WHERE database_name = 'copied' AND table_name NOT LIKE '\\_%' ESCAPE '\\' GROUP BY ALL"
        )


def _column_of(report: Report, name: str) -> Column | None:
    return next((column for column in report.all_columns if column.name == name), None)


def _find_texts(copy: Any, privacy: Privacy) -> dict[str, str]:
    """Return the texts of a copy that name people for whom it has tokens, each with its form with tokens."""
    replacements: dict[str, str] = {}
    reader = copy.cursor()
    for column in text_columns(copy):
        if column.is_text and not column.is_of_keys:
            reader.execute(
                f"SELECT DISTINCT {column.quoted} FROM {column.table} "  # noqa: S608  # quoted names
                f"WHERE regexp_matches(regexp_replace({column.quoted}, $token, 'x', 'g'), $phone)",
                {"token": _ANY_TOKEN, "phone": may_name_anybody()},
            )
            while rows := reader.fetchmany(ROWS_AT_ONCE):
                replacements |= _with_tokens(copy, [text for (text,) in rows], privacy)
    return replacements


def _with_tokens(copy: Connection, texts: Iterable[str], privacy: Privacy) -> dict[str, str]:
    """Return the texts that name people, each with tokens in place of their phone numbers."""
    parts = {text: re.split(_ANY_TOKEN, text) for text in texts}  # tokens are at odd positions
    plain = (part for split in parts.values() for part in split[::2])
    phones = {phone for part in plain for piece in pieces(part) for phone in piece.phones}
    tokens = {phone: privacy.entry(with_country(phone)) for phone in phones}
    known = _known_tokens(copy, set(tokens.values()))
    people = {phone: token for phone, token in tokens.items() if token in known}
    if not people:
        return {}
    replaced = {
        text: "".join(part if place % 2 else _replace_phones(part, people) for place, part in enumerate(split))
        for text, split in parts.items()
    }
    return {text: other for text, other in replaced.items() if other != text}


def _known_tokens(copy: Connection, tokens: Iterable[str]) -> set[str]:
    people = " UNION ALL ".join(
        f"SELECT {report.phone_column} FROM passona.{report.name}"  # noqa: S608  # constants
        for report in REPORTS.values()
        if report.phone_column
    )
    with temp_table(copy, token=[*tokens]):
        rows = copy.execute(f"SELECT token FROM given WHERE token IN ({people})").fetchall()  # noqa: S608  # constants
    return {token for (token,) in rows}


def _replace_phones(text: str, people: Mapping[str, str]) -> str:
    return splice(
        text,
        (
            (piece.start, piece.end, people[phone])
            for piece in pieces(text)
            for phone in sorted(piece.phones & people.keys())
        ),
    )
