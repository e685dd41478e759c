"""What a row means: vendor rows in, typed Arrow tables out. Pure: no HTTP, no dlt, no clock.

Two steps, so that a walk can be kept, compared and dropped before it is converted:

    vendor rows --vendor_texts--> columns of text + row_id --tables--> parent, fields, issues
    columns of a .csv --column_texts--> the same

The first step keeps every value as text, the second adds types (contract, rules 5 to 8). Values that do not fit the
report (new keys, other types) are JSON in the column `_rest`; values that no column can hold (repeated keys, texts that
cannot be stored) are in the column `_noted`, a JSON list of key, value and issue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from passona.masking.phones import is_mangled
from passona.masking.policy import CLEAR, Privacy
from passona.reports.decoding import Row, UnstorableText, earlier_pairs, json_text
from passona.reports.definitions import Column, Report
from passona.reports.field_lists import field_rows
from passona.reports.row_ids import row_ids
from passona.reports.tables import ISSUES
from passona.reports.times import instants

REST = "_rest"
UNSTORABLE = "_noted"
ROW_ID = "_row_id"

_TEXT = {str, type(None)}
_FITTING = _TEXT | {UnstorableText}
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class VendorTexts:
    """Vendor rows as columns of text, and the keys that differ from the guide's."""

    batch: pa.RecordBatch
    new_keys: frozenset[str] = frozenset()
    missing_keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TypedRows:
    """One piece of a report, typed: parent rows, field rows (None for a report without lists), issues."""

    parent: pa.Table
    fields: pa.Table | None
    issues: pa.Table


def vendor_schema(report: Report) -> pa.Schema:
    """Return the schema of `VendorTexts.batch`: the guide's keys, `_rest`, `_noted` and `_row_id`, all text."""
    return pa.schema([(name, pa.string()) for name in (*report.sorted_keys, REST, UNSTORABLE, ROW_ID)])


def vendor_texts(report: Report, campaign_id: str, rows: Sequence[Row], privacy: Privacy = CLEAR) -> VendorTexts:
    """Return vendor rows as columns of text, "" as null, each with the `row_id` it has if no other row equals it.

    `privacy`: what may be stored of their texts; only that is hashed and returned.
    """
    keys = frozenset(report.sorted_keys)
    columns = [[None if (value := row.get(key)) == "" else value for row in rows] for key in report.sorted_keys]
    for column in report.columns:
        if column.kind == "integer":
            place = report.sorted_keys.index(column.key)
            columns[place] = [str(value) if type(value) is int else value for value in columns[place]]
    usual = all(type(row) is dict and row.keys() == keys for row in rows)
    if usual and all(_TEXT.issuperset(map(type, cells)) for cells in columns):
        columns = privacy.reduced(report, columns)
        ids = row_ids(report.name, campaign_id, zip(*columns, strict=True), privacy.row_key)
        return VendorTexts(_batch(report, columns, ids))
    return _odd_vendor_texts(report, campaign_id, rows, privacy)


def column_texts(
    report: Report, campaign_id: str, columns: Mapping[str, pa.Array[Any]], privacy: Privacy = CLEAR
) -> VendorTexts:
    """Return the same for rows of a .csv, columns of text by key; equal rows have an equal `row_id`."""
    length = len(next(iter(columns.values())))
    null = pa.scalar(None, pa.string())
    texts = {key: pc.if_else(pc.equal(cells, pa.scalar("")), null, cells) for key, cells in columns.items()}
    known = [texts.get(key, pa.nulls(length, pa.string())) for key in report.sorted_keys]
    cells = privacy.reduced(report, [column.to_pylist() for column in known])
    rows: Iterable[tuple[Any, ...]] = zip(*cells, strict=True)
    names = {key: privacy.new_name(key) for key in texts if key not in report.sorted_keys}
    rest: list[str | None] = [None] * length
    if names:
        extras = _extras(
            {name: [privacy.new_value(key, text) for text in texts[key].to_pylist()] for key, name in names.items()}
        )
        rest = [_json(extra) for extra in extras]
        rows = ((*row, extra) if extra else row for row, extra in zip(rows, extras, strict=True))
    ids = row_ids(report.name, campaign_id, rows, privacy.row_key)
    return VendorTexts(
        _batch(report, known if privacy.keeps_all else cells, ids, rest),
        frozenset(names.values()),
        frozenset(report.sorted_keys).difference(texts),
    )


def _extras(columns: Mapping[str, list[str | None]]) -> list[dict[str, str]]:
    """Return, for each row, its values under keys that the guide does not know."""
    return [
        {key: text for key, text in zip(columns, row, strict=True) if text is not None}
        for row in zip(*columns.values(), strict=True)
    ]


def _batch(
    report: Report,
    columns: Iterable[Any],
    ids: list[str],
    rest: Sequence[str | None] = (),
    noted: Sequence[str | None] = (),
) -> pa.RecordBatch:
    nothing = [None] * len(ids)
    arrays = [pa.array(cells, pa.string()) for cells in (*columns, rest or nothing, noted or nothing, ids)]
    return pa.RecordBatch.from_arrays(arrays, schema=vendor_schema(report))


def _odd_vendor_texts(report: Report, campaign_id: str, rows: Sequence[Row], privacy: Privacy) -> VendorTexts:
    """Return the same, row by row, for rows with other keys or types than the guide's."""
    known = report.sorted_keys
    integers = {column.key for column in report.columns if column.kind == "integer"}
    names = {key: privacy.new_name(key) for key in frozenset().union(*rows).difference(known)}
    kept, odds, extras, notes = [], [], [], []
    for row in rows:
        texts = {key: text_of(value) for key, value in row.items()}
        odd = {key for key in known if type(row.get(key)) not in _FITTING and not _is_integer(key, row, integers)}
        new = {names[key]: privacy.new_value(key, text) for key, text in texts.items() if key in names}
        unstorable = _unstorable_values(row)
        notes.append([(names.get(key, key), privacy.mismatched_value(raw), issue) for key, raw, issue in unstorable])
        kept.append([None if key in odd else texts.get(key) for key in known])
        odds.append({key: privacy.mismatched_value(text) for key in odd if (text := texts[key]) is not None})
        extras.append({key: text for key, text in new.items() if text is not None})
    columns = privacy.reduced(report, [list(cells) for cells in zip(*kept, strict=True)])
    hashed: list[tuple[object, ...]] = []
    for cells, other, extra, noted in zip(zip(*columns, strict=True), odds, extras, notes, strict=True):
        whole = tuple(other.get(key, text) for key, text in zip(known, cells, strict=True))
        hashed.append((*whole, *([extra] if extra or noted else []), *([sorted(noted)] if noted else [])))
    rest = [_json(extra | other) for other, extra in zip(odds, extras, strict=True)]
    ids = row_ids(report.name, campaign_id, hashed, privacy.row_key)
    return VendorTexts(
        _batch(report, columns, ids, rest, [_json(noted) for noted in notes]),
        new_keys=frozenset(names.values()),
        missing_keys=frozenset(key for row in rows for key in known if key not in row),
    )


def _unstorable_values(row: Row) -> list[tuple[str, str, str]]:
    """Return key, JSON and issue of the values that JSON allows but no column can hold."""
    repeated = [(key, json_text(value), "repeated_key") for key, value in earlier_pairs(row)]
    texts = [(key, value.raw, "invalid_text") for key, value in row.items() if isinstance(value, UnstorableText)]
    return repeated + texts


def _is_integer(key: str, row: Row, integers: set[str]) -> bool:
    return key in integers and type(row[key]) is int


def _json(values: dict[str, str] | list[tuple[str, str, str]]) -> str | None:
    return orjson.dumps(values).decode() if values else None


def text_of(value: object) -> str | None:
    """Return a JSON value as text: text as it is, a number as written, "" and null as None, all else as JSON."""
    if value is None or value == "":
        return None
    return str(value) if isinstance(value, str) else json_text(value)


def type_rows(
    report: Report,
    campaign_id: str,
    batches: Sequence[pa.RecordBatch],
    zone: str,
    new_columns: Mapping[str, str] = MappingProxyType({}),
) -> TypedRows:
    """Convert columns of text to the tables of the contract.

    `zone`: that of times without an offset. `new_columns`: of all keys in the report that the guide does not know, so
    that all its pieces have the same columns.
    """
    texts = {name: pa.concat_arrays([batch.column(name) for batch in batches]) for name in batches[0].schema.names}
    ids = texts[ROW_ID]
    rest = _by_position(texts[REST])
    issues = _Issues(campaign_id, report.name, ids)
    parent = {"campaign_id": pa.repeat(pa.scalar(campaign_id), len(ids)), "row_id": ids}
    for column in report.columns:
        parent[column.name] = _typed(column, texts[column.key], zone, issues)
    for key, name in new_columns.items():
        parent[name] = pa.array([rest.get(position, {}).get(key) for position in range(len(ids))], pa.string())
    names = {column.key: column.name for column in report.all_columns}
    for position, values in rest.items():
        for key in names.keys() & values.keys():
            issues.note(position, names[key], values[key], "unexpected_type")
    for position, noted in _by_position(texts[UNSTORABLE]).items():
        for key, raw, issue in noted:
            issues.note(position, {**names, **new_columns}[key], raw, issue)
    fields = _fields(report.lists, campaign_id, texts, rest, issues) if report.lists else None
    return TypedRows(pa.table(parent), fields, issues.table())


def _by_position(column: pa.Array[Any]) -> dict[int, Any]:
    """Return the JSON in a column by position; nearly always there is none."""
    texts = column.to_pylist() if column.null_count < len(column) else []
    return {position: orjson.loads(text) for position, text in enumerate(texts) if text is not None}


class _Issues:
    """The values of one piece that are not stored as sent."""

    def __init__(self, campaign_id: str, report: str, ids: pa.Array[Any]) -> None:
        self._campaign_id, self._report, self._ids = campaign_id, report, ids
        self._rows: list[tuple[str | None, ...]] = []

    def note(self, position: int, column_name: str, raw_value: str | None, issue: str) -> None:
        row_id = self._ids[position].as_py()
        self._rows.append((self._campaign_id, self._report, row_id, column_name, raw_value, issue))

    def table(self) -> pa.Table:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(ISSUES)
        return pa.table([pa.array(cells, pa.string()) for cells in columns], schema=ISSUES)


def _typed(column: Column, texts: pa.Array[Any], zone: str, issues: _Issues) -> pa.Array[Any]:
    if column.kind == "time":
        values, problems = instants(texts, zone)
    elif column.kind == "integer":
        values, problems = _integers(texts)
    elif column.personal == "phone":
        values, problems = _phones(texts)
    else:
        return texts
    for position, issue in problems:
        issues.note(position, column.name, texts[position].as_py(), issue)
    return values


# Tokens, and phones as the API writes them: all other texts are examined.
_CANNOT_BE_MANGLED = "^(?:p_[0-9a-f]{8}_[0-9a-f]{32}|[1-9][0-9]{6,14})$"


def _phones(texts: pa.Array[Any]) -> tuple[pa.Array[Any], list[tuple[int, str]]]:
    """Return phones as sent; one that is no phone, or lost digits in a spreadsheet, is null and noted."""
    plain: Any = pc.fill_null(pc.match_substring_regex(texts, _CANNOT_BE_MANGLED), pa.scalar(True))
    doubtful: list[Any] = pc.indices_nonzero(pc.invert(plain)).to_pylist()
    lost = [position for position in doubtful if is_mangled(texts[position].as_py())]
    return _without(texts, lost), [(position, "invalid_phone") for position in lost]


def _integers(texts: pa.Array[Any]) -> tuple[pa.Array[Any], list[tuple[int, str]]]:
    """Return whole numbers; a text that is not a canonical integer is null and noted."""
    values = [None if text is None else _integer(text) for text in texts.to_pylist()]
    problems = [(at, "unexpected_type") for at, value in enumerate(values) if value is None and texts[at].is_valid]
    return pa.array(values, pa.int64()), problems


def _integer(text: str) -> int | None:
    if len(text) > 20 or not (text.isascii() and text.lstrip("-").isdigit()):
        return None
    try:
        number = int(text)
    except ValueError:  # more than one sign
        return None
    return number if number in _INT64 and str(number) == text else None


def _fields(
    lists: tuple[Column, Column],
    campaign_id: str,
    texts: dict[str, pa.Array[Any]],
    rest: dict[int, dict[str, str]],
    issues: _Issues,
) -> pa.Table:
    names, values = lists
    odd = [position for position, extra in rest.items() if names.key in extra or values.key in extra]
    # Only texts are split.
    left, right = _without(texts[names.key], odd), _without(texts[values.key], odd)
    rows, unaligned = field_rows(texts[ROW_ID], left, right)
    for position in (*unaligned, *odd):
        for column in (names, values):
            raw = rest.get(position, {}).get(column.key) or texts[column.key][position].as_py()
            issues.note(position, column.name, raw, "unaligned_fields")
    return rows.add_column(0, "campaign_id", pa.repeat(pa.scalar(campaign_id), len(rows)))


def _without(texts: pa.Array[Any], positions: list[int]) -> pa.Array[Any]:
    if not positions:
        return texts
    some = set(positions)
    return pa.array([None if at in some else text for at, text in enumerate(texts.to_pylist())], pa.string())


# Replaces the character NUL.
NUL = "\N{SYMBOL FOR NULL}"


def without_nul(rows: pa.Table) -> pa.Table:
    """Return the rows with NUL replaced by its symbol (U+2400) in all texts: Postgres cannot store NUL."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_string(field.type) and pc.any(pc.match_substring(rows.column(place), "\0")).as_py():
            rows = rows.set_column(place, field.name, pc.replace_substring(rows.column(place), "\0", NUL))
    return rows
