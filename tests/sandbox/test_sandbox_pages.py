"""The sandbox's pages: the guide's to the letter, and Laravel's manners at the edges."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from passona_sandbox import Account, Sandbox, Switches
from passona_sandbox.fixed import GUIDE_UUID
from passona_sandbox.reports import KEYS, REPORTS

GUIDE = Path(__file__).parents[2] / "pipelines" / "passona_sandbox" / "data" / "guide"
ORDERED = json.JSONDecoder(object_pairs_hook=list)


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("query", ["", "?page=1", "?per_page=500&page=1"])
def test_the_guides_pages_are_served_word_for_word(box, ask, report, query):
    served = ask(box, f"reporting/{GUIDE_UUID}/{report}{query}").body.decode()
    assert ORDERED.decode(served) == ORDERED.decode((GUIDE / f"{report}.json").read_text("utf-8"))


@pytest.mark.parametrize("report", REPORTS)
def test_made_up_pages_fit_the_schema(box, ask, account, page_schema, report):
    for entry in account.campaigns():
        answer = ask(box, f"reporting/{entry['uuid']}/{report}?per_page=100")
        if answer.status != 403:
            page_schema(report).validate(answer.json)
            assert all(tuple(row) == KEYS[report] for row in answer.json["data"])


def test_hostile_pages_fit_the_schema(ask, page_schema):
    with Sandbox(Account(campaigns=2, rows=4000, hostile=True)) as box:
        page_schema("campaigns").validate(ask(box, "campaigns").json)
        for report in REPORTS:
            for entry in box.account.campaigns():
                page_schema(report).validate(ask(box, f"reporting/{entry['uuid']}/{report}?per_page=500").json)


def test_the_campaign_list_fits_the_schema_and_has_fifteen_to_a_page(ask, page_schema):
    with Sandbox(Account(campaigns=20, rows=200)) as box:
        first, second = ask(box, "campaigns").json, ask(box, "campaigns?page=2").json
        for page in (first, second):
            page_schema("campaigns").validate(page)
        assert [len(first["data"]), len(second["data"])] == [15, 9]
        assert first["meta"]["per_page"] == "15"
        assert first["links"]["next"] == f"{box.base_url}campaigns?page=2"
        assert ask(box, "campaigns?per_page=20").json["meta"]["per_page"] == "20"
        assert first["data"] + second["data"] == box.account.campaigns()


def test_links_are_bare_and_drop_the_page_size(small, ask):
    page = ask(small, "reporting/one/clicks?per_page=30&page=2").json
    assert page["links"] == {
        "first": "api/2.0/reporting/one/clicks?page=1",
        "last": "api/2.0/reporting/one/clicks?page=4",
        "prev": "api/2.0/reporting/one/clicks?page=1",
        "next": "api/2.0/reporting/one/clicks?page=3",
    }
    assert page["meta"] == {
        "current_page": 2, "from": 31, "last_page": 4, "path": "api/2.0/reporting/one/clicks",
        "per_page": 30, "to": 60, "total": 120,
    }  # fmt: skip


def test_a_page_past_the_end_and_an_empty_report_are_answered_as_laravel_does(small, ask):
    beyond = ask(small, "reporting/one/clicks?page=9").json
    assert beyond["data"] == []
    assert (beyond["meta"]["from"], beyond["meta"]["to"], beyond["links"]["next"]) == (None, None, None)
    empty = ask(small, "reporting/one/sent").json
    assert (empty["meta"]["total"], empty["meta"]["last_page"], empty["meta"]["from"]) == (0, 1, None)


def test_a_page_past_the_end_may_be_an_error(small, ask):
    small.switches = Switches(past_end_error=404)
    assert [ask(small, f"reporting/one/clicks?page={page}").status for page in (3, 4)] == [200, 404]


def test_a_campaign_that_is_not_there_may_be_answered_as_one_without_rows(small, ask):
    small.switches = Switches(unknown_campaign="empty")
    assert ask(small, "reporting/nobody/clicks").json["meta"]["total"] == 0


@pytest.mark.parametrize("page", ["0", "-1", "two", "", "1.5", "1e3", "%00", "[]"])
def test_an_unreadable_page_is_silently_the_first(small, ask, page):
    assert ask(small, f"reporting/one/clicks?page={page}").json["meta"]["current_page"] == 1


@pytest.mark.parametrize(
    ("switches", "query", "granted"),
    [
        (Switches(), "", 50),
        (Switches(), "?per_page=7", 7),
        (Switches(), "?per_page=100000", 500),
        (Switches(per_page_limit=40), "?per_page=100", 40),
        (Switches(honour_per_page=False), "?per_page=7", 50),
        (Switches(), "?per_page=none", 50),
    ],
)
def test_a_page_size_is_granted_as_the_switches_say(small, ask, switches, query, granted):
    small.switches = switches
    assert ask(small, f"reporting/one/clicks{query}").json["meta"]["per_page"] == granted


def test_a_big_page_may_be_an_error(small, ask):
    small.switches = Switches(per_page_error=500)
    assert ask(small, "reporting/one/delivery?per_page=500").status == 200
    assert ask(small, "reporting/one/delivery?per_page=501").status == 500


@pytest.mark.parametrize(
    ("links", "start"),
    [
        ("rooted", "/api/"),
        ("absolute", "http://127.0.0.1:"),
        ("foreign", "https://staging.passona.co.uk/api/"),
    ],
)
def test_links_can_be_written_in_other_ways(small, ask, page_schema, links, start):
    small.switches = replace(small.switches, links=links)
    page = ask(small, "reporting/one/delivery?per_page=1").json
    assert page["links"]["next"].startswith(start)
    assert page["meta"]["path"].startswith(start)
    del page["data"][:]
    page_schema("delivery").validate(page)


def test_json_is_written_as_php_writes_it(box, ask):
    body = ask(box, f"reporting/{GUIDE_UUID}/clicks").body
    assert b"https:\\/\\/digitonic.co.uk\\/" in body
    assert not re.search(rb"[^\\]/|[\x80-\xff]", body)


@pytest.mark.parametrize("report", REPORTS)
def test_a_post_is_accepted_with_an_empty_body(box, ask, report):
    answer = ask(box, f"reporting/{GUIDE_UUID}/{report}", "POST")
    assert (answer.status, answer.body) == (202, b"")


@pytest.mark.parametrize(
    ("path", "method", "token", "status"),
    [
        ("campaigns", "GET", None, 401),
        ("campaigns", "GET", "other", 401),
        ("reporting/nobody/clicks", "GET", None, 401),
        ("reporting/nobody/clicks", "GET", "sandbox", 404),
        (f"reporting/{GUIDE_UUID}/opens", "GET", "sandbox", 404),
        (f"reporting/{GUIDE_UUID}", "GET", "sandbox", 404),
        ("../../etc/passwd", "GET", "sandbox", 404),
        ("campaigns", "POST", "sandbox", 405),
        ("campaigns", "HEAD", "sandbox", 405),
        (f"reporting/{GUIDE_UUID}/clicks", "DELETE", "sandbox", 405),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_right_status(box, ask, path, method, token, status):
    assert ask(box, path, method, token).status == status


def test_a_refused_campaign_is_listed_and_its_reports_are_403(box, ask, account):
    (uuid,) = [entry["uuid"] for entry in account.campaigns() if entry["name"] == "Refused"]
    assert {ask(box, f"reporting/{uuid}/{report}").status for report in REPORTS} == {403}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("error", {"error": {"code": "GEN-UNAUTHORIZED", "http_code": 401, "message": "Unauthenticated."}}),
        ("message", {"message": "Unauthenticated."}),
    ],
)
def test_errors_are_told_in_the_shape_that_is_switched_on(small, ask, shape, expected):
    small.switches = Switches(error_shape=shape)
    assert ask(small, "campaigns", token=None).json == expected


def test_errors_can_be_html(small, ask):
    small.switches = Switches(error_shape="html")
    answer = ask(small, "campaigns", token=None)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<html>")


def test_the_rate_limit_lets_so_many_requests_pass_and_says_when_to_come_back(small, ask):
    small.switches = Switches(rate_limit=2, rate_window=30)
    answers = [ask(small, "campaigns") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert 28 <= int(answers[2].headers["retry-after"]) <= 30
    small.switches = Switches(rate_limit=2, rate_window=30, rate_headers=False)
    assert "x-ratelimit-limit" not in ask(small, "campaigns").headers


def test_the_rate_limit_ends_with_its_window(small, ask):
    small.switches = Switches(rate_limit=1, rate_window=0.05, latency=0.06)
    assert [ask(small, "campaigns").status for _ in range(2)] == [200, 200]


def test_only_campaigns_of_the_current_team_are_shown(ask):
    account = Account(campaigns=4, rows=40, teams=2, special=False)
    mine, theirs = (account.campaigns()[place] for place in (0, 1))
    with Sandbox(account, Switches(teams=(mine["team_uuid"],))) as box:
        assert len(ask(box, "campaigns").json["data"]) == 2
        assert ask(box, f"reporting/{mine['uuid']}/sent").status == 200
        assert ask(box, f"reporting/{theirs['uuid']}/sent").status == 404


def test_requests_in_flight_are_counted_while_they_wait(small, ask):
    small.switches = Switches(latency=0.1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ask(small, "reporting/one/clicks"), range(4)))
    assert sorted(record.in_flight for record in small.requests) == [1, 2, 3, 4]


def test_requests_are_recorded(small, ask):
    ask(small, "reporting/one/clicks?page=2&per_page=10")
    ask(small, "campaigns", token=None)
    report, campaigns = small.requests
    assert (report.method, report.path, report.status) == ("GET", "/api/2.0/reporting/one/clicks", 200)
    assert (report.kind, report.campaign, report.report) == ("report", "one", "clicks")
    assert (report.page, report.per_page, report.in_flight) == ("2", "10", 1)
    assert (campaigns.kind, campaigns.status, campaigns.authorized) == ("campaigns", 401, False)
    small.forget_requests()
    assert small.requests == []
