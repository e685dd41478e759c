"""Input that JSON allows and parsers refuse, in whole loads: it is loaded, and what had to be changed is noted."""

from __future__ import annotations

from typing import Any

import pytest

from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.people import MODES
from support.warehouses import Warehouse

ISSUES = "SELECT report, column_name, raw_value, issue FROM passona.row_issues ORDER BY ALL"
MARK = "Link name to be edited"


def edited(new: str, old: str = f'"{MARK}"', report: str = "clicks") -> dict[str, Any]:
    return {"kind": "edit", "report": report, "old": old, "new": new}


def test_a_byte_order_mark_before_every_answer_changes_nothing(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    box.faults = [{"kind": "edit", "new": "\xef\xbb\xbf"}]
    assert warehouse.load(box).exit_code == 0
    assert (warehouse.count("clicks"), warehouse.count("alt_delivery"), warehouse.count("row_issues")) == (1, 1, 0)
    box.faults = []
    assert warehouse.load(box).reports["clicks"].unchanged == 1


@pytest.mark.parametrize(
    "written", ["1e400", "-1E+400", "9" * 5_000, "NaN", "-Infinity", "1.50", "12345678901234567890", "[1e400,NaN]"]
)
def test_a_number_that_no_type_holds_is_noted_as_it_was_written(
    warehouse: Warehouse, account: Account, box: Sandbox, written: str
) -> None:
    account.put(
        open_campaign(ONE),
        {"clicks": [click(1, Link_Name=MARK, New=MARK), click(2)], "sent": [{"RecipientCount": MARK}]},
    )
    box.faults = [edited(written), edited(written, report="sent")]
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT link_name, new FROM passona.clicks ORDER BY 1") == [("L", None), (None, written)]
    assert warehouse.rows("SELECT recipient_count FROM passona.sent") == [(None,)]
    assert warehouse.rows(ISSUES) == [
        ("clicks", "link_name", written, "unexpected_type"), ("sent", "recipient_count", written, "unexpected_type"),
    ]  # fmt: skip
    before = warehouse.content()
    assert warehouse.load(box).reports["clicks"].failed == 0
    assert warehouse.content() == before


@pytest.mark.parametrize(
    ("written", "stored", "raw"),
    [
        (r'"\ud83d!"', "\ufffd!", r'"\ud83d!"'),
        (r'"\ude00\ud83d"', "\ufffd\ufffd", r'"\ude00\ud83d"'),
        ('"caf\xe9"', "caf\ufffd", r'"caf\udce9"'),
    ],
)
def test_a_text_that_cannot_be_stored_is_replaced_and_noted(
    warehouse: Warehouse, account: Account, box: Sandbox, written: str, stored: str, raw: str
) -> None:
    account.put(
        open_campaign(ONE), {"clicks": [click(1, Link_Name=MARK), click(2, New=MARK)], "delivery": [{"Sender": MARK}]}
    )
    box.faults = [edited(written), edited(f'["x",{written}]', report="delivery")]
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT phone_number, link_name, new FROM passona.clicks ORDER BY 1") == [
        ("447123400001", stored, None), ("447123400002", "L", stored),
    ]  # fmt: skip
    assert warehouse.rows(ISSUES) == [
        ("clicks", "link_name", raw, "invalid_text"), ("clicks", "new", raw, "invalid_text"),
        ("delivery", "sender", f'["x",{raw}]', "unexpected_type"),
    ]  # fmt: skip
    ids = warehouse.rows("SELECT row_id FROM passona.clicks JOIN passona.row_issues USING (campaign_id, row_id)")
    assert len(ids) == 2
    before = warehouse.content()
    assert warehouse.load(box).reports["clicks"].unchanged == 1
    box.faults = [edited(written.replace("ud83d", "ud83c").replace("\xe9", "\xe8")), edited("1", report="delivery")]
    assert warehouse.load(box).reports["clicks"].loaded == 1  # another content, though the columns are the same
    assert warehouse.content() != before


def test_a_key_that_cannot_be_stored_is_a_column_too(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, **{"a\ud800": "x", "b": "y"})]})
    assert warehouse.load(box).exit_code == 0
    columns = warehouse.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'clicks'")
    (name,) = (name for (name,) in columns if name.startswith("a_"))
    assert warehouse.rows(f"SELECT {name}, b FROM passona.clicks") == [("x", "y")]


def test_of_a_repeated_key_the_last_value_counts(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, Link_Name=MARK), click(2)]})
    box.faults = [edited('"first","Link_Name":[2],"New":"n","New":null,"Link_Name" : "last"')]
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT link_name, new FROM passona.clicks ORDER BY 1") == [("L", None), ("last", None)]
    assert warehouse.rows(ISSUES) == [
        ("clicks", "link_name", '"first"', "repeated_key"), ("clicks", "link_name", "[2]", "repeated_key"),
        ("clicks", "new", '"n"', "repeated_key"),
    ]  # fmt: skip
    box.faults = [edited('"other","Link_Name":"last"')]
    assert warehouse.load(box).reports["clicks"].loaded == 1
    assert ("clicks", "link_name", '"other"', "repeated_key") in warehouse.rows(ISSUES)


@pytest.mark.core
def test_an_object_within_a_value_keeps_all_its_pairs(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, Link_Name=MARK)]})
    box.faults = [edited('{"a":1,"a":1.50}')]
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows(ISSUES) == [("clicks", "link_name", '{"a":1,"a":1.50}', "unexpected_type")]


def test_the_list_of_campaigns_is_read_by_the_same_rules(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    groups = {"included_contact_groups": ["g"], "excluded_contact_groups": ["x"]}
    account.put(open_campaign(ONE, name=MARK, sender="S", **groups), {"clicks": []})
    box.faults = [
        {"kind": "edit", "report": "campaigns", "new": "\xef\xbb\xbf"},
        edited(r'"first","name":"\ud800"', report="campaigns"),
        edited("1e400", '"S"', "campaigns"),
        edited(r'["g","\ud800"]', '["g"]', "campaigns"),
        edited('["y"],"excluded_contact_groups":["x"]', '["x"]', "campaigns"),
    ]
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT name, sender FROM passona.campaigns") == [("\ufffd", None)]
    assert warehouse.rows("SELECT contact_group_id FROM passona.campaigns__contact_groups") == [("x",)]
    assert warehouse.rows(ISSUES) == [
        ("campaigns", "excluded_contact_groups", '["y"]', "repeated_key"),
        ("campaigns", "included_contact_groups", r'["g","\ud800"]', "unexpected_type"),
        ("campaigns", "name", r'"\ud800"', "invalid_text"),
        ("campaigns", "name", '"first"', "repeated_key"),
        ("campaigns", "sender", "1e400", "unexpected_type"),
    ]
    before = warehouse.content()
    assert warehouse.load(box).exit_code == 0
    assert warehouse.content() == before


def test_a_campaign_with_two_uuids_fails_the_list(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {})
    box.faults = [edited(f'"uuid":"{TWO}","uuid":', '"uuid":', "campaigns")]
    outcome = warehouse.load(box)
    assert outcome.exit_code == 4
    assert "one uuid in each campaign" in outcome.errors[0]


@pytest.mark.parametrize("mode", ["pseudonymous", "minimal"])
def test_nothing_of_such_values_is_kept_where_texts_are_not(
    warehouse: Warehouse, account: Account, box: Sandbox, mode: str
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, Link_Name=MARK, New=MARK), click(2)]})
    box.faults = [edited(r'"447123400009\ud800","Phone_Number":"447123400009","Phone_Number":"447123400001"')]
    assert warehouse.load(box, **MODES[mode]).exit_code == 0
    assert {raw for _, _, raw, _ in warehouse.rows(ISSUES)} == {"(text)"}
    everything = repr(warehouse.content())
    assert "447123400009" not in everything
    assert "ud800" not in everything


def test_nobody_who_is_kept_out_comes_in_by_a_key_that_stands_twice(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    from passona.config.privacy_settings import PrivacySettings
    from passona.erasure.forget import forget

    account.put(open_campaign(ONE), {"clicks": [click(1, Link_Name=MARK), click(2), click(3)]})
    warehouse.load(box)
    forget(warehouse.address, [("argument 1", "447123400009")], PrivacySettings(), 0, print)
    box.faults = [edited('"x","Phone_Number":"447123400009","Phone_Number":"447123400001"')]
    assert warehouse.load(box, refresh=True).exit_code == 0
    assert warehouse.rows("SELECT phone_number FROM passona.clicks ORDER BY 1") == [
        ("447123400002",),
        ("447123400003",),
    ]


def test_what_is_nested_without_end_fails_its_report_alone(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, Link_Name=MARK)], "alt_delivery": [message(1)]})
    for depth in (200, 2_000, 200_000):
        box.faults = [edited("[" * depth + "]" * depth)]
        outcome = warehouse.load(box)
        assert outcome.exit_code == 4
        assert "nested more than 100 levels deep" in outcome.errors[0]
        assert (warehouse.count("clicks"), warehouse.count("alt_delivery")) == (0, 1)


@pytest.mark.core
def test_a_text_of_nothing_but_such_characters_is_no_empty_text(
    engine: str, warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    nul = "\N{SYMBOL FOR NULL}" if engine == "postgres" else "\0"
    account.put(open_campaign(ONE), {"clicks": [click(1, Link_Name=MARK)]})
    box.faults = [edited(r'"\u0000\ud800"')]
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT link_name FROM passona.clicks") == [(f"{nul}\ufffd",)]
