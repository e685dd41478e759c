"""How the loads would read the rows that were seen: by `rows.tables` itself, and counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from passona.reports.decoding import Row
from passona.reports.definitions import CAMPAIGNS, Column, Report, column_names
from passona.source.campaigns import campaign_list
from passona.source.rows import tables, vendor_texts

# Values kept of each issue, for their shapes: more would be the same ones.
KEPT = 200


@dataclass
class Reading:
    """The rows of one report, read. Counts; `issues` by column and kind, `odd` some of their values.

    `times`: texts in columns of times. `listed`: rows that have names or values.
    """

    report: Report
    rows: int = 0
    times: int = 0
    listed: int = 0
    new_keys: set[str] = field(default_factory=set)
    missing_keys: set[str] = field(default_factory=set)
    issues: Counter[tuple[str, str]] = field(default_factory=Counter)
    odd: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def of(self, issue: str) -> dict[str, int]:
        """How often a kind of issue came, by column."""
        return {column: count for (column, kind), count in self.issues.items() if kind == issue}

    def note(self, issues: Iterable[Mapping[str, str | None]]) -> None:
        """Counts rows of the table `row_issues`."""
        for row in issues:
            key = (str(row["column_name"]), str(row["issue"]))
            self.issues[key] += 1
            kept = self.odd.setdefault(key, [])
            if len(kept) < KEPT:
                kept.append(row["raw_value"] or "")


def reading(report: Report, pieces: Sequence[tuple[str, Sequence[Row]]], zone: str) -> Reading:
    """Rows of a report, each piece with its campaign. `zone`: that of times without an offset."""
    read = Reading(report)
    for campaign_id, rows in pieces:
        if not rows:
            continue
        texts = vendor_texts(report, campaign_id, rows)
        typed = tables(report, campaign_id, [texts.batch], zone, column_names(report, texts.new_keys))
        read.rows += len(rows)
        read.times += sum(_filled(texts.batch, column) for column in report.columns if column.kind == "time")
        read.listed += sum(any(row.get(column.key) for column in report.lists or ()) for row in rows)
        read.new_keys |= texts.new_keys
        read.missing_keys |= texts.missing_keys
        read.note(typed.issues.to_pylist())
    return read


def list_reading(rows: Sequence[Row], zone: str) -> Reading:
    """Rows of the list of campaigns."""
    found = campaign_list(rows, zone)
    read = Reading(CAMPAIGNS, rows=len(rows))
    times = [column.key for column in CAMPAIGNS.columns if column.kind == "time"]
    read.times = sum(bool(row.get(key)) for row in rows for key in times)
    read.new_keys |= found.new_keys
    read.missing_keys |= found.missing_keys
    read.note(found.issues.to_pylist())
    return read


def _filled(batch: pa.RecordBatch, column: Column) -> int:
    values = batch.column(column.key)
    return len(values) - values.null_count
