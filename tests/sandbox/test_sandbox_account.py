"""The sandbox's account: what is made up agrees with itself, adds up, and costs nothing to reach."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import islice
from time import perf_counter
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passona_sandbox import Account, clock
from passona_sandbox.counts import finished, shares
from passona_sandbox.dice import Order
from passona_sandbox.reports import REPORTS
from passona_sandbox.words import words

LONDON = ZoneInfo("Europe/London")
NOW = 1_790_000_000


@given(st.integers(820_454_400, 4_102_444_800))
def test_civil_time_is_that_of_london(instant):
    moment = datetime.fromtimestamp(instant, LONDON)
    assert clock.civil(instant) == f"{moment:%Y-%m-%d %H:%M:%S}"
    assert clock.with_offset(instant) == f"{moment:%Y-%m-%dT%H:%M:%S%z}"


@given(st.integers(820_454_400, 4_102_444_800), st.sampled_from(["UTC", "Europe/Paris"]))
def test_civil_time_is_that_of_another_zone_too(instant, zone):
    moment = datetime.fromtimestamp(instant, LONDON)
    there = f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"
    assert clock.civil(instant, zone) == there
    if not moment.fold:
        assert clock.rewritten(clock.civil(instant), zone) == there


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris"])
def test_the_zone_of_an_account_changes_only_times_without_an_offset(zone):
    here, there = Account(rows=900, now=NOW), Account(rows=900, now=NOW, zone=zone)
    for entry, other in zip(here.campaigns(), there.campaigns(), strict=True):
        created = datetime.fromtimestamp((UUID(entry["uuid"]).time - 0x01B21DD213814000) // 10_000_000, ZoneInfo(zone))
        assert (other["uuid"], other["created_at"]) == (entry["uuid"], f"{created:%Y-%m-%d %H:%M:%S}")
        rows = [list(account.rows(entry["uuid"], "delivery")) for account in (here, there)]
        assert rows[0] == rows[1]


@given(st.integers(1, 5000), st.integers(0, 2**32))
def test_an_order_reaches_everything_once(count, die):
    order = Order(count, die)
    assert sorted(order.at(place) for place in range(count)) == list(range(count))


@given(st.integers(0, 100_000), st.integers(0, 9), st.integers(1, 40))
def test_rows_are_divided_exactly(rows, die, parts):
    assert sum(shares(rows, parts)) == rows
    counts = finished(rows, die)
    assert sum(counts.of(report) for report in REPORTS) == rows
    assert min(counts) >= 0
    assert counts.messages or not (counts.clicks or counts.batches)


@pytest.mark.parametrize(("campaigns", "rows"), [(5, 10_000), (1, 7), (40, 30), (3, 0)])
def test_an_account_has_the_campaigns_and_rows_that_were_asked_for(campaigns, rows):
    account = Account(campaigns=campaigns, rows=rows, special=False)
    entries = account.campaigns()
    assert len(entries) == campaigns
    served = [list(account.rows(entry["uuid"], report)) for entry in entries for report in REPORTS]
    assert sum(map(len, served)) == rows


def test_the_same_seed_is_the_same_account_and_another_seed_another():
    first, again, other = (Account(seed=seed, rows=500, now=NOW) for seed in (1, 1, 2))
    assert first.campaigns() == again.campaigns()
    uuid = first.campaigns()[0]["uuid"]
    assert list(first.rows(uuid, "alt_delivery")) == list(again.rows(uuid, "alt_delivery"))
    assert {entry["uuid"] for entry in first.campaigns()} & {entry["uuid"] for entry in other.campaigns()} == {
        "dc8a7564-fb1e-11e9-abb5-0242ac120008"
    }


def test_a_campaigns_uuid_carries_the_instant_of_created_at(account):
    for entry in account.campaigns():
        ticks = UUID(entry["uuid"]).time - 0x01B21DD213814000
        created = datetime.fromtimestamp(ticks // 10_000_000, LONDON)
        assert (UUID(entry["uuid"]).version, entry["created_at"]) == (1, f"{created:%Y-%m-%d %H:%M:%S}")


def test_the_reports_of_a_campaign_agree(account):
    for entry in account.campaigns()[:5]:
        served = {report: list(account.rows(entry["uuid"], report)) for report in REPORTS}
        messages = {row["SMS_ID"]: (row["Recipient"], row["Status"]) for row in served["delivery"]}
        assert messages == {row["MessageId"]: (row["Mobile"], row["Status"]) for row in served["alt_delivery"]}
        assert len(messages) == len(served["delivery"])
        reached = {phone for phone, status in messages.values() if status == "Success"}
        assert {row["Phone_Number"] for row in served["clicks"]} <= reached
        unsent = {row["Mobile"] for row in served["unsent"]}
        phones = {phone for phone, _ in messages.values()}
        assert not unsent & phones
        assert {row["Phone_Number"] for row in served["recipient"]} == unsent | phones
        assert sum(row["RecipientCount"] for row in served["sent"]) == len(messages)
        assert {row["MessageId"] for row in served["sent"] + served["unsent"]} == {entry["uuid"]}


def test_fields_of_a_person_are_the_same_in_every_report(account):
    uuid = account.campaigns()[0]["uuid"]
    printed = {row["Mobile"]: (row["FieldNames"], row["FieldValues"]) for row in account.rows(uuid, "alt_delivery")}
    for row in account.rows(uuid, "recipient"):
        fields = (row["Field_Names"], row["Field_Values"])
        assert printed.get(row["Phone_Number"], fields) == fields


def test_a_person_in_two_groups_has_two_rows(account):
    rows = list(account.rows(account.campaigns()[0]["uuid"], "recipient"))
    groups = Counter(row["Phone_Number"] for row in rows)
    assert max(groups.values()) == 2
    assert len({(row["Phone_Number"], row["Group_Name"]) for row in rows}) == len(rows)


def test_the_special_campaigns_are_what_they_are_called(account):
    named = {entry["name"]: entry for entry in account.campaigns()}
    counts = {
        name: {report: account.count(entry["uuid"], report) for report in REPORTS} for name, entry in named.items()
    }
    assert {report for report, count in counts["Not started"].items() if count} == {"recipient"}
    assert not any(counts["No rows"].values())
    assert all(counts["Still sending"].values())
    assert (named["Not started"]["started_sending_at"], named["Not started"]["status"]) == ("", 0)
    sending = named["Still sending"]
    assert sending["started_sending_at"]
    assert sending["finished_sending_at"] == ""
    assert {row["Reason"] for row in account.rows(sending["uuid"], "unsent")} == {"pending"}
    assert "Pending" in {row["Status"] for row in account.rows(sending["uuid"], "delivery")}
    clicked = [account.row_truth(sending["uuid"], "clicks", index)["instant"] for index in range(60)]
    assert max(clicked) <= NOW


def test_oddities_come_at_believable_rates():
    account = Account(campaigns=1, rows=100_000, special=False)
    uuid = account.campaigns()[0]["uuid"]
    clicks = Counter(json.dumps(row) for row in account.rows(uuid, "clicks"))
    assert 0.01 < (sum(clicks.values()) - len(clicks)) / sum(clicks.values()) < 0.05
    rows = list(account.rows(uuid, "alt_delivery"))
    sizes = [[(row[key] or "").count(",") for key in ("FieldNames", "FieldValues")] for row in rows]
    assert 0.001 < sum(names < values for names, values in sizes) / len(rows) < 0.02
    assert 0.001 < sum(names > values for names, values in sizes) / len(rows) < 0.02
    short = sum(len(row["MessageSent"]) == 18 for row in rows)
    assert 0 < short / len(rows) < 0.002
    assert {None, ""} <= {row["FieldNames"] for row in rows}
    assert any("\U0001f44d" in (row["FieldValues"] or "") for row in rows)


def test_the_truth_says_which_clicks_are_robots_and_when_they_happened(account):
    robots, browsers = ({agent.user_agent for agent in agents} for agents in (words().robots, words().browsers))
    uuid = account.campaigns()[0]["uuid"]
    for index, row in enumerate(account.rows(uuid, "clicks")):
        truth = account.row_truth(uuid, "clicks", index)
        assert row["User_Agent"] in (robots if truth["robot"] else browsers)
        assert row["Clicked_At"] in clock.civil(truth["instant"])
    for index, row in enumerate(account.rows(uuid, "delivery")):
        assert account.row_truth(uuid, "delivery", index)["delivered"] == (row["Status"] == "Success")


def test_campaigns_are_sent_while_the_clocks_change(account):
    autumn, spring = (account.campaigns()[place]["uuid"] for place in (1, 3))
    twice = [row["MessageSent"] for row in account.rows(autumn, "alt_delivery") if " 01:" in row["MessageSent"]]
    never = [row["MessageSent"] for row in account.rows(spring, "alt_delivery") if " 01:" in row["MessageSent"]]
    assert len(twice) > account.count(autumn, "alt_delivery") / 2
    assert 0 < len(never) < len(twice) / 5
    for text in never:
        local = datetime.fromisoformat(text).replace(tzinfo=LONDON)
        back = local.astimezone(timezone.utc).astimezone(LONDON)  # noqa: UP017
        assert back.replace(tzinfo=None) - local.replace(tzinfo=None) == timedelta(hours=1)


def test_hostile_accounts_hold_what_breaks_careless_programs():
    account = Account(campaigns=1, rows=4000, hostile=True, special=False)
    uuid = account.campaigns()[0]["uuid"]
    text = "".join(json.dumps(row, ensure_ascii=False) for report in REPORTS for row in account.rows(uuid, report))
    for each in (
        "\\u0000",
        "\u202e",
        "DROP TABLE",
        "\\r\\n",
        "é" * 5000,
        '\\"Smith, John\\"',
        " leading",
        "2024-02-30",
    ):
        assert each in text


def test_row_a_million_costs_no_more_than_row_one():
    account = Account(campaigns=1, rows=20_000_000, special=False)
    uuid = account.campaigns()[0]["uuid"]
    view = account.view(uuid, "delivery")
    began = perf_counter()
    far = list(view.rows(view.count - 500))
    assert perf_counter() - began < 0.5
    assert len({row["Recipient"] for row in far}) == 500
    assert len(list(islice(account.rows(uuid, "delivery"), 3))) == 3


def test_campaigns_can_be_put_replaced_and_removed(small, ask, walk):
    account = small.account
    assert [row["Phone_Number"] for row in walk(small, "one", "clicks", 7)] == [str(n) for n in range(120)]
    assert account.put({"uuid": "two", "name": "Second"}) == "two"
    account.put({"uuid": "one"}, {"clicks": [{"Phone_Number": "447"}]})
    assert [entry["uuid"] for entry in ask(small, "campaigns").json["data"]] == ["one", "two"]
    assert list(walk(small, "one", "clicks")) == list(account.rows("one", "clicks")) == [{"Phone_Number": "447"}]
    account.remove("one")
    assert ask(small, "reporting/one/clicks").status == 404
    assert [entry["name"] for entry in account.campaigns()] == ["Second"]
    with pytest.raises(ValueError, match="opens"):
        account.put({"uuid": "three"}, {"opens": []})


def test_a_walk_over_http_gives_the_rows_of_the_account(box, walk, account):
    for entry in account.campaigns()[:2]:
        for report in REPORTS:
            assert list(walk(box, entry["uuid"], report)) == list(account.rows(entry["uuid"], report))
