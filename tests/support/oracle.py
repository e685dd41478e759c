"""What the tables must hold for rows as served: the contract's rules once more, row by row and slowly.

Written from the contract with the standard library alone, and sharing nothing with the product, so
that the two can be compared. A row is (values by column, field rows, issues).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from support.engines import POSTGRES

TIMES = {"Clicked_At", "MessageSent", "MessageUpdate", "SentOn", "Expiry_Date"}
LISTS = {"FieldNames": "FieldValues", "Field_Names": "Field_Values"}
NAMES = {
    "Phone_Number": "phone_number", "Link_Name": "link_name", "Link_Destination": "link_destination",
    "Clicked_At": "clicked_at", "User_Agent": "user_agent", "Device_Type": "device_type",
    "OS_Version": "os_version", "Browser_Version": "browser_version", "SMS_ID": "sms_id", "Sender": "sender",
    "Recipient": "recipient", "Message_Copy": "message_copy", "Status": "status", "Expiry_Date": "expiry_date",
    "MessageId": "message_id", "Mobile": "mobile", "MessageSent": "message_sent", "MessageUpdate": "message_update",
    "Group_Name": "group_name", "Group_Description": "group_description", "Brand": "brand", "SentOn": "sent_on",
    "RecipientCount": "recipient_count", "TemplateApiId": "template_api_id", "TemplateName": "template_name",
    "Message": "message", "Reason": "reason", "FieldNames": "field_names", "FieldValues": "field_values",
    "Field_Names": "field_names", "Field_Values": "field_values",
}  # fmt: skip
Expected = tuple[tuple[tuple[str, Any], ...], tuple[tuple[int, str, str], ...], tuple[tuple[Any, ...], ...]]


def expected(rows: Iterable[dict[str, Any]], zone: str = "Europe/London") -> Counter[Expected]:
    """The multiset of rows that the tables must hold."""
    return Counter(_row(row, ZoneInfo(zone)) for row in rows)


def _row(row: dict[str, Any], zone: ZoneInfo) -> Expected:
    values: dict[str, Any] = {}
    fields: list[tuple[int, str, str]] = []
    issues: list[tuple[Any, ...]] = []
    for key, value in row.items():
        name = NAMES[key]
        if key in LISTS:
            pairs = _pairs(value or None, row[LISTS[key]] or None)
            if pairs is None:
                issues += [("unaligned_fields", NAMES[k], row[k] or None) for k in (key, LISTS[key])]
            else:
                fields = [(position, *pair) for position, pair in enumerate(pairs, 1)]
        elif key in TIMES and value:
            values[name], issue = time_of(value, zone)
            if issue:
                issues.append((issue, name, value))
        elif key not in LISTS.values():
            values[name] = None if value == "" else value
    return _kept((tuple(sorted(values.items())), tuple(fields), tuple(sorted(issues, key=repr))))


def _kept(value: Any) -> Any:
    """As the engine keeps it: Postgres has no NUL in texts, and a picture of it stands there."""
    if isinstance(value, tuple):
        return tuple(map(_kept, value))
    return value.replace("\0", "\u2400") if POSTGRES and isinstance(value, str) else value


def time_of(text: str, zone: ZoneInfo) -> tuple[datetime | None, str | None]:
    form = re.fullmatch(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)?", text, re.ASCII)
    if not form:
        return None, "invalid_time"
    try:
        civil = datetime.fromisoformat(f"{form[1]} {form[2]}{(form[3] or '.0').ljust(7, '0')}")
    except ValueError:
        return None, "invalid_time"
    if form[4]:
        sign = form[4].replace(":", "")
        shift = timedelta() if sign == "Z" else timedelta(hours=int(sign[:3]), minutes=int(sign[0] + sign[3:]))
        return (civil - shift).replace(tzinfo=UTC), None
    first = civil.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = civil.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return first, None
    exists = first.astimezone(zone).replace(tzinfo=None) == civil
    return first, "ambiguous_time" if exists else "nonexistent_time"


def _pairs(names: str | None, values: str | None) -> list[tuple[str, str]] | None:
    for split in (_at_commas, _as_record):
        left, right = split(names), split(values)
        if left is not None and values is None and len(left) == 1:
            right = [""]
        if left is not None and right is not None and len(left) == len(right):
            return list(zip(left, right, strict=True))
    return None


def _at_commas(text: str | None) -> list[str] | None:
    return text.split(",") if text is not None else []


def _as_record(text: str | None) -> list[str] | None:
    if text is None:
        return []
    # RFC 4180: a quote stands only around a whole field or doubled inside a quoted one.
    if not re.fullmatch(r'("([^"]|"")*"|[^",\r\n]*)(,("([^"]|"")*"|[^",\r\n]*))*', text):
        return None
    return next(csv.reader(io.StringIO(text, newline=""), strict=True), [""])
