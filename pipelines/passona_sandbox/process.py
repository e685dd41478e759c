"""The sandbox as a process: it prints its address and serves until SIGTERM or SIGINT."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from threading import Event

from passona_sandbox.account import Account
from passona_sandbox.clock import LONDON, Zone
from passona_sandbox.live import LiveAccount
from passona_sandbox.server import Sandbox
from passona_sandbox.switches import Switches


def run(
    *,
    port: int = 0,
    campaigns: int = 5,
    rows: int = 10_000,
    seed: int = 1,
    hostile: bool = False,
    zone: Zone = LONDON,
    live: bool = False,
    faults: Path | None = None,
    switches: Switches | None = None,
) -> None:
    """Serve a made-up account until SIGTERM or SIGINT; print its address as one line on standard output.

    `live`: the account changes with time. `faults`: a JSON file with a list of rules. Call it from the main thread,
    which receives signals.

    :raises ValueError: a rule is invalid.
    :raises OSError: the port is taken, or the file cannot be read.
    """
    rules = json.loads(faults.read_text(encoding="utf-8")) if faults else []
    make_account = LiveAccount if live else Account
    account = make_account(seed=seed, campaigns=campaigns, rows=rows, hostile=hostile, zone=zone)
    stopped = Event()
    handlers = {name: signal.signal(name, lambda *_: stopped.set()) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        with Sandbox(account, switches, faults=rules, port=port) as box:
            sys.stdout.write(f"{box.base_url}\n")
            sys.stdout.flush()
            stopped.wait()
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)
