"""Split comma-joined names and values of a row into one field row per pair (contract, rule 6). Pure.

A value may contain a comma, and no escaping is documented. So a row is split only if both sides have the same number
of parts: at bare commas, else as CSV records, else not at all. `pairs` defines this for one row; `field_rows` does the
same for columns, at Arrow's speed.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_TYPES: dict[str, pa.DataType] = {
    "row_id": pa.string(),
    "position": pa.int64(),
    "name": pa.string(),
    "value": pa.string(),
}
FIELDS = pa.schema(_TYPES)

_CSV_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\Z)')


def pairs(names: str | None, values: str | None) -> list[tuple[str, str]] | None:
    """Return names and values by position, None if their numbers differ.

    None is a list without parts, but opposite a single name it is one empty value.
    """
    for split in (_bare_parts, _record_parts):
        left, right = split(names), split(values)
        if values is None and left is not None and len(left) == 1:
            right = [""]
        if left is not None and right is not None and len(left) == len(right):
            return list(zip(left, right, strict=True))
    return None


def _bare_parts(text: str | None) -> list[str] | None:
    return [] if text is None else text.split(",")


def _record_parts(text: str | None) -> list[str] | None:
    """Return the fields of a text that is one well-formed CSV record, else None."""
    if text is None:
        return []
    parts, at = [], 0
    while field := _CSV_FIELD.match(text, at):
        quoted, bare, comma = field.groups()
        parts.append(bare if quoted is None else quoted.replace('""', '"'))
        if not comma:
            return parts
        at = field.end()
    return None


def field_rows(row_ids: pa.Array[Any], names: pa.Array[Any], values: pa.Array[Any]) -> tuple[pa.Table, list[int]]:
    """Return the field rows of these rows, and the positions of rows that cannot be split."""
    name_parts = pc.split_pattern(names, ",")
    counts = pc.list_value_length(name_parts)
    lone = pc.and_(pc.equal(counts, pa.scalar(1)), pc.is_null(values)).fill_null(False)
    value_parts = pc.split_pattern(pc.if_else(lone, "", values), ",")
    aligned: Any = pc.equal(counts, pc.list_value_length(value_parts)).fill_null(False)
    nothing = pc.and_(pc.is_null(names), pc.is_null(values))
    split = _flattened(row_ids.filter(aligned), name_parts.filter(aligned), value_parts.filter(aligned))
    others: list[Any] = pc.indices_nonzero(pc.invert(pc.or_(aligned, nothing))).to_pylist()
    if not others:
        return split, []
    slow, unaligned = _slow_rows(others, row_ids, names, values)
    return pa.concat_tables([split, slow]), unaligned


def _flattened(row_ids: pa.Array[Any], names: pa.ListArray[Any], values: pa.ListArray[Any]) -> pa.Table:
    parents = pc.list_parent_indices(names)
    ordinal = pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), len(parents)))
    before = pc.take(pc.subtract(names.offsets, names.offsets[0]), parents)
    columns = [
        pc.take(row_ids, parents),
        pc.subtract(ordinal, pc.cast(before, pa.int64())),
        pc.list_flatten(names),
        pc.list_flatten(values),
    ]
    return pa.Table.from_arrays(columns, schema=FIELDS)


def _slow_rows(
    positions: list[int], row_ids: pa.Array[Any], names: pa.Array[Any], values: pa.Array[Any]
) -> tuple[pa.Table, list[int]]:
    rows: list[dict[str, object]] = []
    unaligned = []
    for position in positions:
        fields = pairs(names[position].as_py(), values[position].as_py())
        if fields is None:
            unaligned.append(position)
            continue
        row_id = row_ids[position].as_py()
        rows += [
            {"row_id": row_id, "position": number, "name": name, "value": value}
            for number, (name, value) in enumerate(fields, 1)
        ]
    return pa.Table.from_pylist(rows, schema=FIELDS), unaligned
