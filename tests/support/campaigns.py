"""Campaigns and rows of reports for an account of a test: click 7 and message 7 have the same phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
THREE = "33333333-3333-4333-8333-333333333333"


def click(n: int = 0, **other: object) -> dict[str, object]:
    return {
        "Phone_Number": f"4471234{n:05}", "Link_Name": "L", "Link_Destination": "https://example.org/",
        "Clicked_At": "2020-06-08 13:50:06", "User_Agent": "UA", "Device_Type": None, "OS_Version": "",
        "Browser_Version": "83.0", **other,
    }  # fmt: skip


def message(n: int = 0, **other: object) -> dict[str, object]:
    return {
        "MessageId": f"m{n}", "Mobile": f"4471234{n:05}", "FieldNames": "First Name,Last Name",
        "FieldValues": f"John {n},Doe", "MessageSent": "2020-06-25 20:26:04",
        "MessageUpdate": "2020-06-25 20:26:06", "Status": "Success", **other,
    }  # fmt: skip


def open_campaign(uuid: str, **other: object) -> dict[str, object]:
    """A campaign that has not ended: its reports stay open."""
    return {"uuid": uuid, "started_sending_at": "2020-06-25 20:26:02", "expiry_date": "2099-01-01 00:00:00", **other}


def london_time(days: float) -> str:
    """Civil time in the account's zone, so many days from now, to within the hour that summer moves."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d %H:%M:%S}"


def ended_campaign(uuid: str, days_ago: float) -> dict[str, object]:
    return open_campaign(uuid, expiry_date=london_time(-days_ago))


def unsent(n: int) -> dict[str, object]:
    return {
        "MessageId": THREE, "Mobile": f"4471234{n:05}", "FieldNames": "A,B", "FieldValues": f"{n}", "Reason": "pending",
    }  # fmt: skip
