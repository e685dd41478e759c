"""`passona doctor`: on a plain sandbox nothing is wrong; each assumption broken in turn is told by its own line."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from passona.config.settings import Settings
from passona.errors import Exit
from passona.monitoring.doctor._evidence import Finding, Verdict
from passona.monitoring.doctor.diagnosis import ASSUMPTIONS, Diagnosis, diagnose, document, print_diagnosis
from passona.monitoring.doctor.examination import examine
from passona_sandbox import Account, Sandbox, Switches, clock
from passona_sandbox.reports import REPORTS

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# The campaign that is still sending is of the hours before.
NOW = datetime(2026, 9, 21, 14, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs" / "doctor.md"
ELSEWHERE = "8b1e0000-1b5c-11e9-8b1e-0242ac120002"
# 1 + 5 pages of the list, one of them again; a page of `delivery` of 6 campaigns; 5 reports of 2 of them; 13 further
# pages; 5 pages again. Retries come on top. A limit of 60 requests a minute allows them all at once.
MOST_REQUESTS = 41
ZONES = ("zone_of_list", "zone_of_expiry", "zone_of_reports")


def account_of(**options: Any) -> Account:
    return Account(**{"campaigns": 5, "rows": 2500, "now": NOW.timestamp()} | options)


def look(box: Sandbox, **options: Any) -> Diagnosis:
    given = {"api_token": box.token, "base_url": box.base_url, "retry_pause": 0.0, "page_size": 200} | options
    return diagnose(examine(Settings(**given), NOW))


def by_name(found: Diagnosis) -> dict[str, Finding]:
    return {assumption.name: finding for assumption, finding in found.findings}


def broken(found: Diagnosis) -> dict[str, str]:
    """What does not hold, with what was seen and what to do."""
    return {
        name: f"{finding.seen} -> {finding.to_do}"
        for name, finding in by_name(found).items()
        if finding.verdict is Verdict.BROKEN
    }


def unclear(found: Diagnosis) -> set[str]:
    return {name for name, finding in by_name(found).items() if finding.verdict is Verdict.UNCLEAR}


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(account_of()) as box:
        yield box


@pytest.fixture
def plain(running: Sandbox) -> Iterator[Sandbox]:
    """A plain sandbox, whose faults and switches a test may set: they are taken back."""
    running.forget_requests()
    yield running
    running.faults, running.switches = [], Switches()


@dataclass(frozen=True)
class Case:
    """What breaks an assumption, and what its line must say. `also`: what cannot but break with it."""

    name: str
    says: str
    faults: tuple[Mapping[str, Any], ...] = ()
    switches: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.says}"


def fault(kind: str, report: str = "any", **options: Any) -> Mapping[str, Any]:
    return {"kind": kind, "report": report} | options


def valued(report: str, name: str, value: object) -> tuple[Mapping[str, Any]]:
    return (fault("wrong_type", report, name=name, value=value),)


CASES = [
    Case("address", "an HTML page", (fault("html"),)),
    Case("address", "status 302, a redirect", (fault("redirect", to="http://127.0.0.2/login"),)),
    Case("address", "status 404", (fault("status", "campaigns", code=404),)),
    Case("address", "JSON of kind list", (fault("not_object"),)),
    Case("token", "401", settings={"api_token": "other"}),
    Case("token", "403", (fault("status", "campaigns", code=403),)),
    Case("team", f"team back to {ELSEWHERE}", settings={"team_uuid": ELSEWHERE}),
    Case("reports", "(403 2)", (fault("status", "recipient", code=403),)),
    Case("pages", "an HTML page", (fault("html", "sent", after=1, times=2),)),
    Case("rate_limit", "ratelimit-limit: 60", (fault("headers", headers={"RateLimit-Limit": "60"}),)),
    Case("per_page_list", "granted 50", switches={"per_page_limit": 50}, also=("per_page_reports",)),
    Case("per_page_list", "granted 20", (fault("meta", "campaigns", fields={"per_page": "20"}),)),
    Case("per_page_reports", "granted 50", switches={"honour_per_page": False}, also=("per_page_list",)),
    Case("per_page_reports", "(status 422", switches={"per_page_limit": 50, "per_page_error": 422}, also=("per_page_list",)),
    Case("per_page_reports", "set page_size = 50", switches={"per_page_limit": 50, "per_page_error": 500}, also=("per_page_list",)),
    Case("links", "a link to another path", (fault("next", "delivery", to="other_report", page=1),)),
    Case("links", "links.next null", (fault("next", "delivery", to=None, page=1),)),
    Case("pages", "200 rows on page 1", (fault("swallow_row", "alt_delivery"),)),
    Case("pages", "meta.last_page", (fault("meta", "recipient", fields={"total": 7}),)),
    Case("pages", "the rows of page 1 again", (fault("repeat_page", "alt_delivery", page=2),), settings={"page_size": 100}),
    Case("pages", "a row that is number", (fault("data_item_not_object", "clicks"),)),
    Case("order", "campaigns: the same rows in another order", (fault("shuffle", "campaigns"),)),
    Case("order", "delivery of", (fault("shuffle", "delivery"),)),
    Case("order", "clicks of", (fault("shuffle", "clicks"),)),
    *(Case(name, 'set timezone = "Europe/London"', settings={"timezone": "Asia/Kolkata"}, also=ZONES) for name in ZONES),
    Case("zone_of_expiry", "without an offset", valued("delivery", "Expiry_Date", "2024-01-10 10:00:00")),
    Case("message_ids", "0 of", (fault("prefix", "alt_delivery", text="m-"),)),
]  # fmt: skip


@pytest.mark.core
def test_on_a_plain_sandbox_nothing_is_wrong(plain: Sandbox) -> None:
    found = look(plain)
    assert broken(found) == {}
    assert unclear(found) == {"rate_limit"}
    assert found.exit_code is Exit.OK


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("links", ["rooted", "absolute", "foreign"])
def test_no_more_is_it_on_another_one(seed: int, links: Any) -> None:
    with Sandbox(account_of(seed=seed, rows=1500), Switches(links=links, error_shape="message")) as box:
        assert broken(look(box)) == {}


@pytest.mark.core
def test_few_requests_are_sent_and_all_of_them_only_read(plain: Sandbox) -> None:
    found = look(plain, page_size=20)
    assert {record.method for record in plain.requests} == {"GET"}
    assert found.evidence.requests == len(plain.requests) <= MOST_REQUESTS


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.core(6)
def test_what_does_not_hold_is_told_by_its_own_line_alone(plain: Sandbox, case: Case) -> None:
    plain.faults = [*case.faults]
    plain.switches = Switches(**case.switches)
    found = look(plain, **case.settings)
    reported = broken(found)
    assert case.says in reported[case.name]
    assert set(reported) == {case.name, *case.also}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris"])
def test_clocks_of_another_zone_are_told_by_its_name(zone: Any) -> None:
    with Sandbox(account_of(zone=zone)) as box:
        reported = broken(look(box))
        assert reported.keys() == set(ZONES)
        assert all(f'set timezone = "{zone}"' in line for line in reported.values())
        assert broken(look(box, timezone=zone)) == {}


def put_campaign(given: Account, day: str, *, expiry: int = 0, sent: int = 0, version: int = 1) -> None:
    """A campaign of ten messages, made on this day at eight (UTC). `expiry`, `sent`: seconds that the list's
    expiry_date, and times of the reports, are ahead of UK time. `version`: of the uuids.
    """
    made = clock.instant(f"{day}T08:00:00")
    begun, expires = made + clock.HOUR, made + clock.HOUR + 2 * clock.DAY

    def uuid(moment: int, tick: int) -> str:
        text = clock.uuid1(moment, tick, "8b1e-0242ac120002")
        return f"{text[:14]}{version}{text[15:]}"

    campaign, ids = uuid(made, 0), [uuid(begun, tick) for tick in range(10)]
    fields = {"FieldNames": "First Name", "FieldValues": "John"}
    entry = {
        "uuid": campaign, "created_at": clock.civil(made), "scheduled_send_date": clock.civil(begun),
        "started_sending_at": clock.civil(begun), "finished_sending_at": clock.civil(begun + 60),
        "expiry_date": clock.civil(expires + expiry),
    }  # fmt: skip
    reports = {
        "delivery": [{
            "SMS_ID": each, "Sender": "D", "Recipient": f"44712300000{n}", "Message_Copy": "Hello",
            "Status": "Success", "Expiry_Date": clock.with_offset(expires),
        } for n, each in enumerate(ids)],
        "alt_delivery": [{
            "MessageId": each, "Mobile": f"44712300000{n}", **fields, "MessageSent": clock.civil(begun + sent),
            "MessageUpdate": clock.civil(begun + sent + 2), "Status": "Success",
        } for n, each in enumerate(ids)],
        "sent": [{
            "MessageId": campaign, "Brand": "D", "SentOn": clock.civil(begun + sent), "RecipientCount": 10,
            "TemplateApiId": "t", "TemplateName": "T", "Message": "Hello",
        }],
        "unsent": [{"MessageId": campaign, "Mobile": "447123000099", **fields, "Reason": "expired"}],
    }  # fmt: skip
    given.put(entry, reports)


OWN = [
    ("zone_of_expiry", {"expiry": clock.HOUR}, 'set timezone = "Europe/Paris"'),
    ("zone_of_reports", {"sent": clock.HOUR}, 'set timezone = "Europe/Paris"'),
    ("zone_of_expiry", {"expiry": 2 * clock.HOUR + 900}, "no zone fits"),
]


@pytest.mark.parametrize(("name", "options", "says"), OWN)
def test_what_a_report_alone_breaks_is_told_by_its_own_line_alone(
    account: Account, box: Sandbox, name: str, options: dict[str, Any], says: str
) -> None:
    for day in ("2024-01-10", "2024-07-10"):
        put_campaign(account, day, **options)
    reported = broken(look(box))
    assert reported.keys() == {name}
    assert says in reported[name]


def test_every_assumption_is_broken_by_some_test() -> None:
    assert {case.name for case in CASES} | {name for name, *_ in OWN} == {each.name for each in ASSUMPTIONS}


@pytest.mark.parametrize(
    ("days", "verdict", "says"),
    [
        (("2024-01-10", "2024-12-10"), Verdict.UNCLEAR, "in winter only; UTC fits too"),
        (("2024-05-10", "2024-07-10"), Verdict.HOLDS, "in summer only"),
        (("2024-01-10", "2024-07-10"), Verdict.HOLDS, "in summer and winter"),
    ],
)
def test_the_season_decides_what_can_be_told_of_a_zone(
    account: Account, box: Sandbox, days: tuple[str, ...], verdict: Verdict, says: str
) -> None:
    for day in days:
        put_campaign(account, day)
    found = by_name(look(box))
    assert {found[name].verdict for name in ZONES} == {verdict}
    assert all(found[name].seen.endswith(says) for name in ZONES)


def test_uuids_that_carry_no_instant_tell_nothing_of_a_zone(account: Account, box: Sandbox) -> None:
    put_campaign(account, "2024-07-10", version=4)
    found = by_name(look(box))
    assert found["zone_of_list"].verdict is found["zone_of_reports"].verdict is Verdict.UNCLEAR


def test_an_account_without_campaigns_is_no_alarm(box: Sandbox) -> None:
    found = look(box)
    assert broken(found) == {}
    assert {"team", "order", "reports", *ZONES} <= unclear(found)


def test_campaigns_of_two_teams_in_one_list_are_told() -> None:
    with Sandbox(account_of(teams=2)) as box:
        assert broken(look(box)).keys() == {"team"}


@pytest.mark.parametrize("announced", [True, False])
def test_the_limit_is_told_if_it_is_announced(plain: Sandbox, announced: bool) -> None:
    plain.switches = Switches(rate_limit=500, rate_headers=announced)
    found = by_name(look(plain))["rate_limit"]
    assert found.verdict is (Verdict.HOLDS if announced else Verdict.UNCLEAR)
    assert found.seen.startswith("500 requests a minute" if announced else "none announced")


class SpeaksNoTls(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_at_the_address_is_told_and_all_else_left_open(scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    found = look(Sandbox(Account.empty()), api_token="t", base_url=f"{scheme}://127.0.0.1:{port}/api/2.0/")
    assert "no answer (Connection refused)" in broken(found)["address"]
    assert len(unclear(found)) == len(found.findings) - 1


def test_an_address_that_speaks_no_tls_is_told(plain: Sandbox) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), SpeaksNoTls) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        found = look(plain, base_url=f"https://127.0.0.1:{server.server_address[1]}/api/2.0/")
        server.shutdown()
    assert "SSL: WRONG_VERSION_NUMBER" in broken(found)["address"]


def test_a_token_that_is_refused_in_the_middle_ends_it(plain: Sandbox) -> None:
    plain.faults = [fault("status", "clicks", code=401)]
    found = look(plain)
    assert found.exit_code is Exit.TOKEN
    assert broken(found).keys() == {"token"}


def test_a_list_of_many_pages_is_read_in_part() -> None:
    with Sandbox(account_of(campaigns=60, rows=600)) as box:
        found = look(box, page_size=5)
        pages = [record.page for record in box.requests if record.kind == "campaigns"]
    assert sorted(pages) == ["1", "1", "13", "2"]
    assert broken(found) == {}
    assert found.evidence.requests <= MOST_REQUESTS


@pytest.mark.core
def test_nobody_is_named_however_wrong_things_are(capsys: pytest.CaptureFixture[str]) -> None:
    phone = "447123456789"
    faults = [
        fault("prefix", "clicks", text="phone "), fault("prefix", "delivery", name="Status", text=f"{phone} "),
        *valued("unsent", "Reason", f"call me at {phone}"), *valued("campaigns", "status", phone),
        *valued("recipient", "Group_Name", [phone]), *valued("clicks", "Clicked_At", phone),
        fault("extra_key", name=phone),
    ]  # fmt: skip
    with Sandbox(account_of(hostile=True), faults=faults) as box:
        found = look(box)
        uuids = [entry["uuid"] for entry in box.account.campaigns()]
        rows = [row for uuid in uuids for report in REPORTS for row in box.account.rows(uuid, report)]
    print_diagnosis(found)
    said = capsys.readouterr().out + json.dumps(document(found))
    private = {
        str(row[key]) for row in rows for key in ("Phone_Number", "Recipient", "Mobile", "Message_Copy") if row.get(key)
    }
    assert len(private) > 1000
    assert [text for text in private | {phone} if len(text) > 8 and text in said] == []
    assert said.isprintable() or {c for c in said if not c.isprintable()} == {"\n"}


@pytest.mark.core
def test_the_document_has_a_line_for_each_assumption_by_its_name(passona: Run, tmp_path: Path) -> None:
    with Sandbox(account_of()) as box:
        ended = passona("doctor", "--json", box=box)
    assert (ended.returncode, ended.stderr) == (0, "")
    reported = json.loads(ended.stdout)
    assert (reported["outcome"], reported["exit_code"], reported["timezone"]) == ("ok", 0, "Europe/London")
    assert [line["name"] for line in reported["assumptions"]] == [each.name for each in ASSUMPTIONS]
    assert {line["verdict"] for line in reported["assumptions"]} == {"holds", "cannot_be_told"}
    assert list(tmp_path.iterdir()) == []  # nor is there a warehouse


def test_the_table_lines_up_and_the_code_says_that_something_is_wrong(passona: Run) -> None:
    with Sandbox(account_of(zone="UTC")) as box:
        ended = passona("doctor", box=box)
    assert (ended.returncode, ended.stderr) == (4, "")
    header, *lines, summary = ended.stdout.splitlines()
    left, right = header.index("assumption"), header.index("what was seen")
    assert all(line[left - 1] == line[right - 1] == " " and len(line) <= 120 for line in lines)
    assert [line[left:right].strip() for line in lines if line.startswith("WRONG")] == list(ZONES)
    assert summary.endswith("something is wrong")


@pytest.mark.core
def test_a_refused_token_ends_with_3_and_is_not_shown(passona: Run) -> None:
    with Sandbox(account_of()) as box:
        ended = passona("doctor", box=box, SOURCES__PASSONA__API_TOKEN="secretsecretsecret")
        assert len(box.requests) == 1
    assert ended.returncode == 3
    assert re.search(r"^WRONG +token ", ended.stdout, re.MULTILINE)
    assert "secretsecret" not in ended.stderr + ended.stdout


def test_the_page_about_doctor_explains_every_line() -> None:
    lines = DOCS.read_text("utf-8").partition("## The lines")[2]
    explained = re.findall(r"^\| `([a-z_]+)` \|", lines, re.MULTILINE)
    assert explained == [each.name for each in ASSUMPTIONS]


def test_the_page_about_doctor_shows_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with Sandbox(Account()) as box:
        print_diagnosis(look(box, page_size=500))
        printed = capsys.readouterr().out.replace(box.base_url, "http://127.0.0.1:8080/api/2.0/")
    shown = DOCS.read_text("utf-8").partition("$ passona doctor\n ")[2].partition("```")[0]

    def words(text: str) -> list[str]:
        # The address is as long as its port, and lines are broken by their length.
        return re.sub(r"[0-9.]+ s:", "", text).split()

    assert words(printed) == words(shown)
