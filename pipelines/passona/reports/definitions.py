"""The six reports and the campaign list as frozen values, with all differences between them.

Keys and their order are those of the vendor's reports guide, types those of its samples: every value is a string or
null, except `RecipientCount`, an integer. Columns are the keys in snake_case, as dlt names them.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Kind = Literal["text", "time", "integer", "boolean"]
# The kind of personal data in a column; `masking.policy` and docs/privacy.md define each kind in each mode.
# no: none. phone. text: as one person received it. link: may be personal. agent: user agent. device: derived from it.
# value: of a contact's field. raw: text of any column. id: of one person's message, which the vendor can resolve.
# digest: of a row about a person.
Personal = Literal["no", "phone", "text", "link", "agent", "device", "value", "raw", "id", "digest"]


def snake_case(key: str) -> str:
    """`SMS_ID` -> `sms_id`, `MessageId` -> `message_id`: dlt's convention for column names."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", key))
    return re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]", "_", spaced)).strip("_").lower()


@dataclass(frozen=True)
class Column:
    """One key of a report. `comment`: the column's comment in the database. `personal`: its kind of personal data.

    `rename`: the column's name, if it is not the key in snake_case.
    """

    key: str
    comment: str
    personal: Personal
    kind: Kind = "text"
    rename: str | None = None

    @cached_property
    def name(self) -> str:
        return self.rename or snake_case(self.key)


@dataclass(frozen=True)
class Report:
    """One report type.

    `name`: the API's path segment, also the name of resource and table.
    `grain`: what one row stands for.
    `columns`: the keys that become columns, in the guide's order.
    `lists`: the keys of the comma-joined names and values, which become the child table.
    `clicks_window`: settles after `clicks_settle_days`, because clicks arrive for weeks.
    `may_shrink`: loses rows while its campaign is sending (`unsent`: pending ones).
    `before_start`: may have rows before its campaign starts sending.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    lists: tuple[Column, Column] | None = None
    clicks_window: bool = False
    may_shrink: bool = False
    before_start: bool = False

    @cached_property
    def all_columns(self) -> tuple[Column, ...]:
        """Return the columns of all keys of a row, the two lists included."""
        return self.columns + (self.lists or ())

    @cached_property
    def sorted_keys(self) -> tuple[str, ...]:
        """Return every key of a row in the order of `row_id`."""
        return tuple(sorted(column.key for column in self.all_columns))

    @cached_property
    def phone_key(self) -> str | None:
        """Return the key of the phone, None for a report about no single person."""
        return next((column.key for column in self.columns if column.personal == "phone"), None)

    @property
    def phone_column(self) -> str | None:
        """Return the column of the phone, None for a report about no single person."""
        return next((column.name for column in self.columns if column.personal == "phone"), None)

    @property
    def fields_table(self) -> str:
        return f"{self.name}__fields"

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.name, self.fields_table) if self.lists else (self.name,)


_CAMEL_LISTS = (
    Column("FieldNames", "names of the contact's fields, joined by commas", "no"),
    Column("FieldValues", "values of the contact's fields, joined by commas", "value"),
)
_SNAKE_LISTS = (
    Column("Field_Names", "names of the contact's fields, joined by commas", "no"),
    Column("Field_Values", "values of the contact's fields, joined by commas", "value"),
)
_PHONE = "digits with country code and no plus"

CLICKS = Report(
    "clicks",
    "click; no key, two equal rows are two clicks",
    (
        Column("Phone_Number", f"phone of who clicked: {_PHONE}", "phone"),
        Column("Link_Name", "name of the link in the campaign", "no"),
        Column("Link_Destination", "address the link leads to", "link"),
        Column("Clicked_At", "instant of the click", "no", "time"),
        Column("User_Agent", "browser string as sent; link-preview robots click too", "agent"),
        Column("Device_Type", "vendor's guess at the device, unreliable: use user_agent", "device"),
        Column("OS_Version", "version of the operating system, vendor's guess", "device"),
        Column("Browser_Version", "version of the browser, vendor's guess", "device"),
    ),
    clicks_window=True,
)
DELIVERY = Report(
    "delivery",
    "message",
    (
        Column("SMS_ID", "message; joins alt_delivery.message_id", "id"),
        Column("Sender", "sender shown on the phone", "no"),
        Column("Recipient", f"phone of the recipient: {_PHONE}", "phone"),
        Column("Message_Copy", "text as this person received it", "text"),
        Column("Status", "delivery status in the vendor's words (known: Success)", "no"),
        Column("Expiry_Date", "instant at which an undelivered message expires", "no", "time"),
    ),
)
ALT_DELIVERY = Report(
    "alt_delivery",
    "message",
    (
        Column("MessageId", "message; joins delivery.sms_id", "id"),
        Column("Mobile", f"phone of the recipient: {_PHONE}", "phone"),
        Column("MessageSent", "instant of sending", "no", "time"),
        Column("MessageUpdate", "instant of the last change of status", "no", "time"),
        Column("Status", "delivery status in the vendor's words (known: Success)", "no"),
    ),
    _CAMEL_LISTS,
)
RECIPIENT = Report(
    "recipient",
    "recipient in one group; a phone in two groups has two rows",
    (
        Column("Phone_Number", f"phone of the recipient: {_PHONE}", "phone"),
        Column("Group_Name", "contact group", "no"),
        Column("Group_Description", "description of the contact group", "no"),
    ),
    _SNAKE_LISTS,
    before_start=True,
)
SENT = Report(
    "sent",
    "batch sent",
    (
        Column("MessageId", "the campaign's uuid in the vendor's sample: no key of a message", "no"),
        Column("Brand", "sender shown on the phones", "no"),
        Column("SentOn", "instant of sending", "no", "time"),
        Column("RecipientCount", "recipients of the batch", "no", "integer"),
        Column("TemplateApiId", "template's uuid", "no"),
        Column("TemplateName", "template's name", "no"),
        Column("Message", "template's text, links as ::LinkName::", "no"),
    ),
)
UNSENT = Report(
    "unsent",
    "message not sent before the campaign expired, or not yet sent",
    (
        Column("MessageId", "the campaign's uuid in the vendor's sample: no key of a message", "no"),
        Column("Mobile", f"phone of the recipient: {_PHONE}", "phone"),
        Column("Reason", "why it was not sent, in the vendor's words (known: pending)", "no"),
    ),
    _CAMEL_LISTS,
    may_shrink=True,
)

REPORTS: dict[str, Report] = {
    report.name: report for report in (CLICKS, DELIVERY, ALT_DELIVERY, RECIPIENT, SENT, UNSENT)
}

# The campaign list, read by the same rules. Its keys are those in the fixtures of the vendor's PHP SDK, v2.
CAMPAIGNS = Report(
    "campaigns",
    "campaign",
    (
        Column("uuid", "campaign", "no", rename="campaign_id"),
        Column("team_uuid", "team that owns the campaign", "no", rename="team_id"),
        Column("name", "campaign's name", "no"),
        Column("sender", "sender shown on the phones", "no"),
        Column("scheduled_send_date", "instant at which sending is planned", "no", "time"),
        Column("expiry_date", "instant at which undelivered messages are marked as failed", "no", "time"),
        Column("status", "vendor's number (0 not started, 2 finished seen); decide by the dates", "no", "integer"),
        Column("started_sending_at", "instant at which sending began", "no", "time"),
        Column("template_uuid", "template", "no", rename="template_id"),
        Column("finished_sending_at", "instant at which sending ended", "no", "time"),
        Column("created_at", "instant of creation", "no", "time"),
        Column("updated_at", "instant of the last change", "no", "time"),
    ),
)

# Columns that tables have besides the keys of their rows.
_OUR_COLUMNS = {"campaign_id", "row_id", "account", "listed"}


def column_names(report: Report, keys: Iterable[str], existing: Iterable[str] = ()) -> dict[str, str]:
    """Return a column name for each key that the guide does not know.

    It is the key in snake_case if that is plain and unused, else with a piece of the key's digest, so that no two keys
    share a column. `existing`: columns of the table. A key that equals its column name has precedence.
    """
    used = {column.name for column in report.all_columns} | _OUR_COLUMNS | {name.lower() for name in existing}
    names = {}
    for key in sorted(keys, key=lambda key: (key != snake_case(key), key)):
        name = snake_case(key)
        if name in used or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,40}", key) or "__" in key:
            name = _unused_name(key, used)
        names[key] = name
        used.add(name)
    return names


def _unused_name(key: str, used: set[str]) -> str:
    """Return an unused name: a part of the key, and as much of its digest as necessary."""
    # A name begins with a letter: dlt prefixes a digit with _, which marks its own columns.
    stem = re.sub(r"^(?![a-z])", "x_", snake_case(key))[:40].strip("_")
    sizes = range(4, hashlib.blake2b.MAX_DIGEST_SIZE + 1)
    names = (f"{stem}_{hashlib.blake2b(key.encode(), digest_size=size).hexdigest()}" for size in sizes)
    return next(name for name in names if name not in used)
