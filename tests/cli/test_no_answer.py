"""A refused token, a closed port: one error line, nothing that looks like a result, and no silence on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, open_campaign
from support.ledgers import ledger_states
from support.warehouses import Warehouse, environment_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]

REFUSED = "the server refuses the token (401, 'Unauthenticated.'): check sources.passona.api_token"
CLOSED = (
    "list of campaigns: page 1: expected a page, got no answer (Connection refused) (tried 8 times); check the network "
    "and sources.passona.base_url"
)


@pytest.fixture
def closed_port() -> Iterator[str]:
    """An address at which nobody listens, and nobody else can begin to."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}/api/2.0/"


def environment(folder: Path, address: str, pause: str = "0.001") -> dict[str, str]:
    return environment_of(None, folder) | {
        "SOURCES__PASSONA__API_TOKEN": "sandbox",
        "SOURCES__PASSONA__BASE_URL": address,
        "SOURCES__PASSONA__RETRY_PAUSE": pause,
    }


@pytest.mark.parametrize("arguments", [("load",), ("load", ONE), ("load", ONE, TWO), ("campaigns",)])
@pytest.mark.core(1)
def test_a_refused_token_is_one_line_and_no_table(passona: Run, box: Sandbox, arguments: tuple[str, ...]) -> None:
    ended = passona(*arguments, box=box, SOURCES__PASSONA__API_TOKEN="another")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", f"passona: {REFUSED}\n")


@pytest.mark.parametrize("arguments", [("load",), ("load", ONE), ("load", ONE, TWO), ("campaigns",)])
@pytest.mark.core(1)
def test_a_closed_port_is_one_line_and_no_table(
    passona: Run, tmp_path: Path, closed_port: str, arguments: tuple[str, ...]
) -> None:
    ended = passona(*arguments, **environment(tmp_path, closed_port))
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, "", f"passona: {CLOSED}\n")


def test_json_is_one_document_all_the_same(passona: Run, tmp_path: Path, closed_port: str, box: Sandbox) -> None:
    refused = passona("load", "--json", box=box, SOURCES__PASSONA__API_TOKEN="another")
    assert (json.loads(refused.stdout)["exit_code"], json.loads(refused.stdout)["errors"]) == (3, [REFUSED])
    closed = passona("load", "--json", **environment(tmp_path, closed_port))
    assert (json.loads(closed.stdout)["exit_code"], json.loads(closed.stdout)["errors"]) == (4, [CLOSED])


def test_a_token_refused_in_many_requests_at_once_is_one_line(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    for number in range(20):
        account.put(open_campaign(f"66666666-6666-4666-8666-{number:012}"), {"clicks": [click()]})
    # All wait for their answer together.
    box.faults = [
        {"kind": "status", "code": 401, "report": report} for report in ("clicks", "sent", "unsent", "delivery")
    ] + [{"kind": "latency", "seconds": 0.2, "report": report} for report in ("clicks", "sent", "unsent", "delivery")]
    outcome = warehouse.load(box)
    assert (outcome.exit_code, len(outcome.errors)) == (3, 1)


def test_a_token_refused_after_something_was_loaded_shows_what(passona: Run, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    box.faults = [{"kind": "status", "code": 401, "report": "sent"}]
    ended = passona("load", box=box, SOURCES__PASSONA__CONCURRENCY="1")
    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert re.search(r"^clicks +1 ", ended.stdout, re.MULTILINE)


def test_a_wrong_uuid_whose_reports_the_token_interrupts_leaves_no_trace(warehouse: Warehouse, box: Sandbox) -> None:
    box.faults = [{"kind": "status", "code": 401, "report": "unsent"}]
    outcome = warehouse.load(box, ONE)
    assert (outcome.exit_code, len(outcome.errors)) == (3, 1)
    assert ledger_states(warehouse) == {}


def on_a_terminal(folder: Path, address: str, *arguments: str, pause: str) -> tuple[int, str]:
    """Exit code of `passona` on a terminal of its own, and all that it wrote there."""
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "passona", *arguments],
        cwd=folder,
        env=environment(folder, address, pause) | {"TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    written = b""
    try:
        while piece := _read(ours):
            written += piece
        return process.wait(60), written.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize("verb", ["load", "campaigns"])
def test_a_terminal_shows_each_retry_with_its_number_and_pause(tmp_path: Path, closed_port: str, verb: str) -> None:
    code, written = on_a_terminal(tmp_path, closed_port, verb, pause="0.2")
    assert code == 4
    shown = re.findall(r"campaigns: no answer \(Connection refused\); attempt (\d) of 8 in ([\d.]+) s", written)
    assert {int(number) for number, _ in shown} >= {3, 4, 5, 6, 7, 8}  # pauses of at least two frames
    assert CLOSED[:60] in written
