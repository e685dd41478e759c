"""The sandbox's faults: each does what the README says, as often as its rule says."""

from __future__ import annotations

import http.client
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest

from passona_sandbox.bad_pages import NEXT
from passona_sandbox.faults import KINDS

README = Path(__file__).parents[2] / "pipelines" / "passona_sandbox" / "README.md"
CLICKS = "reporting/one/clicks"


def phones(page):
    return [int(row["Phone_Number"]) for row in page["data"]]


def test_every_kind_is_documented():
    documented = set(re.findall(r"`([a-z_]+)`", README.read_text("utf-8").partition("## Faults")[2]))
    assert set(KINDS) | set(NEXT) <= documented


@pytest.mark.parametrize(
    ("rule", "printed"),
    [
        ({"kind": "explode"}, "unknown kind 'explode'"),
        ({}, "unknown kind None"),
        ({"kind": "reset", "speed": 1}, "unknown keys \\['speed'\\]"),
        ({"kind": "status"}, "missing keys \\['code'\\]"),
        ({"kind": "reset", "report": "opens"}, "there is no report 'opens'"),
        ({"kind": "reset", "method": "post"}, "method 'post' is none of GET, POST, any"),
        ({"kind": "reset", "page": "2"}, "page '2' is no whole number"),
        ({"kind": "reset", "times": "once"}, "times 'once' is no whole number"),
        ("kind", "expected a list of rules, each of them an object, got 'kind'"),
    ],
)
def test_a_rule_that_cannot_be_understood_is_refused(small, rule, printed):
    with pytest.raises(ValueError, match=printed):
        small.faults = [rule]


def test_a_rule_strikes_only_what_it_matches(small, ask):
    small.faults = [{"kind": "status", "code": 500, "report": "clicks", "campaign": "one", "page": 2, "method": "GET"}]
    paths = [CLICKS, f"{CLICKS}?page=2", "reporting/one/delivery?page=2", "campaigns?page=2"]
    assert [ask(small, path).status for path in paths] == [200, 500, 200, 200]
    assert ask(small, f"{CLICKS}?page=2", "POST").status == 202


def test_a_rule_lets_some_pass_and_strikes_so_often(small, ask):
    small.faults = [{"kind": "status", "code": 503, "after": 1, "times": 2}]
    assert [ask(small, CLICKS).status for _ in range(5)] == [200, 503, 503, 200, 200]
    (rule,) = small.faults
    assert (rule.seen, rule.struck) == (5, 2)


def test_rules_are_counted_exactly_under_many_threads(small, ask):
    small.faults = [{"kind": "status", "code": 503, "after": 20, "times": 30}]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: ask(small, CLICKS).status, range(100)))
    assert statuses.count(503) == 30


def test_a_status_has_headers_and_a_shape_of_its_own(small, ask):
    headers = {"Retry-After": "date:+2", "X-RateLimit-Remaining": 0}
    small.faults = [{"kind": "status", "code": 429, "shape": "message", "message": "Slow", "headers": headers}]
    answer = ask(small, CLICKS)
    assert (answer.status, answer.json) == (429, {"message": "Slow"})
    assert answer.headers["retry-after"].endswith(" GMT")
    assert answer.headers["x-ratelimit-remaining"] == "0"


def test_headers_can_be_added(small, ask):
    small.faults = [{"kind": "headers", "headers": {"RateLimit-Limit": 60}}]
    answer = ask(small, CLICKS)
    assert (answer.status, answer.headers["ratelimit-limit"]) == (200, "60")


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_names_its_target(small, ask, code):
    small.faults = [{"kind": "redirect", "to": "http://127.0.0.2/", "code": code}]
    answer = ask(small, CLICKS)
    assert (answer.status, answer.headers["location"]) == (code, "http://127.0.0.2/")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("close", http.client.RemoteDisconnected),
        ("reset", ConnectionResetError),
        ("truncate", http.client.IncompleteRead),
        ("broken_chunk", http.client.IncompleteRead),
    ],
)
def test_a_connection_can_end_badly(small, ask, kind, error):
    small.faults = [{"kind": kind, "times": 1}]
    with pytest.raises(error):
        ask(small, CLICKS)
    assert [record.status for record in small.requests] == [0 if kind == "close" else 200]
    assert ask(small, CLICKS).status == 200


def test_a_drip_goes_on_until_the_sandbox_stops(small):
    small.faults = [{"kind": "drip", "seconds": 0.01}]
    port = int(small.base_url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(f"GET /api/2.0/{CLICKS} HTTP/1.1\r\nAuthorization: Bearer sandbox\r\n\r\n".encode())
        received = b""
        while not received.endswith(b"\r\n\r\n     "):
            received += client.recv(1)
        began = monotonic()
        small.stop()
        while client.recv(100):
            pass
        assert monotonic() - began < 1


def test_latency_waits(small, ask):
    small.faults = [{"kind": "latency", "seconds": 0.1, "times": 1}]
    began = monotonic()
    assert ask(small, CLICKS).status == 200
    assert monotonic() - began > 0.1


@pytest.mark.parametrize(
    ("kind", "content_type", "start"),
    [
        ("html", "text/html; charset=UTF-8", b"<!DOCTYPE html>"),
        ("not_object", "application/json", b"["),
        ("empty_body", "application/json", b""),
        ("gzip_garbage", "application/json", b"\x1f\x8b"),
    ],
)
def test_a_body_can_be_something_else(small, ask, kind, content_type, start):
    small.faults = [{"kind": kind}]
    answer = ask(small, CLICKS)
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    assert answer.body.startswith(start)
    assert (answer.body == b"") == (kind == "empty_body")


def test_the_bytes_of_a_body_can_be_edited(small, ask):
    small.faults = [{"kind": "edit", "old": '"total":', "new": '"Total\xff":'}, {"kind": "edit", "new": "\xef\xbb\xbf"}]
    body = ask(small, CLICKS).body
    assert body.startswith(b'\xef\xbb\xbf{"data"')
    assert b'"Total\xff":' in body
    assert b'"total"' not in body


def test_half_of_the_json_is_no_json(small, ask):
    small.faults = [{"kind": "half_json"}]
    with pytest.raises(ValueError, match=r"delimiter|Expecting|Unterminated"):
        ask(small, CLICKS).json  # noqa: B018


@pytest.mark.parametrize(
    ("rule", "look", "found"),
    [
        ({"kind": "data_null"}, lambda page: page["data"], None),
        ({"kind": "data_missing"}, lambda page: "data" in page, False),
        ({"kind": "data_item_not_object", "index": 2}, lambda page: page["data"][2], 7),
        ({"kind": "meta_missing"}, lambda page: "meta" in page, False),
        ({"kind": "meta", "fields": {"total": "9"}}, lambda page: page["meta"]["total"], "9"),
        ({"kind": "repeat_page"}, lambda page: phones(page)[0], 0),
        ({"kind": "swallow_row"}, lambda page: (phones(page)[0], len(page["data"])), (51, 49)),
        ({"kind": "duplicate_row", "index": 1}, lambda page: phones(page)[:3], [50, 51, 51]),
        ({"kind": "extra_key", "name": "X"}, lambda page: page["data"][9]["X"], "new"),
        ({"kind": "missing_key"}, lambda page: list(page["data"][9]), ["Phone_Number"]),
        ({"kind": "prefix", "text": "+"}, lambda page: page["data"][9]["Phone_Number"], "+59"),
        ({"kind": "wrong_type", "value": [1]}, lambda page: page["data"][9]["Phone_Number"], [1]),
    ],
)
def test_a_page_can_be_wrong(small, ask, rule, look, found):
    small.faults = [rule]
    assert look(ask(small, f"{CLICKS}?page=2").json) == found
    small.faults = []
    assert phones(ask(small, f"{CLICKS}?page=2").json) == list(range(50, 100))


@pytest.mark.parametrize(
    ("to", "link"),
    [
        (None, None),
        ("same", f"api/2.0/{CLICKS}?page=1"),
        ("skip", f"api/2.0/{CLICKS}?page=3"),
        ("first", f"api/2.0/{CLICKS}?page=1"),
        ("past_end", f"api/2.0/{CLICKS}?page=4"),
        ("other_campaign", "api/2.0/reporting/00000000-0000-11e9-8000-0242ac120002/clicks?page=2"),
        ("other_report", "api/2.0/reporting/one/delivery?page=2"),
        ("foreign", f"https://elsewhere.example/api/2.0/{CLICKS}?page=2"),
        ("garbage", "ht!tp://[::1/%%?page=two"),
        ("?page=2", "?page=2"),
        (7, 7),
    ],
)
def test_the_next_link_can_lead_anywhere(small, ask, to, link):
    small.faults = [{"kind": "next", "to": to}]
    assert ask(small, CLICKS).json["links"]["next"] == link


@pytest.mark.parametrize(
    ("rule", "second", "total"),
    [
        ({"kind": "insert"}, range(49, 99), 121),
        ({"kind": "insert", "index": 50, "row": {"Phone_Number": "999"}}, [999, *range(50, 99)], 121),
        ({"kind": "delete"}, range(51, 101), 119),
    ],
)
def test_rows_that_come_and_go_shift_the_pages_that_follow(small, ask, rule, second, total):
    small.faults = [{**rule, "page": 2, "times": 1}]
    assert phones(ask(small, CLICKS).json) == list(range(50))
    page = ask(small, f"{CLICKS}?page=2").json
    assert (phones(page), page["meta"]["total"]) == (list(second), total)
    assert small.account.count("one", "clicks") == total


def test_rows_can_take_another_order(small, ask):
    small.faults = [{"kind": "shuffle", "times": 1}]
    pages = [phones(ask(small, f"{CLICKS}?page={page}").json) for page in (1, 2, 3)]
    assert pages[0] != list(range(50))
    assert sorted(pages[0] + pages[1] + pages[2]) == list(range(120))


def test_edits_add_up(small, ask, walk):
    small.faults = [
        {"kind": "insert", "row": {"Phone_Number": "200"}, "times": 1},
        {"kind": "delete", "index": 1, "times": 1},
        {"kind": "insert", "index": 500, "row": {"Phone_Number": "300"}, "times": 1},
        {"kind": "delete", "index": 999, "times": 1},
    ]
    ask(small, CLICKS)
    found = [int(row["Phone_Number"]) for row in walk(small, "one", "clicks", 13)]
    assert found == [200, *range(1, 120), 300]


def test_campaigns_can_come_and_go_from_the_list(small, ask):
    small.faults = [{"kind": "delete", "report": "campaigns"}]
    assert ask(small, "campaigns").json["meta"]["total"] == 0
