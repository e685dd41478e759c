"""Two people in an account: Ann in every report, and Zeb, whose texts name her."""

from __future__ import annotations

from typing import Any

from passona_sandbox import Account
from support.campaigns import ONE, TWO, click, message, open_campaign

ANN, ZEB = "447700900123", "447700900124"
# Stands in texts of Zeb's rows, of batches and of issues: never to be shown.
SECRET = "Zebsecret"


def recipient(phone: str, **other: object) -> dict[str, object]:
    return {
        "Phone_Number": phone, "Group_Name": "VIP", "Group_Description": None, "Field_Names": "First Name,Town",
        "Field_Values": f"Name{phone[-2:]},Leith", **other,
    }  # fmt: skip


def delivery(phone: str, text: str) -> dict[str, object]:
    return {
        "SMS_ID": f"m{phone[-3:]}", "Sender": "S", "Recipient": phone, "Message_Copy": text, "Status": "Success",
        "Expiry_Date": None,
    }  # fmt: skip


def batch(text: str) -> dict[str, object]:
    return {
        "MessageId": ONE, "Brand": "S", "SentOn": None, "RecipientCount": 2, "TemplateApiId": None,
        "TemplateName": None, "Message": text,
    }  # fmt: skip


def fill(account: Account, ann: str = ANN, **other: Any) -> None:
    """Ann in five reports of one campaign and in one of another, and Zeb, whose texts name her."""
    account.put(
        open_campaign(ONE, **other),
        {
            "clicks": [
                click(Phone_Number=ann, Link_Destination="https://e.org/?u=ann"),
                click(Phone_Number=ZEB, Link_Destination=f"https://e.org/{SECRET}?call=+44-7700-900123"),
            ],
            "delivery": [delivery(ann, "Hi Ann\n{x}"), delivery(ZEB, f"{SECRET}: call Ann on 07700 900123")],
            "alt_delivery": [
                message(1, Mobile=ann, FieldValues="Ann,A,odd"),
                message(2, Mobile=ZEB, FieldValues=f"{SECRET},{ann}"),
                message(3, Mobile=ZEB, FieldValues=f"{SECRET},{ann},odd"),
            ],
            "recipient": [recipient(ann), recipient(ZEB)],
            "unsent": [{"MessageId": ONE, "Mobile": ann, "Reason": "pending", "FieldNames": None, "FieldValues": None}],
            "sent": [batch(f"{SECRET}: call 44 7700 900123")],
        },
    )
    account.put(open_campaign(TWO, **other), {"recipient": [recipient(ann)], "sent": [batch(f"{SECRET} {ann} {ann}")]})
