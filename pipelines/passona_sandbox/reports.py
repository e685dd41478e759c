"""The six reports: path segments, keys in the guide's order, and page sizes when the client asks for none."""

from typing import Any, NamedTuple

Row = dict[str, Any]

CAMPAIGNS = "campaigns"
CAMPAIGNS_PAGE_SIZE = 15
REPORT_PAGE_SIZE = 50  # the guide's samples of clicks, recipient, sent, unsent

KEYS: dict[str, tuple[str, ...]] = {
    "clicks": (
        "Phone_Number",
        "Link_Name",
        "Link_Destination",
        "Clicked_At",
        "User_Agent",
        "Device_Type",
        "OS_Version",
        "Browser_Version",
    ),
    "delivery": ("SMS_ID", "Sender", "Recipient", "Message_Copy", "Status", "Expiry_Date"),
    "alt_delivery": (
        "MessageId",
        "Mobile",
        "FieldNames",
        "FieldValues",
        "MessageSent",
        "MessageUpdate",
        "Status",
    ),
    "recipient": ("Phone_Number", "Group_Name", "Group_Description", "Field_Names", "Field_Values"),
    "sent": (
        "MessageId",
        "Brand",
        "SentOn",
        "RecipientCount",
        "TemplateApiId",
        "TemplateName",
        "Message",
    ),
    "unsent": ("MessageId", "Mobile", "FieldNames", "FieldValues", "Reason"),
}
REPORTS = tuple(KEYS)


class Visit(NamedTuple):
    """What a request asks for; the campaign list has no campaign."""

    method: str
    campaign: str
    report: str
    page: int

    @property
    def path(self) -> str:
        """The address below `api/2.0/`."""
        return CAMPAIGNS if self.report == CAMPAIGNS else f"reporting/{self.campaign}/{self.report}"
