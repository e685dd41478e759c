"""Keys that the guide does not know: each has its column for good, whatever else arrives with it and when."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, open_campaign
from support.csv_imports import import_csv
from support.engines import change
from support.warehouses import Warehouse

KNOWN = "campaign_id row_id phone_number link_name link_destination clicked_at user_agent device_type os_version browser_version"
# Keys that all would be called the same.
ALIKE = ["foo", "FOO", "Foo", "foo_", "f-oo"]


def new_columns(warehouse: Warehouse, table: str = "clicks") -> list[str]:
    columns = warehouse.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'passona' AND table_name = ?", table
    )
    return [name for (name,) in columns if not name.startswith("_") and name not in KNOWN.split()]


def values(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Of each row in the order of its phone, what stands in columns of new keys."""
    columns = new_columns(warehouse)
    rows = warehouse.rows(f"SELECT {', '.join(columns)} FROM passona.clicks ORDER BY phone_number")
    return [{name: value for name, value in zip(columns, row, strict=True) if value is not None} for row in rows]


def assert_one_column_each(warehouse: Warehouse) -> None:
    """Every value says its key: each key has one column, each column one key."""
    owner: dict[str, str] = {}
    for row in values(warehouse):
        for column, key in row.items():
            assert owner.setdefault(column, key) == key
    assert len(set(owner.values())) == len(owner)


@pytest.mark.parametrize("first", [["foo"], ["FOO"], ["FOO", "foo"], ["Foo", "foo_"]])
@pytest.mark.parametrize("then", [["FOO", "foo"], ["foo"], ALIKE])
def test_similar_keys_never_share_a_column(
    warehouse: Warehouse, account: Account, box: Sandbox, first: list[str], then: list[str]
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, **{key: key for key in first})]})
    assert warehouse.load(box).exit_code == 0
    (before,) = values(warehouse)
    account.put(open_campaign(TWO), {"clicks": [click(2, **{key: key for key in then})]})
    assert warehouse.load(box).exit_code == 0
    assert values(warehouse)[0] == before
    assert_one_column_each(warehouse)
    assert warehouse.load(box, refresh=True).exit_code == 0
    assert values(warehouse)[0] == before
    assert set(values(warehouse)[1].values()) == set(then)
    assert_one_column_each(warehouse)


def test_keys_that_look_alike_in_campaigns_of_one_load(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, foo="foo")]})
    account.put(open_campaign(TWO), {"clicks": [click(2, FOO="FOO"), click(3, FOO="FOO", foo="foo")]})
    assert warehouse.load(box).exit_code == 0
    assert_one_column_each(warehouse)
    assert warehouse.rows("SELECT foo FROM passona.clicks ORDER BY phone_number") == [("foo",), (None,), ("foo",)]


def test_the_first_key_has_the_plain_name_for_good(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    for number, key in enumerate(("FOO", "foo", "FOO"), 1):
        account.put(open_campaign(ONE), {"clicks": [click(number, **{key: key})]})
        assert warehouse.load(box).exit_code == 0
        assert warehouse.one("SELECT foo FROM passona.clicks") == ("FOO" if key == "FOO" else None,)
    assert len(new_columns(warehouse)) == 2


@pytest.mark.core
def test_a_key_in_another_report_has_nothing_to_do_with_it(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, FOO="a")], "delivery": [{"SMS_ID": "1", "foo": "b"}]})
    assert warehouse.load(box).exit_code == 0
    assert warehouse.one("SELECT foo FROM passona.clicks") == ("a",)
    assert warehouse.one("SELECT foo FROM passona.delivery") == ("b",)


def test_a_column_that_somebody_added_is_no_keys(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    warehouse.load(box)
    change(warehouse.path, "ALTER TABLE passona.clicks ADD COLUMN note VARCHAR")
    change(warehouse.path, "UPDATE passona.clicks SET note = 'mine'")
    account.put(open_campaign(TWO), {"clicks": [click(2, note="the API's")]})
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT note FROM passona.clicks ORDER BY phone_number") == [("mine",), (None,)]
    assert sorted(value for row in values(warehouse) for value in row.values()) == ["mine", "the API's"]


def test_columns_of_a_warehouse_that_noted_no_keys_are_used_on(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, Price="1")]})
    warehouse.load(box)
    change(warehouse.path, "DROP TABLE passona._keys")
    account.put(open_campaign(TWO), {"clicks": [click(2, Price="2")]})
    assert warehouse.load(box).exit_code == 0
    account.put(open_campaign(TWO), {"clicks": [click(2, price="3", Price="2")]})
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT price FROM passona.clicks ORDER BY phone_number") == [("1",), ("2",)]
    assert len(new_columns(warehouse)) == 2


def test_the_list_of_campaigns_and_files_name_keys_alike(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Any
) -> None:
    account.put(open_campaign(ONE, FOO="FOO"), {"clicks": [click(1, FOO="FOO")]})
    warehouse.load(box)
    account.put(open_campaign(TWO, foo="foo"), {"clicks": []})
    warehouse.load(box)
    first, second = sorted(warehouse.rows("SELECT foo, listed FROM passona.campaigns"), key=repr)
    assert (first[0], second[0]) == ("FOO", None)
    file = tmp_path / "clicks.csv"
    header = "Phone_Number,Link_Name,Link_Destination,Clicked_At,User_Agent,Device_Type,OS_Version,Browser_Version"
    file.write_text(f"{header},foo\n447123400002,L,,2020-06-08 13:50:06,,,,,foo\n")
    import_csv(warehouse, file, campaign="33333333-3333-4333-8333-333333333333")
    assert_one_column_each(warehouse)
    assert warehouse.rows("SELECT foo FROM passona.clicks ORDER BY phone_number") == [("FOO",), (None,)]


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "x" * 5_000, "'; DROP TABLE passona.clicks; --", '"', ""])
def test_any_key_has_a_column(warehouse: Warehouse, account: Account, box: Sandbox, key: str) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, **{key: "v"})]})
    for _ in range(2):
        assert warehouse.load(box, refresh=True).exit_code == 0
        assert [list(row.values()) for row in values(warehouse)] == [["v"]]


def test_three_keys_one_after_another_in_every_order(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    uuids = [f"{n}4444444-4444-4444-8444-444444444444" for n in range(6)]
    for uuid, keys in zip(uuids, permutations(["foo", "FOO", "Foo"]), strict=True):
        account.put(open_campaign(uuid), {"clicks": [click(n, **{key: key}) for n, key in enumerate(keys)]})
    assert warehouse.load(box, page_size=1).exit_code == 0
    assert_one_column_each(warehouse)
    assert len(new_columns(warehouse)) == 3
