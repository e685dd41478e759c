"""What a warehouse holds of a report, in the form that `oracle.expected` gives."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from passona.reports.definitions import REPORTS
from support.engines import reading
from support.oracle import Expected


def stored(path: Any, campaign_id: str, report: str) -> Counter[Expected]:
    """The multiset of rows, field rows and issues of one report."""
    asked = f"passona.{report} passona.{report}__fields passona.row_issues"
    with reading(path, asked, f"WHERE campaign_id = '{campaign_id}'") as connection:
        fields: dict[str, list[Any]] = defaultdict(list)
        issues: dict[str, list[Any]] = defaultdict(list)
        if REPORTS[report].lists:
            sql = (
                f"SELECT row_id, position, name, value FROM passona.{report}__fields WHERE campaign_id = ? ORDER BY ALL"
            )
            for row_id, *rest in connection.execute(sql, [campaign_id]).fetchall():
                fields[row_id].append(tuple(rest))
        sql = (
            "SELECT row_id, issue, column_name, raw_value FROM passona.row_issues WHERE campaign_id = ? AND report = ?"
        )
        for row_id, *rest in connection.execute(sql, [campaign_id, report]).fetchall():
            issues[row_id].append(tuple(rest))
        names = sorted(column.name for column in REPORTS[report].columns)
        rows = connection.execute(
            f"SELECT row_id, {', '.join(names)} FROM passona.{report} WHERE campaign_id = ?", [campaign_id]
        ).fetchall()
    found = Counter(
        (
            tuple(zip(names, values, strict=True)),
            tuple(fields.pop(row_id, ())),
            tuple(sorted(issues.pop(row_id, ()), key=repr)),
        )
        for row_id, *values in rows
    )
    assert not fields, "field rows without a parent row"
    assert not issues, "issues without a row"
    return found
