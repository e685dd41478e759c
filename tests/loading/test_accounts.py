"""Several accounts in one warehouse: each with its own token, limits, zone and faults, and none in the way of another."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from passona.config.privacy_settings import PrivacySettings
from passona.config.settings import Settings
from passona.erasure.forget import forget
from passona.reports.definitions import REPORTS
from passona.warehouse.database import open_database
from passona.warehouse.load import Load, LoadRequest
from passona.warehouse.run import Outcome
from passona_sandbox import Account, Sandbox, Switches
from passona_sandbox.clock import Zone
from support.oracle import expected
from support.stored import stored
from support.warehouses import Lines, Warehouse, accounts_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.both

ONE, TWO, THREE, FOUR, FIVE = (f"c1c1c1c1-0000-4000-8000-{number:012}" for number in range(5))
PARIS: Zone = "Europe/Paris"


def click(number: int, at: str = "2024-07-01 12:00:00") -> dict[str, Any]:
    return {
        "Phone_Number": f"44770090{number:04}", "Link_Name": "L", "Link_Destination": "https://example.org/",
        "Clicked_At": at, "User_Agent": "UA", "Device_Type": "", "OS_Version": "", "Browser_Version": "",
    }  # fmt: skip


def account_with(**clicks: int) -> Account:
    """Campaigns ONE ... FIVE, given by their names in lower case, with so many clicks each."""
    account = Account.empty()
    for name, number in clicks.items():
        uuid = {"one": ONE, "two": TWO, "three": THREE, "four": FOUR, "five": FIVE}[name]
        account.put({"uuid": uuid, "name": name}, {"clicks": [click(n) for n in range(number)]})
    return account


def load(
    warehouse: Warehouse, boxes: Mapping[str, Sandbox], *uuids: str, only: Sequence[str] = (), **options: Any
) -> tuple[Outcome, list[str]]:
    """One load of these accounts, or of those in `only`; what it did and what it said."""
    lines, own, tokens = Lines(), options.pop("own", {}), options.pop("tokens", {})
    settings = [
        Settings(
            tokens.get(name, box.token), base_url=box.base_url, account=name, retry_pause=0.01,
            other_accounts=tuple(other for other in boxes if other != name), **own.get(name, {}),
        )
        for name, box in boxes.items() if name in only or not only
    ]  # fmt: skip
    database = open_database(warehouse.address, 0, lines.notify)
    try:
        return Load(settings, database, LoadRequest(uuids, **options), lines).run(), lines.said
    finally:
        database.close()


def asked(box: Sandbox) -> set[str | None]:
    """The campaigns whose reports a server was asked for."""
    return {record.campaign for record in box.requests if record.kind == "report"}


def accounts_in(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.rows("SELECT campaign_id, account, listed FROM passona.campaigns ORDER BY campaign_id")


@pytest.mark.core
def test_a_bad_token_and_an_empty_list_are_not_in_the_way_of_a_third_account(
    passona: Run, warehouse: Warehouse
) -> None:
    bad = Sandbox(account_with(one=3), Switches(token="secret-1", per_page_limit=7))
    empty = Sandbox(account_with(two=2), Switches(token="secret-2", per_page_limit=3, rate_limit=500))
    good = Sandbox(
        Account(campaigns=2, rows=900, zone=PARIS), Switches(token="secret-3", per_page_limit=40),
        faults=[{"kind": "status", "code": 503, "times": 3, "after": 4}, {"kind": "status", "code": 429, "times": 2}],
    )  # fmt: skip
    with bad, empty, good:
        boxes = {"bad": bad, "empty": empty, "good": good}
        variables = accounts_of(boxes) | {"SOURCES__PASSONA__ACCOUNTS__GOOD__TIMEZONE": PARIS}
        first = passona("load", **variables)
        assert (first.returncode, first.stderr) == (0, ""), first.stderr
        for box in boxes.values():
            assert all(record.authorized for record in box.requests)
            box.forget_requests()
        bad.switches = Switches(token="another")
        empty.account.remove(TWO)
        good.account.put({"uuid": FOUR, "name": "four"}, {"clicks": [click(1), click(2, "2024-12-31 23:30:00")]})
        ended = passona("load", "--json", **variables)
        assert ended.returncode == 3
        refused, held = sorted(ended.stderr.splitlines())
        assert refused.startswith("passona: account bad: the server refuses the token (401")
        assert refused.endswith("check sources.passona.accounts.bad.api_token")
        assert held.startswith("passona: account empty: list of campaigns: expected most of the 1 that were listed")
        document = json.loads(ended.stdout)
        assert {name: part["exit_code"] for name, part in document["accounts"].items()} == {
            "bad": 3, "empty": 5, "good": 0,
        }  # fmt: skip
        assert [record.status for record in bad.requests] == [401]
        assert {record.kind for record in empty.requests} == {"campaigns"}
        assert all(record.authorized for box in (empty, good) for record in box.requests)
        for entry in good.account.campaigns():
            for report in REPORTS:
                served = list(good.account.rows(str(entry["uuid"]), report))
                assert stored(warehouse.path, str(entry["uuid"]), report) == expected(served, PARIS), report
        assert stored(warehouse.path, ONE, "clicks") == expected(bad.account.rows(ONE, "clicks"))
    owners = dict(warehouse.rows("SELECT account, count(*) FROM passona.campaigns WHERE listed GROUP BY account"))
    assert owners == {"bad": 1, "empty": 1, "good": len(good.account.campaigns())}
    assert warehouse.rows("SELECT account, outcome FROM passona.runs ORDER BY started_at, account")[-3:] == [
        ("bad", "token refused"), ("empty", "held"), ("good", "ok"),
    ]  # fmt: skip
    assert "secret-" not in ended.stdout + ended.stderr


def test_an_account_that_is_left_out_stays_as_it_is(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3)) as a, Sandbox(account_with(two=2)) as b:
        load(warehouse, {"a": a, "b": b})
        a.account.remove(ONE)
        a.forget_requests()
        outcome, said = load(warehouse, {"a": a, "b": b}, only=["b"], refresh=True)
        assert (outcome.exit_code, said, a.requests) == (0, [], [])
    assert accounts_in(warehouse) == [(ONE, "a", True), (TWO, "b", True)]
    assert warehouse.count("clicks") == 5


def test_listed_is_of_the_own_account(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3)) as a, Sandbox(account_with(two=2, three=1)) as b:
        load(warehouse, {"a": a, "b": b})
        b.account.remove(TWO)
        assert load(warehouse, {"a": a, "b": b})[0].exit_code == 0
    assert accounts_in(warehouse) == [(ONE, "a", True), (TWO, "b", False), (THREE, "b", True)]


@pytest.mark.core
def test_a_campaign_in_two_lists_is_loaded_once_and_that_is_said(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3, two=2)) as a, Sandbox(account_with(one=3, three=1)) as b:
        outcome, said = load(warehouse, {"a": a, "b": b})
        assert outcome.exit_code == 0
        assert said == ["1 campaign in the lists of a and b: loaded once, by account a"]
        assert (asked(a), asked(b)) == ({ONE, TWO}, {THREE})
    assert accounts_in(warehouse) == [(ONE, "a", True), (TWO, "a", True), (THREE, "b", True)]
    assert warehouse.count("clicks") == 6


def test_if_the_first_account_cannot_the_second_one_loads_it(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3)) as a, Sandbox(account_with(one=3)) as b:
        outcome, said = load(warehouse, {"a": a, "b": b}, tokens={"a": "stale"})
        assert (outcome.exit_code, said) == (3, [])
        assert (asked(a), asked(b)) == (set(), {ONE})
        outcome, said = load(warehouse, {"a": a, "b": b}, refresh=True)
        # It stays with the account that has it, as long as that lists it.
        assert said == ["1 campaign in the lists of a and b: loaded once, by account b"]
        assert (outcome.exit_code, asked(a)) == (0, set())
    assert accounts_in(warehouse) == [(ONE, "b", True)]


@pytest.mark.core
def test_a_campaign_that_moves_to_another_account_keeps_its_rows(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3, two=2)) as a, Sandbox(account_with(three=1)) as b:
        load(warehouse, {"a": a, "b": b})
        before = warehouse.rows("SELECT * FROM passona.clicks ORDER BY row_id")
        a.account.remove(ONE)
        b.account.put({"uuid": ONE, "name": "one"}, {"clicks": [click(n) for n in range(3)]})
        b.forget_requests()
        outcome, said = load(warehouse, {"a": a, "b": b})
        assert (outcome.exit_code, said, asked(b)) == (0, ["1 campaign moved from account a to b"], set())
    assert accounts_in(warehouse) == [(ONE, "b", True), (TWO, "a", True), (THREE, "b", True)]
    assert warehouse.rows("SELECT * FROM passona.clicks ORDER BY row_id") == before


def test_exchanged_tokens_move_nothing_until_that_is_accepted(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=1, two=1, three=1, four=1)) as a, Sandbox(account_with(five=1)) as b:
        load(warehouse, {"a": a, "b": b})
        before = accounts_in(warehouse)
        outcome, said = load(warehouse, {"a": b, "b": a})
        assert (outcome.exit_code, said) == (5, [])
        assert [error.partition(":")[0] for error in outcome.errors] == ["account a"]
        assert [(uuid, owner) for uuid, owner, _ in accounts_in(warehouse)] == [
            (uuid, owner) for uuid, owner, _ in before
        ]
        outcome, said = load(warehouse, {"a": b, "b": a}, accept_shrink=True)
        assert (outcome.exit_code, len(said)) == (0, 2)
    assert {account for uuid, account, _ in accounts_in(warehouse) if uuid != FIVE} == {"b"}


def test_jobs_of_one_account_each_hand_a_campaign_over(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=2, two=1)) as a, Sandbox(account_with(three=1)) as b:
        boxes = {"a": a, "b": b}
        for name in boxes:
            load(warehouse, boxes, only=[name])
        a.account.remove(ONE)
        b.account.put({"uuid": ONE, "name": "one"}, {"clicks": [click(n) for n in range(9)]})
        load(warehouse, boxes, only=["a"])
        outcome, said = load(warehouse, boxes, only=["b"])
        assert (outcome.exit_code, said) == (0, ["1 campaign moved from account a to b"])
    assert accounts_in(warehouse) == [(ONE, "b", True), (TWO, "a", True), (THREE, "b", True)]
    assert warehouse.one("SELECT count(*) FROM passona.clicks WHERE campaign_id = ?", ONE) == (9,)


@pytest.mark.parametrize("forgetting", ["a", "b"])
def test_a_campaign_that_moves_brings_back_nobody_whom_either_account_forgot(
    warehouse: Warehouse, forgetting: str
) -> None:
    with Sandbox(account_with(one=3, two=1)) as a, Sandbox(account_with(three=1)) as b:
        load(warehouse, {"a": a, "b": b})
        texts = [("argument 1", "+44 7700 900001")]
        forget(warehouse.address, texts, PrivacySettings(), 0, lambda line: None, account=forgetting)
        a.account.remove(ONE)
        b.account.put({"uuid": ONE, "name": "one"}, {"clicks": [click(n) for n in range(3)]})
        outcome, notices = load(warehouse, {"a": a, "b": b})
        inherited = ["account b keeps out the people whom a has forgotten, too"] if forgetting == "a" else []
        assert (outcome.exit_code, notices) == (0, ["1 campaign moved from account a to b", *inherited])
        outcome, notices = load(warehouse, {"a": a, "b": b}, refresh=True)
        assert (outcome.exit_code, notices) == (0, [])
    assert warehouse.rows("SELECT phone_number FROM passona.clicks WHERE campaign_id = ? ORDER BY 1", ONE) == [
        ("447700900000",), ("447700900002",),
    ]  # fmt: skip


def test_whom_a_nameless_account_forgot_stays_out_when_it_gets_a_name(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3, two=2)) as box:
        warehouse.load(box)
        texts = [("argument 1", "+44 7700 900001")]
        forget(warehouse.address, texts, PrivacySettings(), 0, lambda line: None, account="default")
        load(warehouse, {"brand_a": box}, refresh=True)
    assert warehouse.one("SELECT count(*) FROM passona.clicks WHERE phone_number LIKE '%01'") == (0,)


@pytest.mark.core
def test_a_token_that_is_switched_to_the_team_of_another_account_takes_nothing_away(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=1, two=1, three=1, four=1)) as a, Sandbox(account_with(five=1)) as b:
        load(warehouse, {"a": a, "b": b})
        outcome, said = load(warehouse, {"a": b, "b": b})
        assert outcome.exit_code == 5
        assert outcome.errors == [
            (
                "account a: list of campaigns: expected most of the 4 that were listed, got 0 of them; all stay listed; check "
                "the team that the token is switched to, --accept-shrink takes the new list"
            )
        ]
        assert said == ["1 campaign in the lists of a and b: loaded once, by account b"]
    assert accounts_in(warehouse) == [*((uuid, "a", True) for uuid in (ONE, TWO, THREE, FOUR)), (FIVE, "b", True)]


def test_a_token_in_place_of_the_accounts_takes_over_its_campaigns(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=1, two=1)) as box:
        warehouse.load(box)
        assert {account for _, account, _ in accounts_in(warehouse)} == {"default"}
        box.forget_requests()
        load(warehouse, {"brand_a": box})
        assert asked(box) == set()
    assert {account for _, account, _ in accounts_in(warehouse)} == {"brand_a"}


def test_a_named_campaign_is_asked_of_the_account_that_has_it(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3)) as a, Sandbox(account_with(two=2)) as b:
        outcome, _ = load(warehouse, {"a": a, "b": b}, TWO.upper())
        assert outcome.exit_code == 0
        assert (asked(a), asked(b)) == (set(), {TWO})


@pytest.mark.core
def test_a_named_campaign_that_no_account_lists_is_one_error_and_no_request(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3)) as a, Sandbox(account_with(two=2)) as b:
        outcome, _ = load(warehouse, {"a": a, "b": b}, FOUR, TWO)
        assert outcome.errors == [
            f"campaign {FOUR}: no account lists it; check the uuid, or name the account that has it with --account NAME"
        ]
        assert (outcome.exit_code, asked(a), asked(b)) == (4, set(), {TWO})
        assert warehouse.rows("SELECT count(*) FROM passona.report_ledger WHERE campaign_id = ?", FOUR) == [(0,)]
        # With its account it is asked for, as a campaign of a single account is.
        outcome, _ = load(warehouse, {"a": a, "b": b}, FOUR, only=["a"])
        assert "the account has no such campaign" in outcome.errors[0]
        assert (outcome.exit_code, asked(a)) == (4, {FOUR})


def test_a_named_campaign_of_an_account_that_is_left_out(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3)) as a, Sandbox(account_with(two=2)) as b:
        load(warehouse, {"a": a, "b": b})
        a.forget_requests()
        outcome, _ = load(warehouse, {"a": a, "b": b}, ONE, only=["b"])
        assert outcome.errors == [
            f"campaign {ONE}: it belongs to account a, which this run does not load; --account a does"
        ]
        assert (outcome.exit_code, a.requests) == (4, [])


def test_the_team_is_checked_by_account(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3)) as a, Sandbox(account_with(two=2)) as b:
        outcome, _ = load(warehouse, {"a": a, "b": b}, own={"a": {"team_uuid": FOUR}})
        assert outcome.errors[0].startswith(f"account a: campaigns: expected those of team {FOUR}")
        assert (outcome.exit_code, asked(a), asked(b)) == (2, set(), {TWO})
    assert accounts_in(warehouse) == [(TWO, "b", True)]


def test_the_list_guard_is_of_each_account(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=1)) as a, Sandbox(account_with(two=1, three=1)) as b:
        load(warehouse, {"a": a, "b": b})
        a.account.remove(ONE)
        b.account.put({"uuid": FOUR, "name": "four"}, {"clicks": [click(1)]})
        outcome, _ = load(warehouse, {"a": a, "b": b})
        assert (outcome.exit_code, len(outcome.errors)) == (5, 1)
        assert outcome.accounts["b"].exit_code == 0
        assert load(warehouse, {"a": a, "b": b}, accept_shrink=True)[0].exit_code == 0
    assert accounts_in(warehouse) == [(ONE, "a", False), (TWO, "b", True), (THREE, "b", True), (FOUR, "b", True)]


@pytest.mark.core
def test_times_are_of_the_zone_of_their_account_in_one_package(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=1)) as a, Sandbox(account_with(two=1)) as b:
        load(warehouse, {"a": a, "b": b}, own={"a": {"timezone": PARIS}, "b": {"timezone": "America/New_York"}})
    times = warehouse.rows(
        "SELECT campaign_id, strftime(clicked_at AT TIME ZONE 'UTC', '%H:%M') FROM passona.clicks ORDER BY 1"
    )
    assert times == [(ONE, "10:00"), (TWO, "16:00")]
    assert warehouse.one("SELECT count(DISTINCT _dlt_load_id) FROM passona.clicks") == (1,)


def test_one_person_is_one_token_in_all_accounts(warehouse: Warehouse) -> None:
    mode = {"privacy": "pseudonymous", "privacy_key": "k" * 32}
    with Sandbox(account_with(one=1)) as a, Sandbox(account_with(two=1)) as b:
        load(warehouse, {"a": a, "b": b}, own={"a": mode, "b": mode})
    assert warehouse.one("SELECT count(*), count(DISTINCT phone_number) FROM passona.clicks") == (2, 1)


def test_a_new_key_of_the_api_is_told_once(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=1)) as a, Sandbox(account_with(two=1)) as b:
        for box, uuid in ((a, ONE), (b, TWO)):
            box.account.put({"uuid": uuid, "name": "new"}, {"clicks": [click(0) | {"Mood": "fine"}]})
        _, said = load(warehouse, {"a": a, "b": b})
    assert said == ["the API has changed: clicks: new key 'Mood'"]
    assert warehouse.rows("SELECT campaign_id, mood FROM passona.clicks ORDER BY 1") == [(ONE, "fine"), (TWO, "fine")]


@pytest.mark.core
def test_counts_are_those_of_each_account(warehouse: Warehouse) -> None:
    with Sandbox(account_with(one=3, two=1)) as a, Sandbox(account_with(three=5)) as b:
        outcome, _ = load(warehouse, {"a": a, "b": b})
    rows = {name: part.reports["clicks"].counts["rows"] for name, part in outcome.accounts.items()}
    assert rows == {"a": 4, "b": 5}
    assert outcome.reports["clicks"].counts["rows"] == 9
    assert warehouse.rows("SELECT account, row_count, requests FROM passona.runs ORDER BY account") == [
        (name, part.reports["clicks"].counts["rows"], part.requests) for name, part in outcome.accounts.items()
    ]


def test_logs_name_the_account_of_each_request_and_run(passona: Run) -> None:
    flaky = [{"kind": "status", "code": 503, "times": 1, "report": "clicks"}]
    with Sandbox(account_with(one=1), faults=flaky) as a, Sandbox(account_with(two=1), faults=flaky) as b:
        ended = passona("load", "--log-format", "json", **accounts_of({"a": a, "b": b}))
    records = [json.loads(line) for line in ended.stderr.splitlines()]
    by_event = {(record["event"], record.get("account")) for record in records}
    for event in ("run_begun", "request_retried", "report_verified", "run_ended"):
        assert {(event, "a"), (event, "b")} <= by_event
    runs = {record["account"]: record["run_id"] for record in records if record["event"] == "run_begun"}
    assert len({*runs.values()}) == 2
    assert all(record["run_id"] == runs[record["account"]] for record in records if "account" in record)


def test_people_see_what_each_account_did(passona: Run) -> None:
    with Sandbox(account_with(one=3)) as a, Sandbox(account_with(two=2, three=1)) as b:
        ended = passona("load", **accounts_of({"a": a, "b": b}))
        assert (ended.returncode, ended.stderr) == (0, "")
        (header, first, second) = ended.stdout.splitlines()[-4:-1]
        assert header.split() == [
            "account",
            "campaigns",
            "requests",
            "loaded",
            "unchanged",
            "failed",
            "held",
            "rows",
            "outcome",
        ]
        assert (first.split()[:2], second.split()[:2]) == (["a", "1"], ["b", "2"])
        assert max(map(len, ended.stdout.splitlines()[-4:-1])) <= 80
        only = passona("load", "--account", "b", **accounts_of({"a": a, "b": b}))
        assert (only.returncode, only.stderr) == (0, "")
        wrong = passona("load", "--account", "c", **accounts_of({"a": a, "b": b}))
        assert wrong.stderr == "passona: --account c: no such account; configured: a, b\n"
        assert wrong.returncode == 2


@pytest.mark.parametrize("verb", ["load", "campaigns", "status"])
def test_with_one_token_the_word_is_never_seen(passona: Run, verb: str) -> None:
    with Sandbox(account_with(one=3)) as box:
        assert passona("load", box=box).returncode == 0
        for arguments in ([verb], [verb, "--json"]):
            ended = passona(*arguments, box=box)
            assert (ended.returncode, "account" in ended.stdout + ended.stderr) == (0, False), ended.stdout
