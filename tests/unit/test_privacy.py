"""What is kept of people: tokens, alphabets, shapes, and lists that split as they did."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from passona.config.privacy_settings import PrivacySettings
from passona.errors import ConfigurationError
from passona.masking._user_agents import read_agents
from passona.masking.masks import alphabets, joined_lists, list_shape, shape
from passona.masking.people import people
from passona.masking.phones import read_phone
from passona.masking.policy import CLEAR, Privacy
from passona.masking.tokens import Tokens
from passona.reports.definitions import ALT_DELIVERY, CAMPAIGNS, CLICKS, DELIVERY, RECIPIENT, REPORTS, column_names
from passona.reports.field_lists import pairs
from passona.reports.times import has_form_of_time, instant
from passona.source.rows import type_rows, vendor_texts
from support.dbt_macros import duckdb_macros

KEY, OTHER = b"k" * 32, b"o" * 32
PHONE = "447123456789"
part = st.text(st.sampled_from('ab ,"\r\né🎉\x00'), max_size=6)
texts = st.text(st.sampled_from("aZ09 @^{}\\[~]|€\f\n\r`_éÅΔžя漢🎉\x00\u200d"), max_size=40)


def kept(mode: str = "pseudonymous", fields: tuple[str, ...] = (), key: bytes = KEY) -> Privacy:
    stand_in: Any = read_agents().stand_in if mode == "minimal" else lambda agent: agent
    return Privacy(mode, Tokens((key,)), frozenset(fields), agent_class=stand_in)


def only(report: Any, row: dict[str, Any], privacy: Privacy) -> dict[str, Any]:
    """What becomes of one row, by column; its fields and issues too."""
    found = vendor_texts(report, "c", [row], privacy)
    made = type_rows(report, "c", [found.batch], "Europe/London", column_names(report, found.new_keys))
    parent: dict[str, Any] = made.parent.to_pylist()[0]
    fields = [(f["name"], f["value"]) for f in made.fields.to_pylist()] if made.fields is not None else []
    return parent | {
        "fields": fields,
        "issues": [(i["column_name"], i["raw_value"], i["issue"]) for i in made.issues.to_pylist()],
    }


def test_a_token_is_an_hmac_and_names_its_key() -> None:
    tokens = Tokens((KEY,))
    purpose = hmac.digest(KEY, b"phone", "sha256")
    digest = hmac.new(purpose, PHONE.encode(), hashlib.sha256).hexdigest()
    assert tokens.of_phone(PHONE) == f"p_{tokens.key_id}_{digest[:32]}"
    assert len(tokens.key_id) == 8


def test_another_key_gives_another_id_and_other_tokens() -> None:
    made = [Tokens(keys) for keys in ((KEY,), (OTHER,), (KEY, OTHER), (OTHER, KEY))]
    assert len({tokens.key_id for tokens in made}) == 4
    assert len({tokens.of_phone(PHONE)[11:] for tokens in made}) == 4
    assert len({tokens.row_key for tokens in made}) == 4


def test_no_key_is_shown() -> None:
    assert "kkk" not in repr(kept())
    assert "kkk" not in repr(
        PrivacySettings(privacy="minimal", privacy_key="k" * 32, privacy_former_keys=("kkk" * 20,))
    )


@pytest.mark.parametrize("mode", ["pseudonymous", "minimal"])
def test_the_same_phone_is_the_same_token_in_every_report(mode: str) -> None:
    keys = {
        "clicks": "Phone_Number",
        "delivery": "Recipient",
        "alt_delivery": "Mobile",
        "recipient": "Phone_Number",
        "unsent": "Mobile",
    }
    found = {
        value
        for name, key in keys.items()
        for value in only(REPORTS[name], dict.fromkeys(REPORTS[name].sorted_keys) | {key: PHONE}, kept(mode)).values()
        if isinstance(value, str) and value.startswith("p_")
    }
    assert found == {Tokens((KEY,)).of_phone(PHONE)}


def test_ids_are_keyed_and_rest_on_nothing_that_is_not_kept() -> None:
    row = dict.fromkeys(DELIVERY.sorted_keys) | {"Recipient": PHONE, "Message_Copy": "Hi Ann"}
    ids = [only(DELIVERY, row, privacy)["row_id"] for privacy in (CLEAR, kept(), kept(key=OTHER))]
    assert len(set(ids)) == 3
    assert only(DELIVERY, row | {"Message_Copy": "Hi Bob"}, kept())["row_id"] == ids[1]
    assert only(DELIVERY, row | {"Message_Copy": "Hi Bobby"}, kept())["row_id"] != ids[1]


@given(texts)
@settings(max_examples=50)
def test_a_message_becomes_one_that_takes_as_many_sms_by_the_dbt_projects_sql(text: str) -> None:
    macros = duckdb_macros()
    sql = f"SELECT length(t), {macros.is_gsm7('t')}, {macros.sms_units('t')} FROM (SELECT ?::VARCHAR AS t)"
    before, after = (duckdb.execute(sql, [some]).fetchone() for some in (text, alphabets(text)))
    assert after == before
    assert set(alphabets(text)) <= set("x~\u25a1\U0001f539")


@given(st.lists(st.tuples(part, part), min_size=1, max_size=4))
@example([("A,B", "x"), ("C", "y,z")])
@example([("A", 'x"'), ("B", "y,z")])
def test_lists_that_are_joined_are_split_into_the_same_names(found: list[tuple[str, str]]) -> None:
    names, values = [name for name, _ in found], [value for _, value in found]
    joined = joined_lists(names, values)
    if joined == (None, None) or names == [""]:
        return  # an empty name alone is no list
    split = pairs(*joined)
    assert split is not None
    assert [name for name, _ in split] == names
    assert all(value in (value_before, "") for (_, value), value_before in zip(split, values, strict=True))
    if not any("," in name for name in names):
        assert [value for _, value in split] == values


@given(st.text(st.sampled_from('ab,"\r\n'), max_size=8), st.text(st.sampled_from('ab,"\r\n'), max_size=8))
def test_the_shape_of_values_that_are_no_list_is_none_either(names: str, values: str) -> None:
    if pairs(names or None, values or None) is None:
        assert pairs(names or None, list_shape(values) or None) is None


@given(st.text(st.sampled_from("0195-:.T+ Za٣漢"), max_size=30))
@example("2020-06-08 15:25:0")
@example("٢٠٢٠-06-08 15:25:00")
def test_the_shape_of_a_text_that_is_no_time_is_no_time(text: str) -> None:
    if not has_form_of_time(text):
        assert instant(shape(text), "Europe/London") == (None, "invalid_time")


LISTS = {"Phone_Number": PHONE, "Group_Name": "VIP", "Group_Description": None}


@pytest.mark.parametrize(
    ("mode", "fields", "names", "values", "expected"),
    [
        ("clear", (), "First Name,Town", "Ann,Leith", [("First Name", "Ann"), ("Town", "Leith")]),
        ("pseudonymous", (), "First Name,Town", "Ann,Leith", [("First Name", ""), ("Town", "")]),
        ("pseudonymous", ("Town",), "First Name,Town", "Ann,Leith", [("First Name", ""), ("Town", "Leith")]),
        ("pseudonymous", ("Town",), "First Name,Town", '"Ann, B.","Leith, G1"', [("First Name", ""), ("Town", "Leith, G1")]),
        ("pseudonymous", ("A",), "A,B", f"call +{PHONE},x", [("A", f"call {Tokens((KEY,)).of_phone(PHONE)}"), ("B", "")]),
        ("pseudonymous", ("Order",), "Order", "1234567890", [("Order", "1234567890")]),
        ("minimal", (), "First Name", "Ann", [("First Name", "")]),
        ("minimal", (), "First Name", None, [("First Name", "")]),
    ],
)  # fmt: skip
def test_values_are_kept_of_allowed_names_alone(mode: str, fields: Any, names: str, values: str, expected: Any) -> None:
    privacy = CLEAR if mode == "clear" else kept(mode, fields)
    found = only(RECIPIENT, LISTS | {"Field_Names": names, "Field_Values": values}, privacy)
    assert (found["fields"], found["issues"]) == (expected, [])


def test_what_cannot_be_taken_at_its_face_tells_its_shape_alone() -> None:
    row = {
        "MessageId": "m", "Mobile": [PHONE], "FieldNames": "A,B,C", "FieldValues": 'Ann,"Doe', "Status": 7,
        "MessageSent": PHONE, "MessageUpdate": "2020-06-08 15:25:0", "New": "Ann", "Town": "Leith",
    }  # fmt: skip
    found = only(ALT_DELIVERY, row, kept(fields=("Town",)))
    assert (found["new"], found["town"], found["mobile"]) == (None, "Leith", None)
    assert sorted(found["issues"]) == [
        ("field_names", "A,B,C", "unaligned_fields"),
        ("field_values", 'x,"x', "unaligned_fields"),
        ("message_sent", "000000000000", "invalid_time"),
        ("message_update", "0000-00-00 00:00:0", "invalid_time"),
        ("mobile", "(list)", "unexpected_type"),
        ("status", "(number)", "unexpected_type"),
    ]


@pytest.mark.parametrize(
    ("link", "origin"),
    [
        ("https://shop.example/u/447123456789?a=1", "https://shop.example/"),
        ("https://ann:secret@shop.example/u", "https://shop.example/"),
        ("https://shop.example:8443/#447123456789", "https://shop.example/"),
        ("447123456789", ""), ("tel:447123456789", ""), ("https://[::1", ""),
    ],
)  # fmt: skip
def test_of_a_link_the_host_and_a_token_are_kept(link: str, origin: str) -> None:
    row = dict.fromkeys(CLICKS.sorted_keys) | {"Link_Destination": link}
    assert only(CLICKS, row, kept())["link_destination"] == origin + Tokens((KEY,)).of_link(link)


def test_a_link_to_a_host_alone_is_nobodys_own() -> None:
    row = dict.fromkeys(CLICKS.sorted_keys) | {"Link_Destination": "https://digitonic.co.uk/"}
    assert only(CLICKS, row, kept())["link_destination"] == "https://digitonic.co.uk/"


def test_minimal_keeps_no_user_agent_beyond_its_classes() -> None:
    agent = "Mozilla/5.0 (Linux; Android 10; SM-G960F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/83.0.4103.106 Mobile Safari/537.36"
    row = dict.fromkeys(CLICKS.sorted_keys) | {
        "User_Agent": agent,
        "OS_Version": "10",
        "Device_Type": "WebKit",
        "Browser_Version": "83",
    }
    found = only(CLICKS, row, kept("minimal"))
    assert found["user_agent"] == "Mozilla/5.0 (like Gecko) Mobile Android Chrome/"
    assert [found[name] for name in ("os_version", "device_type", "browser_version")] == [None] * 3
    assert only(CLICKS, row, kept())["user_agent"] == agent


def test_the_campaigns_names_are_the_accounts_own_and_stay() -> None:
    row: dict[str, Any] = dict.fromkeys(CAMPAIGNS.sorted_keys) | {"uuid": "u", "name": "Flash sale", "status": 2}
    assert only(CAMPAIGNS, row, kept())["name"] == "Flash sale"


@pytest.mark.parametrize(
    "text", ["+44 7123 456789", "0044 (7123) 456-789", "447123456789", "44.7123.456789", "+44 (0)7123 456789"]
)
def test_a_phone_is_the_same_however_it_is_written(text: str) -> None:
    assert read_phone(text) == PHONE
    assert people([("argument 1", text)], CLEAR).phones == (PHONE,)


@pytest.mark.parametrize(
    "text", ["07123 456789", "447999", "Ann", "4471234567890123", "", "447123456789x", f"p_{'0' * 8}_{'0' * 32}"]
)
def test_what_is_no_phone_with_a_country_code_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^line 3: ") as refused:
        people([("line 3", text)], CLEAR)
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"privacy": "pseudonymous"}, {"privacy": "minimal", "privacy_key": "short"},
        {"privacy": "pseudonymous", "privacy_key": "k" * 32, "privacy_former_keys": ("k" * 32,)},
        {"privacy": "minimal", "privacy_key": "k" * 32, "privacy_fields": ("Town",)},
        {"retain_days": 0}, {"retain_mode": "gone"},
    ],
)  # fmt: skip
def test_what_cannot_keep_anything_private_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^sources\.passona\."):
        PrivacySettings(**given)


def test_every_spelling_of_a_phone_gives_the_same_token() -> None:
    token = Tokens((KEY,)).of_phone(PHONE)
    row = LISTS | {"Group_Name": f"Ann +{PHONE}!", "Field_Names": f"A,{PHONE}", "Field_Values": "x"}
    found = only(RECIPIENT, row, kept())
    assert found["group_name"] == f"Ann {token}!"
    assert found["issues"][0] == ("field_names", f"A,{token}", "unaligned_fields")
    row = dict.fromkeys(DELIVERY.sorted_keys) | {
        "Sender": "447860000000",
        "SMS_ID": "49deafce-fbbd-11e9-93b1-024212120009",
    }
    found = only(DELIVERY, row, kept())
    assert (found["sender"], found["sms_id"]) == (row["Sender"], row["SMS_ID"])
