"""Judges of the rows: keys, types, phones, lists, vocabularies. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from passona.monitoring.doctor._findings import Finding, broken, holds, unclear
from passona.monitoring.doctor._sightings import Sightings
from passona.monitoring.doctor._words import counted, named, names, several, shape, share, tally
from passona.reports.decoding import Row
from passona.reports.definitions import ALT_DELIVERY, CLICKS, DELIVERY, RECIPIENT, UNSENT

PHONES = (
    (CLICKS.name, "Phone_Number"),
    (DELIVERY.name, "Recipient"),
    (ALT_DELIVERY.name, "Mobile"),
    (RECIPIENT.name, "Phone_Number"),
    (UNSENT.name, "Mobile"),
)
# E.164 has 15 digits at most, and no country's numbers have fewer than 7 with its code.
_PHONE = re.compile(r"[0-9]{7,15}")
# One value in twenty that holds a comma is what free text is like; more, and the lists are joined in another way.
UNSPLIT = 0.05
# Values that a person can take in; more are no vocabulary but texts, and are not shown.
MANY = 30


def new_keys(seen: Sightings) -> Finding:
    found = [f"{name}.{key}" for name, reading in seen.readings.items() for key in reading.new_keys]
    return _keys(seen, found, "nothing to set: each becomes a new column of text")


def missing_keys(seen: Sightings) -> Finding:
    found = [f"{name}.{key}" for name, reading in seen.readings.items() for key in reading.missing_keys]
    return _keys(seen, found, "nothing to set: their columns are NULL; ask the vendor")


def _keys(seen: Sightings, found: list[str], advice: str) -> Finding:
    read = [name for name, reading in seen.readings.items() if reading.rows]
    if not read:
        return unclear("no rows were seen")
    if found:
        return broken(named(found), advice, keys=names(found))
    return holds(f"none in {len(read)} kinds of rows", kinds=read)


def types(seen: Sightings) -> Finding:
    rows = sum(reading.rows for reading in seen.readings.values())
    if not rows:
        return unclear("no rows were seen")
    found = {
        f"{name}.{column}": count
        for name, reading in seen.readings.items()
        for column, count in reading.of("unexpected_type").items()
    }
    if found:
        return broken(
            counted(found),
            "nothing to set: such values are NULL, and row_issues keeps their texts; ask the vendor",
            columns=found,
        )
    return holds(f"all of {several(rows, 'row')}", rows=rows)


def phones(seen: Sightings) -> Finding:
    odd: Counter[str] = Counter()
    total = 0
    for report, key in PHONES:
        for value in _texts(seen, report, key):
            total += 1
            if not _PHONE.fullmatch(value):
                odd[f"{report} {shape(value)}"] += 1
    if not total:
        return unclear("no phones were seen")
    if odd:
        detail = ", ".join(f"{kind} {count:,}" for kind, count in odd.most_common(3))
        return broken(
            f"{sum(odd.values()):,} of {total:,} are not: {detail}",
            "nothing to set: they are kept as they are; in analytics join by msisdn",
            phones=total,
            odd=sum(odd.values()),
        )
    return holds(f"all of {total:,}", phones=total)


def lists(seen: Sightings) -> Finding:
    """Whether names and values have as many parts each, but for a few."""
    listed = sum(reading.listed for reading in seen.readings.values())
    if not listed:
        return unclear("no rows with fields were seen")
    unsplit = {
        name: sum(reading.of("unaligned_fields").values()) // 2
        for name, reading in seen.readings.items()
        if reading.of("unaligned_fields")
    }
    bad = sum(unsplit.values())
    detail = f"{bad:,} of {listed:,} rows cannot be split ({share(bad, listed)})"
    if bad > UNSPLIT * listed:
        return broken(
            f"{detail}: {counted(unsplit)}",
            "nothing to set: their texts are in row_issues, and no field rows are made of them",
            rows=listed,
            unsplit=unsplit,
        )
    return holds(
        f"{detail}; row_issues keeps their texts" if bad else f"all of {several(listed, 'row')}",
        rows=listed,
        unsplit=unsplit,
    )


def statuses(seen: Sightings, known: Iterable[str]) -> Finding:
    """The values of Status, and whether the marts know what each means. `known`: in lower case."""
    found = Counter(value for name in (DELIVERY.name, ALT_DELIVERY.name) for value in _texts(seen, name, "Status"))
    if not found:
        return unclear("no messages were seen")
    if len(found) > MANY:
        return broken(f"{len(found)} different ones, so they are texts", "nothing to set: ask the vendor")
    strange = {value for value in found if value.lower() not in set(known)}
    if strange:
        return broken(
            f"{counted(found)}; not known: {named(strange)}",
            "name them in seeds/message_statuses.csv of the dbt project; until then they count as unmapped",
            values=tally(found),
            unknown=names(strange),
        )
    return holds(counted(found), values=tally(found))


def reasons(seen: Sightings) -> Finding:
    """The values of Reason: a vocabulary, or texts."""
    found = Counter(_texts(seen, UNSENT.name, "Reason"))
    if not found:
        return unclear("no unsent messages were seen")
    if len(found) > MANY:
        return broken(
            f"{len(found)} different ones, so they are texts", "nothing to set: count them by their beginnings"
        )
    return holds(counted(found), values=tally(found))


def campaign_statuses(seen: Sightings) -> Finding:
    """The numbers, and whether those that are known agree with the dates, by which loads decide."""
    rows = [row for row in seen.listed_rows if isinstance(row.get("status"), int)]
    if not rows:
        return unclear("no campaign with a status number")
    found = Counter(str(row["status"]) for row in rows)
    odd = [row for row in rows if _contradicts(row)]
    detail = ", ".join(f"{number} ({count:,})" for number, count in sorted(found.items()))
    if odd:
        return broken(
            f"{detail}; {len(odd)} contradict their dates",
            "nothing to set: loads decide by the dates",
            values=dict(found),
        )
    return holds(detail, values=dict(found))


def _contradicts(row: Row) -> bool:
    """Whether a campaign not started (0) has begun, or a finished one (2) has not ended."""
    return (row["status"] == 0 and bool(row.get("finished_sending_at"))) or (
        row["status"] == 2 and not row.get("finished_sending_at")
    )


def _texts(seen: Sightings, report: str, key: str) -> list[str]:
    rows = (row for answer in seen.of(report) for row in answer.rows)
    return [value for row in rows if isinstance(value := row.get(key), str) and value]
