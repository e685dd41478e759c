"""The console command on a bad day: signals, full disks, wrong files, names that are no plain text."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, click, message, open_campaign
from support.signals import STOPPED, end_by, wait_until
from support.warehouses import Warehouse, environment_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Begin = Callable[..., "subprocess.Popen[str]"]

CREDENTIALS = "DESTINATION__WAREHOUSE__CREDENTIALS"


def is_idle(process: subprocess.Popen[str]) -> bool:
    """Whether a process has nothing to do but to wait: it takes no processor time for a quarter of a second."""

    def ticks() -> list[str]:
        return Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]

    before = ticks()
    time.sleep(0.25)
    return ticks() == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("fault", [{"kind": "latency", "seconds": 60}, {"kind": "drip", "seconds": 0.05}])
@pytest.mark.core(1)
def test_a_signal_ends_a_load_that_waits_for_the_server(
    begun: Begin, warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path,
    fault: dict[str, object], number: signal.Signals, code: int,
) -> None:  # fmt: skip
    # A blocked read used to hold the process for 25 s; SIGTERM used to end it without a word.
    account.put(open_campaign(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    box.faults = [fault | {"report": "clicks"}]
    load = begun("load", "--metrics", "m.prom", "--on-failure", "touch told", box=box)
    wait_until(lambda: box.faults[0].struck == 1 and len(box.requests) == 7 and is_idle(load), load)
    stderr = end_by(load, number)
    assert (load.returncode, stderr) == (code, STOPPED)
    assert warehouse.rows("SELECT outcome, finished_at IS NOT NULL FROM passona.runs") == [("interrupted", True)]
    assert (warehouse.count("alt_delivery"), warehouse.count("clicks")) == (1, 0)
    metrics = (tmp_path / "m.prom").read_text().splitlines()
    assert f"passona_load_exit_code {code}" in metrics
    assert 'passona_load_outcome{outcome="interrupted"} 1' in metrics
    assert not (tmp_path / "told").exists()  # whoever stopped it knows


def test_a_signal_ends_the_list_of_campaigns(begun: Begin, account: Account, box: Sandbox) -> None:
    box.faults = [{"kind": "latency", "seconds": 60}]
    listing = begun("campaigns", box=box)
    wait_until(lambda: box.faults[0].struck == 1, listing)
    stderr = end_by(listing, signal.SIGINT)
    assert (listing.returncode, stderr) == (130, STOPPED)


def test_a_signal_ends_a_load_that_cannot_connect(begun: Begin, tmp_path: Path) -> None:
    # No thread can be woken from connecting, so the process does not wait for it.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as filler:
        filler.connect(server.getsockname())
        load = begun(
            "load", ONE, SOURCES__PASSONA__API_TOKEN="t",
            SOURCES__PASSONA__BASE_URL=f"http://127.0.0.1:{server.getsockname()[1]}/",
        )  # fmt: skip
        wait_until(lambda: begins_to_connect(load.pid, server.getsockname()[1]), load)
        stderr = end_by(load, signal.SIGTERM)
    assert (load.returncode, stderr) == (143, STOPPED)


def begins_to_connect(pid: int, port: int) -> bool:
    """Whether a process of this machine is in the middle of connecting to a port (SYN sent)."""
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return any(line[2].endswith(f":{port:04X}") and line[3] == "02" for line in lines)


def test_a_signal_while_the_warehouse_is_written_lets_the_package_end(
    begun: Begin, passona: Run, warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    # dlt used to make "could not be written" of it, or to forget it.
    account.put(open_campaign(ONE), {"alt_delivery": [message(n) for n in range(10_000)]})
    assert passona("load", "--report", "clicks", box=box).returncode == 0
    work = warehouse.path.with_name("warehouse.duckdb.work")
    load = begun("load", "--report", "alt_delivery", box=box)
    wait_until(lambda: any(work.glob("run.*/dlt/**/alt_delivery*")), load)
    stderr = end_by(load, signal.SIGTERM)
    assert (load.returncode, stderr) == (143, STOPPED)
    outcomes = warehouse.rows("SELECT outcome FROM passona.runs ORDER BY started_at")
    assert outcomes == [("ok",), ("interrupted",)]
    assert warehouse.count("alt_delivery") == 10_000


@pytest.mark.parametrize("kilobytes", [100, 3_000, 9_000])
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, account: Account, box: Sandbox, kilobytes: int) -> None:
    # The first cannot hold the tables, the second not the spool, the third not the package.
    account.put(open_campaign(ONE), {"alt_delivery": [message(n, Status=os.urandom(100).hex()) for n in range(20_000)]})
    size = kilobytes * 1024
    ended = subprocess.run(
        [sys.executable, "-m", "passona", "load"], cwd=tmp_path, env=environment_of(box, tmp_path),
        capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "make room and run again" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_file_in_the_place_of_the_work_folder_is_named(passona: Run, tmp_path: Path, box: Sandbox) -> None:
    (tmp_path / "warehouse.duckdb.work").write_text("x")
    ended = passona("load", box=box)
    assert (ended.returncode, ended.stderr) == (2, f"passona: File exists: {tmp_path}/warehouse.duckdb.work\n")


def test_only_a_lock_is_waited_for_whatever_the_folder_is_called(passona: Run, tmp_path: Path, box: Sandbox) -> None:
    # "lock" in a path used to make "held by another process" of any error.
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "x.duckdb").write_text("a letter, and no database at all" * 3)
    ended = passona("load", "--wait", "30", box=box, **{CREDENTIALS: "blocks/x.duckdb"})
    assert ended.returncode == 2
    assert "cannot be opened as a DuckDB file" in ended.stderr


@pytest.mark.parametrize(
    "credentials",
    [":memory:", "duckdb:///:memory:", "md:x", "motherduck:x?motherduck_token=secretsecret", "duckdb:///w.duckdb?x=y"],
)
def test_what_is_no_file_is_refused_as_a_warehouse(
    passona: Run, tmp_path: Path, box: Sandbox, credentials: str
) -> None:
    ended = passona("load", box=box, **{CREDENTIALS: credentials})
    assert ended.returncode == 2
    assert "expected the path of a DuckDB file" in ended.stderr
    assert "secret" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [None, 0o640])
def test_a_new_warehouse_is_its_owners_alone_and_an_old_one_keeps_its_mode(
    passona: Run, begun: Begin, tmp_path: Path, account: Account, box: Sandbox, mode: int | None
) -> None:
    file = tmp_path / "warehouse.duckdb"
    if mode is not None:
        passona("load", box=box)
        file.chmod(mode)
    account.put(open_campaign(ONE), {})
    box.faults = [{"kind": "latency", "seconds": 60, "report": "clicks"}]
    load = begun("load", box=box)
    wait_until(lambda: box.faults[0].struck == 1, load)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file()}
    assert modes.pop(file.name) == mode or 0o600
    assert mode or set(modes.values()) <= {0o600}


def test_a_file_of_campaigns_in_another_encoding_is_told_how_to_be_saved(
    passona: Run, tmp_path: Path, box: Sandbox
) -> None:
    (tmp_path / "due.txt").write_text(ONE, encoding="utf-16")
    ended = passona("load", "--campaigns-file", "due.txt", box=box)
    assert (ended.returncode, ended.stderr) == (2, "passona: due.txt is not UTF-8 text; save it as UTF-8\n")


@pytest.mark.core
def test_a_phone_number_in_the_place_of_a_campaign_is_not_shown(passona: Run, tmp_path: Path, box: Sandbox) -> None:
    (tmp_path / "due.txt").write_text("447123456789\n")
    for arguments in (
        ["load", "447123456789"],
        ["load", "--campaigns-file", "due.txt"],
        ["load", "--report", "447123456789"],
    ):
        ended = passona(*arguments, box=box)
        assert ended.returncode == 2
        assert "***" in ended.stderr
        assert "447123456789" not in ended.stderr


def test_campaigns_of_a_file_without_the_dataset_were_never_loaded(
    passona: Run, tmp_path: Path, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {})
    duckdb.connect(str(tmp_path / "warehouse.duckdb")).execute("CREATE TABLE t AS SELECT 1").close()
    (campaign,) = json.loads(passona("campaigns", "--json", box=box).stdout)
    assert set(campaign["reports"].values()) == {"never loaded"}


def test_a_campaigns_name_is_shown_as_it_stands_and_obeyed_by_nobody(
    passona: Run, account: Account, box: Sandbox
) -> None:
    # [/b] used to be a fault of this program, :100: an emoji, and escape sequences went to the terminal.
    account.put(open_campaign(ONE, name="[TEST] :100: [/b] \x1b[31mred\x9b"), {})
    ended = passona("campaigns", box=box)
    assert ended.returncode == 0
    assert "[TEST] :100: [/b] �[31mred�" in ended.stdout


def test_the_flags_of_all_verbs_may_stand_before_and_behind_the_verb(
    passona: Run, account: Account, box: Sandbox
) -> None:
    for arguments in (["--debug", "load", "x"], ["load", "x", "--debug"]):
        ended = passona(*arguments, box=box)
        assert ended.returncode == 2
        assert "in campaign_uuid" in ended.stderr
        assert ended.stderr.splitlines()[-1].startswith("passona: campaign: 'x' is not a uuid")
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    for arguments in (["-v", "load"], ["load", "--verbose"]):
        box.faults = [{"kind": "status", "code": 503, "report": "clicks", "times": 1}]
        lines = passona(*arguments, "--refresh", box=box).stderr.splitlines()
        (line,) = (line for line in lines if "request" in line)
        assert line.startswith("I request tried 1 time: status 503")
        assert line.endswith("again in 0.0 s")


def test_a_server_that_is_not_there_is_told_with_what_to_check(passona: Run) -> None:
    ended = passona(
        "campaigns", SOURCES__PASSONA__API_TOKEN="t", SOURCES__PASSONA__BASE_URL="http://127.0.0.1:9/",
        SOURCES__PASSONA__RETRY_PAUSE="0.001",
    )  # fmt: skip
    assert ended.returncode == 4
    assert ended.stderr == (
        "passona: list of campaigns: page 1: expected a page, got no answer (Connection refused) (tried 8 times); "
        "check the network and sources.passona.base_url\n"
    )
