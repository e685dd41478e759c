"""Eight nights of a live account, five of them bad: after them the warehouse is the truth."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from night_truth import differences, unexplained
from nights import BAD, DAY, DOWN, FULL, HALF, KILLED, REVOKED, Nights
from warehouses import Warehouse


def test_after_eight_nights_five_of_them_bad_the_warehouse_is_the_truth(tmp_path: Path) -> None:
    # The clocks go forward in the fourth of them.
    nights = Nights(tmp_path / "warehouse.duckdb", datetime(2026, 3, 26, 2, tzinfo=UTC), campaigns=4, rows=240)
    for number, bad in enumerate(("", *BAD, "", "")):
        nights.pass_night(nights.first + number * DAY, bad)
    assert list(differences(nights)) == []
    assert list(unexplained(nights)) == []
    assert {night.bad: night.code for night in nights.nights} == {
        "": 0, DOWN: 4, REVOKED: 3, FULL: 1, KILLED: -9, HALF: 4,
    }  # fmt: skip
    first, *_, last = nights.nights
    assert last.requests * 3 < first.requests
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"]
    runs = Warehouse(nights.path).rows(
        "SELECT started_at::DATE::VARCHAR, outcome FROM passona.runs ORDER BY started_at"
    )
    assert [date for date, _ in runs] == [f"{night.at:%Y-%m-%d}" for night in nights.nights]
    # On a full disk there may be no room to say so: it is noted by the next run then.
    assert runs[3][1] in {"error", "interrupted"}
    words = ["ok", "failed", "token refused", "interrupted", "failed", "ok", "ok"]
    assert [word for _, word in runs[:3] + runs[4:]] == words
    with duckdb.connect(str(nights.path)) as connection:
        connection.execute(
            "UPDATE passona.clicks SET device_type = 'x' WHERE row_id = (SELECT min(row_id) FROM passona.clicks)"
        )
    assert len(list(differences(nights))) == 1, "a wrong value has to be found out"
