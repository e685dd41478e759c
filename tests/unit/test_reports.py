"""The six reports as the guide has them, and the names of their columns."""

from __future__ import annotations

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import example, given
from hypothesis import strategies as st

from passona.reports.definitions import CAMPAIGNS, DELIVERY, REPORTS, Report, column_names, snake_case

# The guide's own lists of keys, in its order.
GUIDE = {
    "clicks": "Phone_Number, Link_Name, Link_Destination, Clicked_At, User_Agent, Device_Type, OS_Version, "
    "Browser_Version",
    "delivery": "SMS_ID, Sender, Recipient, Message_Copy, Status, Expiry_Date",
    "alt_delivery": "MessageId, Mobile, FieldNames, FieldValues, MessageSent, MessageUpdate, Status",
    "recipient": "Phone_Number, Group_Name, Group_Description, Field_Names, Field_Values",
    "sent": "MessageId, Brand, SentOn, RecipientCount, TemplateApiId, TemplateName, Message",
    "unsent": "MessageId, Mobile, FieldNames, FieldValues, Reason",
}
# The contract's tables.
COLUMNS = {
    "clicks": "phone_number link_name link_destination clicked_at user_agent device_type os_version browser_version",
    "delivery": "sms_id sender recipient message_copy status expiry_date",
    "alt_delivery": "message_id mobile message_sent message_update status",
    "recipient": "phone_number group_name group_description",
    "sent": "message_id brand sent_on recipient_count template_api_id template_name message",
    "unsent": "message_id mobile reason",
}
TIMES = {"clicked_at", "expiry_date", "message_sent", "message_update", "sent_on"}
DLT = NamingConvention()

any_report = st.sampled_from([*REPORTS.values(), CAMPAIGNS])
near_keys = st.text(st.sampled_from("abIDs09_ -.\u00e9"), max_size=12) | st.sampled_from(
    ["Status", "STATUS", "status", "sTatus", "listed", "row_id", "Campaign_ID", "x" * 60, "a_" * 40]
)


@pytest.mark.parametrize("name", GUIDE)
def test_each_report_has_the_guides_keys_and_the_contracts_columns(name: str) -> None:
    report = REPORTS[name]
    assert {column.key for column in report.all_columns} == set(GUIDE[name].split(", "))
    assert [column.key for column in report.columns] == [
        key for key in GUIDE[name].split(", ") if not key.lower().startswith("field")
    ]
    assert " ".join(column.name for column in report.columns) == COLUMNS[name]


def test_there_are_six_reports_called_by_their_path_segments() -> None:
    assert list(REPORTS) == list(GUIDE)
    assert all(report.name == name for name, report in REPORTS.items())


@pytest.mark.parametrize("report", REPORTS.values(), ids=str)
def test_times_are_times_the_count_is_an_integer_and_all_else_is_text(report: Report) -> None:
    for column in report.columns:
        kind = "time" if column.name in TIMES else "integer" if column.name == "recipient_count" else "text"
        assert (column.name, column.kind) == (column.name, kind)


@pytest.mark.parametrize("name", ["alt_delivery", "recipient", "unsent"])
def test_reports_with_lists_have_a_table_of_fields(name: str) -> None:
    assert REPORTS[name].tables == (name, f"{name}__fields")
    assert [column.name.replace("_", "") for column in REPORTS[name].lists or ()] == ["fieldnames", "fieldvalues"]


@pytest.mark.parametrize("name", ["clicks", "delivery", "sent"])
def test_reports_without_lists_have_one_table(name: str) -> None:
    assert REPORTS[name].tables == (name,)


def test_each_exception_to_the_rules_is_of_one_report() -> None:
    reports = REPORTS.values()
    assert [report.name for report in reports if report.clicks_window] == ["clicks"]
    assert [report.name for report in reports if report.may_shrink] == ["unsent"]
    assert [report.name for report in reports if report.before_start] == ["recipient"]


@given(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,30}", fullmatch=True).filter(lambda key: "__" not in key and key[-1] != "_")
)
def test_columns_are_named_as_dlt_would_name_them(key: str) -> None:
    assert snake_case(key) == DLT.normalize_identifier(key)


@given(any_report, st.sets(near_keys, max_size=8))
@example(DELIVERY, {"9"})  # dlt would have called it _9_..., and columns with a _ in front are its own
@example(DELIVERY, {"a" * 39 + "_b"})
@example(DELIVERY, {"Status", "sender", f"Sender_{column_names(DELIVERY, ['sender'])['sender'][7:]}"})
def test_new_keys_get_columns_of_their_own(report: Report, keys: set[str]) -> None:
    keys -= {column.key for column in report.all_columns}
    names = column_names(report, keys)
    known = {"campaign_id", "row_id", "account", "listed", *(column.name for column in report.all_columns)}
    assert names.keys() == keys
    assert len({name.lower() for name in names.values()} | known) == len(keys) + len(known)
    for name in names.values():
        assert DLT.normalize_path(name) == name
        assert not name.startswith("_")


def test_a_plain_new_key_is_its_name_in_snake_case() -> None:
    assert column_names(DELIVERY, ["Delivered_At", "networkCode"]) == {
        "Delivered_At": "delivered_at",
        "networkCode": "network_code",
    }


def test_the_names_of_new_keys_do_not_depend_on_the_order_in_which_they_came() -> None:
    keys = ["status", "STATUS", "Stat us", "9", "\u00e9"]
    assert column_names(DELIVERY, keys) == column_names(DELIVERY, reversed(keys))


def test_a_key_that_is_written_as_its_column_comes_before_others() -> None:
    names = column_names(DELIVERY, ["FOO", "foo", "Foo"])
    assert names["foo"] == "foo"
    assert len(set(names.values())) == 3


@given(any_report, st.sets(near_keys, max_size=8), st.sets(st.sampled_from(["a", "b9", "x", "s_d"]), max_size=3))
def test_what_is_taken_is_no_keys(report: Report, keys: set[str], taken: set[str]) -> None:
    keys -= {column.key for column in report.all_columns}
    names = column_names(report, keys, {name.upper() for name in taken})
    assert taken.isdisjoint(names.values())
    assert len(set(names.values())) == len(keys)
