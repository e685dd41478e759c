"""The sandbox as a process, and its connections."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic
from urllib.request import Request, urlopen

import pytest

from passona_sandbox import Account, Sandbox

PIPELINES = Path(__file__).parents[2] / "pipelines"


def start(*options):
    return subprocess.Popen(
        [sys.executable, "-m", "passona", "sandbox", *options],
        env={**os.environ, "PYTHONPATH": str(PIPELINES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_address_serves_and_ends_at_once(tmp_path, how):
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"kind": "latency", "seconds": 30, "report": "sent"}]))
    with start("--rows", "100", "--faults", str(faults), "--rate-limit", "9") as process:
        url = process.stdout.readline().strip()
        answer = urlopen(Request(f"{url}campaigns", headers={"Authorization": "Bearer sandbox"}), timeout=5)
        assert answer.headers["X-RateLimit-Limit"] == "9"
        assert json.load(answer)["meta"]["total"] == 9
        began = monotonic()
        process.send_signal(how)
        rest, errors = process.communicate(timeout=5)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert monotonic() - began < 1


def test_what_cannot_be_served_is_told_in_one_line(tmp_path):
    faults = tmp_path / "faults.json"
    faults.write_text('[{"kind": "explode"}]')
    with start("--faults", str(faults)) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "unknown kind 'explode'" in errors
    assert errors.count("\n") == 1


def test_a_connection_is_kept_and_answers_follow_each_other():
    with Sandbox(Account.empty()) as box:
        port = int(box.base_url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            request = b"GET /api/2.0/campaigns HTTP/1.1\r\nauthorization: Bearer sandbox\r\n\r\n"
            client.sendall(request + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            received = b""
            while piece := client.recv(65536):
                received += piece
        assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
        assert len(box.requests) == 2


def test_nonsense_ends_the_connection_and_not_the_server(ask):
    with Sandbox(Account.empty()) as box:
        port = int(box.base_url.split(":")[2].split("/")[0])
        for nonsense in (
            b"\x16\x03\x01\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(nonsense)
                assert client.recv(100) == b""
        assert ask(box, "campaigns").status == 200


def test_after_the_end_nothing_is_left(ask):
    # Other tests' threads may come and go meanwhile.
    before = set(threading.enumerate())
    with Sandbox(Account.empty()) as box:
        port = int(box.base_url.split(":")[2].split("/")[0])
        idle = socket.create_connection(("127.0.0.1", port))
        assert ask(box, "campaigns").status == 200
        url = box.base_url
        ours = {thread for thread in threading.enumerate() if thread.name == "sandbox"} - before
        assert len(ours) > 1
    assert not any(thread.is_alive() for thread in ours)
    assert {thread for thread in threading.enumerate() if thread.name == "sandbox"} <= before
    idle.close()
    with pytest.raises(OSError, match="refused"):
        urlopen(url, timeout=5)
