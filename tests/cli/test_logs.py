"""What is said on standard error: to people, and to programs as JSON."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.signals import end_by, wait_until
from support.warehouses import Warehouse

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Begin = Callable[..., "subprocess.Popen[str]"]


def lines(stderr: str) -> list[dict[str, Any]]:
    """Every line, each an object of its own."""
    return [json.loads(line) for line in stderr.splitlines()]


def test_a_load_in_json_tells_of_run_report_page_attempt_and_seconds(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(n, New_Key="x") for n in range(9)], "delivery": []})
    account.put(open_campaign(TWO), {"alt_delivery": [message(n) for n in range(20)]})
    warehouse.load(box, reports=["alt_delivery"], accept_shrink=True)
    account.put(open_campaign(TWO), {"alt_delivery": [message(1)]})
    box.faults = [
        {"kind": "status", "code": 503, "report": "clicks", "times": 1, "headers": {"Retry-After": "0"}, "message": "447123456789"},
        {"kind": "status", "code": 403, "report": "delivery", "campaign": ONE},
        {"kind": "next", "to": "garbage", "report": "sent", "campaign": ONE, "times": 1},
    ]  # fmt: skip
    ended = passona("load", "--log-format", "json", "--debug", box=box)
    assert ended.returncode == 4
    reported = lines(ended.stderr)
    ((run_id, verb),) = {(line["run_id"], line["verb"]) for line in reported}
    assert warehouse.rows("SELECT outcome FROM passona.runs WHERE run_id = ? AND verb = ?", run_id, verb) == [
        ("failed",)
    ]
    by_event = {line["event"]: line for line in reported}
    assert reported[0]["event"] == "run_begun"
    assert reported[-1] == reported[-1] | {
        "event": "run_ended",
        "level": "info",
        "outcome": "failed",
        "requests": 15,
        "rows": 9,
    }
    assert by_event["request_retried"] == by_event["request_retried"] | {
        "level": "info", "campaign": by_event["request_retried"]["campaign"], "report": "clicks", "page": 1, "attempt": 1, "status": 503,
    }  # fmt: skip
    assert by_event["report_failed"] == by_event["report_failed"] | {
        "level": "error", "campaign": ONE, "report": "delivery", "attempt": 1, "exit_code": 4,
    }  # fmt: skip
    assert by_event["report_held"] == by_event["report_held"] | {
        "level": "warning", "campaign": TWO, "report": "alt_delivery", "attempt": 1, "pages": 1, "rows": 1,
    }  # fmt: skip
    assert by_event["walk_repeated"]["report"] == "sent"
    verified = {(line["campaign"], line["report"]): line for line in reported if line["event"] == "report_verified"}
    assert verified[ONE, "clicks"] == verified[ONE, "clicks"] | {"changed": True, "pages": 1, "rows": 9}
    assert len(verified) == 10
    assert [key for key, line in verified.items() if not line["changed"]] == [(ONE, "alt_delivery")]
    assert by_event["package_written"]["reports"] == 9
    assert by_event["request_answered"]["level"] == "debug"
    assert by_event["notice"]["message"] == "the API has changed: clicks: new key 'New_Key'"
    for event in (
        "request_retried",
        "request_answered",
        "report_failed",
        "report_held",
        "report_verified",
        "run_ended",
    ):
        assert by_event[event]["seconds"] >= 0
    assert "4471" not in ended.stderr
    assert "John" not in ended.stderr


def test_errors_usage_and_signals_are_json_too(passona: Run, begun: Begin, account: Account, box: Sandbox) -> None:
    for arguments, said in (
        (["--log-format", "json", "load", "447123456789"], "campaign: '***' is not a uuid"),
        (["load", "--report", "447123456789", "--log-format", "json"], "Invalid value for '--report': '***' is not one of"),
    ):  # fmt: skip
        ended = passona(*arguments, box=box)
        (line,) = lines(ended.stderr)
        assert (line["level"], line["event"], line["exit_code"], ended.returncode) == ("error", "error", 2, 2)
        assert line["message"].startswith(said)
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    box.faults = [{"kind": "latency", "seconds": 60, "report": "clicks"}]
    load = begun("load", "--log-format", "json", "--report", "clicks", box=box)
    wait_until(lambda: box.faults[0].struck == 1, load)
    reported = lines(end_by(load, signal.SIGTERM))
    assert [line["event"] for line in reported] == ["run_begun", "run_ended", "stopped"]
    assert (reported[1]["outcome"], reported[2]["exit_code"]) == ("interrupted", 143)


def test_one_cause_in_many_reports_is_one_line_with_a_count_and_json_has_all(
    passona: Run, account: Account, box: Sandbox
) -> None:
    for uuid in (ONE, TWO):
        account.put(open_campaign(uuid), {"clicks": [click()], "sent": []})
    box.faults = [{"kind": "status", "code": 403, "report": name} for name in ("clicks", "sent", "unsent")]
    said = passona("load", box=box).stderr.splitlines()
    assert len(said) == 2
    assert re.fullmatch(rf"passona: campaign ({ONE}|{TWO}), \w+: page 1: expected a page, got status 403, .*", said[0])
    assert said[1].startswith("passona: 5 more reports, 2 campaigns in all: page 1: expected a page, got status 403")
    reported = lines(passona("load", "--log-format", "json", box=box).stderr)
    failed = [(line["campaign"], line["report"]) for line in reported if line["event"] == "report_failed"]
    assert sorted(failed) == [(uuid, name) for uuid in (ONE, TWO) for name in ("clicks", "sent", "unsent")]
