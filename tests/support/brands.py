"""Two brands in one warehouse, each an account with a campaign of its own: Ann is in both, in rows and in texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, ended_campaign, message
from support.warehouses import Warehouse

BRANDS = {"brand_a": ONE, "brand_b": TWO}
ANN = "447700900123"
# The customer that a brand alone has, and a word of all its texts.
CUSTOMERS = {"brand_a": "447700900111", "brand_b": "447700900222"}
WORDS = {"brand_a": "Alphaword", "brand_b": "Betaword"}


def account_of(brand: str) -> Account:
    """An account in which every text names its brand, and the customer's texts name Ann. All its reports settle."""
    account, word, customer = Account.empty(), WORDS[brand], CUSTOMERS[brand]
    texts = {"FieldNames": f"{word} name", "FieldValues": f"{word} {ANN}"}
    account.put(
        ended_campaign(BRANDS[brand], 100)
        | {"name": f"{word} of 07700 900123", "included_contact_groups": [f"{word} group"]},
        {
            "clicks": [
                click(Phone_Number=ANN, User_Agent=f"{word}/1.0", Link_Name=word),
                click(
                    Phone_Number=customer, User_Agent=f"{word}/2.0 {ANN}", Clicked_At=f"{word} ago",
                    Link_Destination=f"https://{word}.example/?call={ANN}", **{f"{word}_key": f"{word} value"},
                ),
            ],
            "delivery": [_delivery(ANN, word), _delivery(customer, f"{word}: call 07700 900123")],
            "alt_delivery": [
                message(1, Mobile=ANN, FieldNames=word, FieldValues=word),
                message(2, Mobile=customer, FieldNames=f"{word},x", FieldValues=f"{ANN},y,z"),
            ],
            "recipient": [_recipient(ANN, word), _recipient(customer, f"{word} friends of {ANN}")],
            "unsent": [{"MessageId": word, "Mobile": phone, "Reason": word, **texts} for phone in (ANN, customer)],
            "sent": [{"MessageId": word, "Brand": word, "SentOn": None, "RecipientCount": 2, "TemplateApiId": None,
                      "TemplateName": word, "Message": f"{word}: call {ANN}"}],
        },
    )  # fmt: skip
    return account


def _delivery(phone: str, text: str) -> dict[str, object]:
    return {"SMS_ID": f"m{phone[-3:]}", "Sender": "S", "Recipient": phone, "Message_Copy": text, "Status": "Success",
            "Expiry_Date": None}  # fmt: skip


def _recipient(phone: str, text: str) -> dict[str, object]:
    return {"Phone_Number": phone, "Group_Name": text, "Group_Description": text, "Field_Names": f"{text}",
            "Field_Values": text}  # fmt: skip


@contextmanager
def sandboxes() -> Iterator[dict[str, Sandbox]]:
    """A Passona for each brand."""
    with Sandbox(account_of("brand_a")) as a, Sandbox(account_of("brand_b")) as b:
        yield {"brand_a": a, "brand_b": b}


def load_brands(warehouse: Warehouse, boxes: dict[str, Sandbox], **options: Any) -> None:
    """One load of each account."""
    for brand, box in boxes.items():
        outcome = warehouse.load(box, account=brand, **options)
        assert outcome.exit_code == 0, outcome.errors


def content_of(warehouse: Warehouse, brand: str, like: Warehouse | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of a brand's campaign in every table of the dataset, its runs included. `like`: has the columns."""
    columns: dict[str, list[str]] = {}
    for table, column in (like or warehouse).rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'passona' "
        "AND table_name NOT LIKE '\\_%' ESCAPE '\\' AND column_name NOT LIKE '\\_%' ESCAPE '\\' "
        "AND column_name <> 'listed' ORDER BY table_name, ordinal_position"
    ):
        columns.setdefault(table, []).append(f"{column}::VARCHAR")
    return {
        table: warehouse.rows(
            f"SELECT {', '.join(names)} FROM passona.{table} WHERE "
            + ("account = ? ORDER BY ALL" if table == "runs" else "campaign_id = ? ORDER BY ALL"),
            brand if table == "runs" else BRANDS[brand],
        )
        for table, names in columns.items()
    }
