"""`passona generate`: one POST for each report, noted before it is sent, never repeated unasked."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from passona.config.settings import Settings
from passona.errors import TokenRefused
from passona.reports.definitions import REPORTS
from passona.source.client import Client
from passona.warehouse.database import open_database
from passona.warehouse.mail_requests import Mailing, ask, reports_to_request, requested_before
from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, TWO, open_campaign
from support.sandbox_requests import posted_reports
from support.warehouses import GUIDE, Lines, Warehouse

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]
DAY = 86_400


def generate(
    warehouse: Warehouse, box: Sandbox, *keys: tuple[str, str], seconds: float = DAY, **options: Any
) -> tuple[list[Mailing], list[str]]:
    """What `passona generate` does, in this process: the mailings and what was said."""
    settings = Settings(box.token, **({"base_url": box.base_url, "retry_pause": 0.01} | options))
    lines, client = Lines(), Client(settings)
    database = open_database(warehouse.address, 0, lines.notify)
    try:
        database.prepare()
        before = requested_before(database.connection, timedelta(seconds=seconds))
        return list(ask(database, client, reports_to_request(keys, before), lines.notify)), lines.said
    finally:
        client.close()
        database.close()


def noted(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "SELECT campaign_id, report, outcome, requests, finished_at IS NOT NULL FROM passona.runs "
        "WHERE verb = 'generate' ORDER BY started_at"
    )


def numbered(account: Account, number: int) -> str:
    return account.put(open_campaign(f"{number:08}-1111-4111-8111-111111111111"), {})


@pytest.fixture
def one(account: Account) -> Account:
    account.put(open_campaign(ONE), {})
    return account


@pytest.mark.core
def test_one_post_for_each_report_and_none_of_them_again(warehouse: Warehouse, one: Account, box: Sandbox) -> None:
    keys = [(ONE, name) for name in REPORTS]
    found, said = generate(warehouse, box, *keys, *keys)
    assert [(m.campaign_id, m.report, m.status) for m in found] == [(*key, "accepted") for key in keys]
    assert posted_reports(box) == keys
    assert noted(warehouse) == [(*key, "accepted", 1, True) for key in keys]
    again, _ = generate(warehouse, box, *keys)
    assert [m.status for m in again] == ["asked before"] * 6
    assert [m.asked_at for m in again] == pytest.approx([m.asked_at for m in found], abs=timedelta(seconds=1))
    assert len(posted_reports(box)) == 6
    generate(warehouse, box, keys[0], seconds=0)
    assert len(posted_reports(box)) == 7
    assert said == []


UNKNOWN: list[tuple[dict[str, Any], str]] = [
    ({"kind": "close"}, "no answer"),
    ({"kind": "status", "code": 500}, "expected status 202, got 500"),
    ({"kind": "status", "code": 503, "headers": {"Retry-After": "1"}}, "got 503"),
    ({"kind": "status", "code": 200}, "got 200"),
    ({"kind": "html"}, "got 200, an HTML page"),
    ({"kind": "redirect", "to": "http://127.0.0.1:1/"}, "got 302"),
]


@pytest.mark.core
def test_what_may_have_been_done_is_not_done_again_on_its_own(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    uuids = [numbered(account, number) for number in range(len(UNKNOWN))]
    box.faults = [{**fault, "campaign": uuid} for uuid, (fault, _) in zip(uuids, UNKNOWN, strict=True)]
    keys = [(uuid, "clicks") for uuid in uuids]
    found, said = generate(warehouse, box, *keys)
    assert [m.status for m in found] == ["unknown"] * len(UNKNOWN)
    for line, uuid, (_, reported) in zip(said, uuids, UNKNOWN, strict=True):
        assert reported in line
        assert f"passona generate {uuid} --report clicks --again" in line
    assert posted_reports(box) == keys
    assert noted(warehouse) == [(*key, "unknown", 1, True) for key in keys]
    box.faults = []
    later, said = generate(warehouse, box, *keys)
    assert {(m.status, m.exit_code) for m in later} == {("asked before", 4)}
    assert "--again" in said[0]
    assert len(posted_reports(box)) == len(UNKNOWN)


def test_an_answer_that_does_not_come_in_time_leaves_the_fate_unknown(
    warehouse: Warehouse, one: Account, box: Sandbox
) -> None:
    box.faults = [{"kind": "latency", "seconds": 5, "method": "POST"}]
    found, _ = generate(warehouse, box, (ONE, "clicks"), request_timeout=0.1)
    assert [m.status for m in found] == ["unknown"]
    assert len(posted_reports(box)) == 1


def test_what_the_server_refuses_is_told_and_may_be_asked_again(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    statuses = (403, 404, 405, 408, 409, 410, 422, 423, 425)
    uuids = [numbered(account, number) for number in range(len(statuses))]
    box.faults = [
        {"kind": "status", "code": status, "campaign": uuid, "times": 1}
        for uuid, status in zip(uuids, statuses, strict=True)
    ]
    keys = [(uuid, "clicks") for uuid in uuids]
    found, said = generate(warehouse, box, *keys)
    assert [(m.status, m.exit_code) for m in found] == [("refused", 4)] * len(statuses)
    for line, uuid, status in zip(said, uuids, statuses, strict=True):
        assert line.startswith(f"campaign {uuid}, clicks: status {status}")
    assert posted_reports(box) == keys
    assert [m.status for m in generate(warehouse, box, *keys)[0]] == ["accepted"] * len(statuses)


def test_a_server_that_is_not_there_was_not_asked(warehouse: Warehouse, one: Account, box: Sandbox) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/api/2.0/"
        found, said = generate(warehouse, box, (ONE, "clicks"), base_url=address)
    assert [m.status for m in found] == ["refused"]
    assert "not sent (Connection refused)" in said[0]


def test_too_many_requests_are_waited_for_because_nothing_was_done(
    warehouse: Warehouse, one: Account, box: Sandbox
) -> None:
    box.faults = [{"kind": "status", "code": 429, "method": "POST", "times": 2}]
    found, _ = generate(warehouse, box, (ONE, "clicks"))
    assert [m.status for m in found] == ["accepted"]
    assert noted(warehouse) == [(ONE, "clicks", "accepted", 3, True)]


@pytest.mark.core
def test_a_refused_token_ends_it_and_no_post_follows(warehouse: Warehouse, one: Account, box: Sandbox) -> None:
    box.faults = [{"kind": "status", "code": 401, "method": "POST", "after": 1}]
    with pytest.raises(TokenRefused):
        generate(warehouse, box, (ONE, "clicks"), (ONE, "sent"), (ONE, "unsent"))
    assert len(posted_reports(box)) == 2
    assert [outcome for _, _, outcome, *_ in noted(warehouse)] == ["accepted", "refused"]


def ended_by(number: signal.Signals, box: Sandbox, begun: Callable[..., subprocess.Popen[str]]) -> int:
    """Send a signal to `passona generate` while it waits for the answer to its POST; return how it ended."""
    box.faults = [{"kind": "latency", "seconds": 30, "method": "POST"}]
    process = begun("generate", ONE, "--report", "clicks", box=box)
    while not posted_reports(box):
        assert process.poll() is None
    process.send_signal(number)
    code = process.wait()
    box.faults = []
    return code


def test_a_kill_before_the_answer_leaves_the_outcome_unknown(
    warehouse: Warehouse, one: Account, box: Sandbox, begun: Callable[..., subprocess.Popen[str]]
) -> None:
    assert ended_by(signal.SIGKILL, box, begun) == -signal.SIGKILL
    assert noted(warehouse) == [(ONE, "clicks", "unknown", None, False)]
    found, said = generate(warehouse, box, (ONE, "clicks"))
    assert [m.status for m in found] == ["asked before"]
    assert "no answer came" in said[0]


def test_a_stop_before_the_answer_counts_the_request(
    warehouse: Warehouse, one: Account, box: Sandbox, begun: Callable[..., subprocess.Popen[str]]
) -> None:
    assert ended_by(signal.SIGTERM, box, begun) == 143
    assert noted(warehouse) == [(ONE, "clicks", "unknown", 1, True)]


@pytest.mark.core
def test_the_verb_asks_lists_and_ends_as_the_contract_says(passona: Run, tmp_path: Path) -> None:
    account = Account.empty()
    account.put(open_campaign(ONE), {})
    with Sandbox(account, Switches(mail_folder=str(tmp_path / "mails"))) as box:
        ended = passona("generate", ONE, TWO, "--report", "clicks", "--json", box=box)
        again = passona("generate", ONE, "--report", "clicks", box=box)
        refused = passona("generate", ONE, "--report", "sent", box=box, SOURCES__PASSONA__API_TOKEN="wrong")
    assert ended.returncode == 4
    assert [(m["campaign_id"], m["status"]) for m in json.loads(ended.stdout)] == [(ONE, "accepted"), (TWO, "refused")]
    assert f"campaign {TWO}, clicks: status 404" in ended.stderr
    assert (again.returncode, again.stderr) == (0, "")
    assert [line.split()[:4] for line in again.stdout.splitlines()[1:]] == [[ONE, "clicks", "asked", "before"]]
    assert (refused.returncode, refused.stdout) == (3, "")
    assert len(list((tmp_path / "mails").iterdir())) == 1


def test_nothing_is_asked_in_the_name_of_another_team(passona: Run) -> None:
    with Sandbox(Account(campaigns=0)) as box:
        strange = passona("generate", GUIDE, box=box, SOURCES__PASSONA__TEAM_UUID=ONE)
        assert (strange.returncode, posted_reports(box)) == (2, [])
    assert "team" in strange.stderr
