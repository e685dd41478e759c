"""Forty people in an account, the privacy modes they are stored in, and how they are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from passona.config.privacy_settings import PrivacySettings
from passona.erasure.forget import Forgotten, forget, rewrite_all
from passona_sandbox import Account
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.warehouses import Warehouse

KEY = "0123456789abcdef0123456789abcdef"
NEW_KEY = "fedcba9876543210fedcba9876543210"
MODES: dict[str, dict[str, Any]] = {
    "clear": {},
    "pseudonymous": {"privacy": "pseudonymous", "privacy_key": KEY},
    "minimal": {"privacy": "minimal", "privacy_key": KEY},
}
TOKENS = MODES["pseudonymous"]
# A number that is in every report; `click` and `message` give the n-th person this phone.
GONE, NUMBER = "447123400003", 3


def silent(_line: str) -> None: ...


def recipient(n: int) -> dict[str, object]:
    return {
        "Phone_Number": f"4471234{n:05}", "Group_Name": "VIP", "Group_Description": None,
        "Field_Names": "First Name,Town", "Field_Values": f"Person{n:05},Leith",
    }  # fmt: skip


def delivery(n: int) -> dict[str, object]:
    return {
        "SMS_ID": f"m{n}", "Sender": "S", "Recipient": f"4471234{n:05}", "Message_Copy": f"Hi Person{n:05} {{x}}",
        "Status": "Success", "Expiry_Date": None,
    }  # fmt: skip


def fill(account: Account, people: int = 40, **other: Any) -> None:
    account.put(
        open_campaign(ONE, **other),
        {
            "clicks": [click(n % people, Link_Destination=f"https://e.org/?u={n}") for n in range(2 * people)],
            "delivery": [delivery(n) for n in range(people)],
            "alt_delivery": [message(n, FieldValues=f"Person{n:05}{',' * (n % 3)}") for n in range(people)],
            "recipient": [recipient(n) for n in range(people)],
        },
    )
    account.put(open_campaign(TWO, **other), {"recipient": [recipient(n) for n in range(0, people, 2)]})


def forget_people(
    warehouse: Warehouse, *phones: str, published: Sequence[Path] = (), **privacy_settings: Any
) -> Forgotten:
    texts = [("argument", phone) for phone in phones]
    known = PrivacySettings(published=tuple(map(str, published)), **privacy_settings)
    found = forget(warehouse.address, texts, known, 0, silent)
    rewrite_all(warehouse.address, texts, known, 0, silent, into=found)
    return found
