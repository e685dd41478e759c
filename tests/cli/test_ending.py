"""What others are told of how a run ended: metrics for those who watch, a call for those who must act."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from passona.cli.outcome import outcome_document
from passona.errors import Busy, ConfigurationError, Exit, NotWritten
from passona.monitoring._metrics import write_metrics
from passona.monitoring.failure_hook import call_hook, check_target
from passona.monitoring.notifications import RunEnd
from passona.warehouse.atomic_file import AtomicFile
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.warehouses import Warehouse

FAILED = {"outcome": "failed", "exit_code": 4, "errors": ["one line"]}
Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(text: str, parser: Callable[[str], Any] = openmetrics) -> Samples:
    return {
        (sample.name.removeprefix("passona_"), tuple(sample.labels.values())): sample.value
        for family in parser(text)
        for sample in family.samples
    }


def load(box: Sandbox, warehouse: Warehouse, file: Path, **options: Any) -> Samples:
    """A load in this process and the metrics of it."""
    outcome = warehouse.load(box, reports=["clicks", "alt_delivery"], **options)
    document = outcome_document(outcome, outcome.exit_code, warehouse.path)
    write_metrics(AtomicFile(file, 0o644), document, 12.5, warehouse.path)
    assert samples(file.read_text()) == samples(file.read_text(), prometheus)
    return samples(file.read_text())


@pytest.mark.core
def test_metrics_tell_how_a_load_ended_and_how_fresh_the_warehouse_is(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "passona.prom"
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(9)]})
    account.put({"uuid": TWO, "expiry_date": "2020-06-01 00:00:00"}, {"alt_delivery": [message(1)]})
    found = load(box, warehouse, file)
    assert file.stat().st_mode & 0o777 == 0o644
    assert found["load_exit_code", ()] == 0
    assert [label for (name, label), value in found.items() if name == "load_outcome" and value] == [("ok",)]
    assert (found["load_duration_seconds", ()], found["load_requests", ()], found["load_campaigns", ()]) == (12.5, 5, 2)
    assert (found["load_rows", ("clicks",)], found["load_rows", ("alt_delivery",)]) == (9, 1)
    assert (found["load_reports", ("clicks", "loaded")], found["load_reports", ("clicks", "failed")]) == (2, 0)
    assert (found["reports", ("clicks", "open")], found["reports", ("clicks", "settled")]) == (1, 1)
    ((end, oldest),) = warehouse.rows(
        "SELECT (SELECT finished_at FROM passona.runs), min(verified_at) FROM passona.report_ledger "
        "WHERE state = 'open' AND report = 'clicks'"
    )
    assert found["last_success_timestamp_seconds", ("load",)] == pytest.approx(end.timestamp())
    assert found["oldest_verified_timestamp_seconds", ("clicks",)] == pytest.approx(oldest.timestamp())

    box.faults = [{"kind": "status", "code": 404, "report": "clicks", "campaign": ONE}]
    failed = load(box, warehouse, file)
    assert (failed["load_exit_code", ()], failed["load_reports", ("clicks", "failed")]) == (4, 1)
    assert failed["reports", ("clicks", "failed")] == 1
    for name in (("last_success_timestamp_seconds", ("load",)), ("oldest_verified_timestamp_seconds", ("clicks",))):
        assert failed[name] == found[name]

    # Nobody can ask any more for what has left the list.
    account.remove(ONE)
    assert ("oldest_verified_timestamp_seconds", ("clicks",)) not in load(box, warehouse, file)


def test_a_list_that_is_gone_is_told_too(tmp_path: Path, passona: Callable[..., Any]) -> None:
    reported = tmp_path / "told"
    ended = passona("load", "--campaigns-file", "gone.txt", "--on-failure", f"sh -c 'cat > {reported}'")
    assert (ended.returncode, json.loads(reported.read_text())["exit_code"]) == (2, 2)
    assert ended.stderr.startswith("passona: gone.txt: ")


def test_of_a_warehouse_that_is_held_the_metrics_keep_what_they_said_before(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    metrics = AtomicFile(tmp_path / "passona.prom", 0o644)
    before = load(box, warehouse, metrics.path)
    ending = RunEnd(metrics, None)
    ending.warehouse = warehouse.path
    with duckdb.connect(str(warehouse.path)), pytest.raises(Busy), ending:
        raise Busy("held")
    after = samples(metrics.path.read_text())
    assert (after["load_exit_code", ()], after["load_outcome", ("busy",)]) == (6, 1)
    for name in ("last_success_timestamp_seconds", "reports", "oldest_verified_timestamp_seconds"):
        kept = {key: value for key, value in before.items() if key[0] == name}
        assert kept
        assert {key: value for key, value in after.items() if key[0] == name} == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["passona.prom", "warehouse.duckdb"]


def test_before_the_first_load_there_is_nothing_to_say_of_the_warehouse(tmp_path: Path) -> None:
    metrics = AtomicFile(tmp_path / "passona.prom", 0o644)
    with pytest.raises(ConfigurationError), RunEnd(metrics, None):
        raise ConfigurationError("no token")
    found = samples(metrics.path.read_text())
    assert found["load_exit_code", ()] == 2
    assert {name for name, _ in found} == {
        "version", "load_exit_code", "load_outcome", "load_end_timestamp_seconds", "load_duration_seconds",
    }  # fmt: skip


def test_metrics_that_cannot_be_written_are_a_line_and_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = AtomicFile(tmp_path / ("m" * 250), 0o644)
    with RunEnd(metrics, None) as ending:
        ending.document = FAILED
    assert caplog.messages == [f"the metrics could not be written: File name too long: {metrics.path}"]


def test_metrics_do_not_replace_what_is_not_a_regular_file(tmp_path: Path, passona: Callable[..., Any]) -> None:
    pipe = tmp_path / "passona.prom"
    os.mkfifo(pipe)
    ended = passona("load", "--metrics", "passona.prom")
    assert (ended.returncode, "it exists and is not a regular file: passona.prom" in ended.stderr) == (2, True)
    assert pipe.is_fifo()


# Whoever hears of failures


@contextmanager
def listener(status: int = 204, **headers: str) -> Iterator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """A service that takes messages: its address, and what it got."""
    got: list[tuple[dict[str, str], Any]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/services/secret", got
        finally:
            server.shutdown()


@pytest.mark.core
def test_an_address_gets_the_outcome_and_no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("SOURCES__PASSONA__API_TOKEN", "sandboxtoken")
    with listener() as (address, got):
        assert call_hook(address, FAILED) is None
    ((headers, document),) = got
    assert document == FAILED
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers
    assert "sandboxtoken" not in str(headers)


def test_an_address_that_refuses_or_leads_elsewhere_is_a_line_without_its_path() -> None:
    with listener() as (other, got_elsewhere):
        for status, headers in ((500, {}), (302, {"Location": other}), (307, {"Location": other})):
            with listener(status, **headers) as (address, got):
                assert call_hook(address, FAILED) == f"--on-failure: 127.0.0.1: status {status}"
            assert len(got) == 1
    assert got_elsewhere == []
    assert call_hook(address, FAILED) == "--on-failure: 127.0.0.1: no answer (ConnectionError)"


def test_a_command_gets_the_outcome_and_its_code_and_no_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCES__PASSONA__API_TOKEN", "sandboxtoken")
    for section in ("", "__ACCOUNTS", "__ACCOUNTS__SHOP"):
        monkeypatch.setenv(f"SOURCES__PASSONA{section}", '{"api_token": "sandboxtoken"}')
    monkeypatch.chdir(tmp_path)
    assert call_hook("sh -c 'cat > told; env > seen; echo said'", FAILED) is None
    assert json.loads(Path("told").read_text()) == FAILED
    assert "PASSONA_EXIT_CODE=4\n" in Path("seen").read_text()
    assert "sandboxtoken" not in Path("seen").read_text()
    assert capfd.readouterr() == ("", "said\n")
    assert call_hook("sh -c 'exit 3'", FAILED) == "--on-failure: the command ended with 3"
    assert call_hook("./gone", FAILED) == "--on-failure: the command did not start: No such file or directory"


def test_the_words_of_a_command_are_its_own_and_no_shell_reads_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    command = "touch 'a b' \"c'd\" e\\ f '*' '~' plain"
    check_target(command)
    assert call_hook(command, FAILED) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["*", "a b", "c'd", "e f", "plain", "~"]


def test_a_failure_is_told_and_its_own_failure_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reported = tmp_path / "told"
    with pytest.raises(NotWritten), RunEnd(None, f"sh -c 'cat > {reported}; exit 1'"):
        raise NotWritten("the load package could not be written: no space left on the device")
    assert json.loads(reported.read_text()) == {
        "outcome": "error", "exit_code": 1, "errors": ["the load package could not be written: no space left on the device"],
    }  # fmt: skip
    assert caplog.messages == ["--on-failure: the command ended with 1"]
    reported.unlink()
    with RunEnd(None, f"tee {reported}") as ending:
        ending.document = {"outcome": "ok", "exit_code": int(Exit.OK)}
    assert not reported.exists()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://hooks.example.org/x", "http would send the outcome to hooks.example.org in clear; use https"),
        ("HTTP://hooks.example.org/x", "http would send the outcome to hooks.example.org in clear; use https"),
        ("https:///x", "the address cannot be read"),
        ("https://[::1/x", "the address cannot be read"),
        ("https://host:port/x", "the address cannot be read"),
        (" ", "got nothing"),
        ("mail 'me", "a quotation mark in the command is not closed"),
        ("cat > told", "without a shell"),
        ("cat >told", "without a shell"),
        ("cat 2>/dev/null", "without a shell"),
        ("cat | mail", "without a shell"),
        ("cat; true", "without a shell"),
        ("true && cat", "without a shell"),
        ("cat $HOME/told", "without a shell"),
        ("cat `pwd`", "without a shell"),
        ("/no/such/command", "there is no command '/no/such/command'"),
        ("no-such-command-at-all me", "there is no command 'no-such-command-at-all'"),
    ],
)
def test_what_cannot_be_told_is_refused_before_the_run(target: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_target(target)


@pytest.mark.parametrize(
    "target",
    [
        "https://hooks.example.org/x",
        "http://localhost:8080/x",
        "http://[::1]/x",
        "cat me",
        "sh -c 'cat > $HOME/x'",
        "cat 'a;b' 'a&b'",
    ],
)
def test_what_can_be_told_is_not(target: str) -> None:
    check_target(target)
