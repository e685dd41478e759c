"""Judges of the rows: keys, types, phones, lists, vocabularies. Pure."""

from __future__ import annotations

import csv
import re
from collections import Counter
from functools import cache

from passona.config.dbt_project import project_folder
from passona.masking.messages import counted
from passona.monitoring.doctor._evidence import Evidence
from passona.monitoring.doctor._findings import Finding, assumption, broken, holds, unclear
from passona.monitoring.doctor._words import frequencies, named, names, shape, share, tally
from passona.reports.decoding import Row
from passona.reports.definitions import ALT_DELIVERY, DELIVERY, REPORTS, UNSENT

# E.164: at most 15 digits; no country has fewer than 7 with its code.
_PHONE = re.compile(r"[0-9]{7,15}")
# One value in twenty has a comma, as free text does; if more cannot be split, the lists are joined in another way.
UNSPLIT = 0.05
# More values than this are texts, not a vocabulary, and are not shown.
MANY = 30


@assumption("rows have only the guide's keys")
def new_keys(evidence: Evidence) -> Finding:
    keys = [f"{name}.{key}" for name, reading in evidence.readings.items() for key in reading.new_keys]
    return _judge_keys(evidence, keys, "nothing to set: each becomes a new column of text")


@assumption("rows have all the guide's keys", matters=True)
def missing_keys(evidence: Evidence) -> Finding:
    keys = [f"{name}.{key}" for name, reading in evidence.readings.items() for key in reading.missing_keys]
    return _judge_keys(evidence, keys, "nothing to set: their columns are NULL; ask the vendor")


def _judge_keys(evidence: Evidence, keys: list[str], advice: str) -> Finding:
    kinds = [name for name, reading in evidence.readings.items() if reading.rows]
    if not kinds:
        return unclear("no rows were seen")
    if keys:
        return broken(named(keys), advice, keys=names(keys))
    return holds(f"in all {len(kinds)} kinds of rows", kinds=kinds)


@assumption("values are texts, counts are numbers", matters=True)
def types(evidence: Evidence) -> Finding:
    rows = sum(reading.rows for reading in evidence.readings.values())
    columns = {
        f"{name}.{column}": count
        for name, reading in evidence.readings.items()
        for column, count in reading.issue("unexpected_type").items()
    }
    if not rows:
        return unclear("no rows were seen")
    if columns:
        advice = "nothing to set: such values are NULL, and row_issues keeps their texts; ask the vendor"
        return broken(frequencies(columns), advice, columns=columns)
    return holds(f"all of {counted(rows, 'row')}", rows=rows)


@assumption("phones are digits only")
def phones(evidence: Evidence) -> Finding:
    values = [
        (report.name, value) for report in REPORTS.values() for value in _texts(evidence, report.name, report.phone_key)
    ]
    others = Counter(f"{report} {shape(value)}" for report, value in values if not _PHONE.fullmatch(value))
    if not values:
        return unclear("no phones were seen")
    if others:
        shapes = ", ".join(f"{kind} {count:,}" for kind, count in others.most_common(3))
        seen = f"{others.total():,} of {len(values):,} are not: {shapes}"
        advice = "nothing to set: they are stored as they are; in analytics join by msisdn"
        return broken(seen, advice, phones=len(values), odd=others.total())
    return holds(f"all of {len(values):,}", phones=len(values))


@assumption("names and values can be split at commas")
def lists(evidence: Evidence) -> Finding:
    rows = sum(reading.lists for reading in evidence.readings.values())
    # Each row has two issues: names and values.
    issues = {name: sum(reading.issue("unaligned_fields").values()) // 2 for name, reading in evidence.readings.items()}
    unsplit = {name: count for name, count in issues.items() if count}
    bad = sum(unsplit.values())
    if not rows:
        return unclear("no rows with fields were seen")
    seen = f"{bad:,} of {rows:,} rows cannot be split ({share(bad, rows)})"
    if bad > UNSPLIT * rows:
        advice = "nothing to set: row_issues keeps their texts, and they have no field rows"
        return broken(f"{seen}: {frequencies(unsplit)}", advice, rows=rows, unsplit=unsplit)
    seen = f"{seen}; row_issues keeps their texts" if bad else f"all of {counted(rows, 'row')}"
    return holds(seen, rows=rows, unsplit=unsplit)


@assumption("every Status is in message_statuses.csv")
def statuses(evidence: Evidence) -> Finding:
    values = Counter(value for name in (DELIVERY.name, ALT_DELIVERY.name) for value in _texts(evidence, name, "Status"))
    if not values:
        return unclear("no messages were seen")
    if len(values) > MANY:
        return broken(f"{len(values)} different ones, so they are texts", "nothing to set: ask the vendor")
    unknown = {value for value in values if value.lower() not in _known_statuses()}
    if unknown:
        return broken(
            f"{frequencies(values)}; not known: {named(unknown)}",
            "add them to seeds/message_statuses.csv of the dbt project; until then they count as unmapped",
            values=tally(values),
            unknown=names(unknown),
        )
    return holds(frequencies(values), values=tally(values))


@cache
def _known_statuses() -> frozenset[str]:
    """Return the statuses that the dbt project knows, in lower case."""
    with (project_folder() / "seeds" / "message_statuses.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(row["status"] for row in csv.DictReader(file))


@assumption("Reason takes a few values")
def reasons(evidence: Evidence) -> Finding:
    values = Counter(_texts(evidence, UNSENT.name, "Reason"))
    if not values:
        return unclear("no unsent messages were seen")
    if len(values) > MANY:
        seen = f"{len(values)} different ones, so they are texts"
        return broken(seen, "nothing to set: count them by their first words")
    return holds(frequencies(values), values=tally(values))


@assumption("status 0 is not started, 2 finished")
def campaign_statuses(evidence: Evidence) -> Finding:
    """Compare the numbers with the dates, by which loads decide."""
    rows = [row for row in evidence.listed_rows if isinstance(row.get("status"), int)]
    if not rows:
        return unclear("no campaign with a status number")
    values = Counter(str(row["status"]) for row in rows)
    seen = ", ".join(f"{number} ({count:,})" for number, count in sorted(values.items()))
    contradictions = sum(map(_contradicts_dates, rows))
    if contradictions:
        seen = f"{seen}; {contradictions} contradict their dates"
        return broken(seen, "nothing to set: loads decide by the dates", values=dict(values))
    return holds(seen, values=dict(values))


def _contradicts_dates(row: Row) -> bool:
    is_finished = bool(row.get("finished_sending_at"))
    return (row["status"] == 0 and is_finished) or (row["status"] == 2 and not is_finished)


def _texts(evidence: Evidence, report: str, key: str | None) -> list[str]:
    return [text for texts in evidence.texts(report, key).values() for text in texts] if key else []
