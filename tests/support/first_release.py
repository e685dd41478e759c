"""The account that the warehouse of the first release was loaded from, and how it was made.

    python -m support.first_release

writes tests/support/data/first_release.duckdb.gz. That was done once, by 0.1.0 before any other version was, and
is not to be done again: the file stands for those that users have. Its phones are made up.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from passona_sandbox import Account, Sandbox
from support.warehouses import Warehouse

FILE = Path(__file__).parent / "data" / "first_release.duckdb.gz"
OVER, GOING, PLANNED, LEFT = (f"a1a1a1a1-0000-4000-8000-{n:012}" for n in range(4))
Row = dict[str, object]


def campaigns() -> Iterator[tuple[Row, dict[str, list[Row]]]]:
    """One campaign that is over, one that goes on for ever, one not started, one that left the list."""
    for number, uuid in enumerate((OVER, GOING, PLANNED, LEFT)):
        entry: Row = {
            "uuid": uuid, "name": f"Campaign {number}", "included_contact_groups": ["b1", "b2"],
            "excluded_contact_groups": ["b3"] if number else [], "updated_at": "2025-10-26 01:30:00",
        }  # fmt: skip
        if uuid == GOING:
            entry |= {"expiry_date": "2099-01-01 00:00:00", "finished_sending_at": "", "status": 1}
        if uuid == PLANNED:
            entry |= {"scheduled_send_date": "2098-12-30 00:00:00", "expiry_date": "2099-01-01 00:00:00",
                      "started_sending_at": "", "finished_sending_at": "", "status": 0}  # fmt: skip
        recipients = [_recipient(n, number) for n in range(6)]
        if uuid == PLANNED:
            yield entry, {"recipient": recipients}
            continue
        yield (
            entry,
            {
                "clicks": [_click(n // 2) for n in range(9)],
                "delivery": [_delivery(n) for n in range(12)],
                "alt_delivery": [_message(n) for n in range(12)],
                "recipient": recipients,
                "sent": [_batch(uuid, n) for n in range(2)],
                "unsent": [_unsent(uuid, n) for n in range(3)],
            },
        )


def account() -> Account:
    """The account as it is ever since: all but the campaign that left."""
    found = Account.empty()
    for entry, reports in campaigns():
        if entry["uuid"] != LEFT:
            found.put(entry, reports)
    return found


def make(path: Path) -> None:
    """The warehouse: two loads, before and after a campaign left; then one report fails, one is held."""
    warehouse, before = Warehouse(path), Account.empty()
    for entry, reports in campaigns():
        before.put(entry, reports)
    with Sandbox(before) as box:
        assert warehouse.load(box).exit_code == 0
        before.remove(LEFT)
        entry, reports = next(found for found in campaigns() if found[0]["uuid"] == GOING)
        before.put(entry, reports | {"delivery": reports["delivery"][:2]})
        box.faults = [{"kind": "status", "code": 403, "report": "sent"}]
        assert warehouse.load(box).exit_code == 4
    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")


def unpack(path: Path) -> None:
    """A copy of the file of the first release."""
    path.write_bytes(gzip.decompress(FILE.read_bytes()))


def _click(n: int) -> Row:
    return {
        "Phone_Number": f"4470090000{n:02}", "Link_Name": "Offer", "Link_Destination": "https://example.org/offer",
        "Clicked_At": ["2024-01-10 11:00:00", "2023-10-29 01:30:00", "2024-03-31 01:30:00", "15:25:0", ""][n % 5],
        "User_Agent": "Mozilla/5.0 (X11; Linux)", "Device_Type": None, "OS_Version": "", "Browser_Version": "83.0",
        "Mood": "good",
    }  # fmt: skip


def _delivery(n: int) -> Row:
    return {
        "SMS_ID": f"m{n}", "Sender": "Brand", "Recipient": f"4470090000{n:02}", "Message_Copy": f"Hello {n} 👍",
        "Status": "Success", "Expiry_Date": "2024-01-12T10:00:00+0000",
    }  # fmt: skip


def _message(n: int) -> Row:
    return {
        "MessageId": f"m{n}", "Mobile": f"4470090000{n:02}", "FieldNames": "First Name,Last Name",
        "FieldValues": ["John,Doe", "Zoë,", ",", "Glasgow, Scotland,Doe", "", "One"][n % 6],
        "MessageSent": "2024-01-10 10:00:04", "MessageUpdate": "2024-01-10 10:00:06" if n % 3 else None,
        "Status": "Success" if n % 3 else "Pending",
    }  # fmt: skip


def _recipient(n: int, group: int) -> Row:
    return {
        "Phone_Number": f"4470090000{n:02}", "Group_Name": f"Group {group}", "Group_Description": None,
        "Field_Names": "Prénom,Nom,Ville", "Field_Values": ["François,Lefèvre,Paris", "伟,王,", "a,b"][n % 3],
    }  # fmt: skip


def _batch(uuid: object, n: int) -> Row:
    return {
        "MessageId": uuid, "Brand": "Brand", "SentOn": f"2024-01-10 10:00:0{n}", "RecipientCount": 6 + n,
        "TemplateApiId": "t1", "TemplateName": "Offer", "Message": "Hello ::Offer::",
    }  # fmt: skip


def _unsent(uuid: object, n: int) -> Row:
    return {
        "MessageId": uuid, "Mobile": f"447009001{n:03}", "FieldNames": None if n else "First Name",
        "FieldValues": "", "Reason": "expired",
    }  # fmt: skip


if __name__ == "__main__":
    if FILE.exists():
        sys.exit(f"{FILE} is there, and stays as it is")
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "warehouse.duckdb")
        FILE.write_bytes(gzip.compress((Path(folder) / "warehouse.duckdb").read_bytes(), 9, mtime=0))
