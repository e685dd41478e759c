"""The sandbox as a process: starts, prints its address, and serves until it is told to stop."""

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
    refused: bool = False,
    teams: int = 1,
    zone: Zone = LONDON,
    live: bool = False,
    faults: Path | None = None,
    switches: Switches | None = None,
) -> None:
    """Serve a made-up account until SIGTERM or SIGINT; the address is one line on standard output.

    `live` is an account that changes as time goes by; it has one team, and no campaign that is refused.
    `faults` is a JSON file with a list of rules; one that cannot be understood is a ValueError.
    To be called from the main thread, where signals arrive.
    """
    rules = json.loads(faults.read_text(encoding="utf-8")) if faults else []
    account = (
        LiveAccount(seed=seed, campaigns=campaigns, rows=rows, hostile=hostile, zone=zone)
        if live
        else Account(
            seed=seed, campaigns=campaigns, rows=rows, hostile=hostile, refused=refused, teams=teams, zone=zone
        )
    )
    told_to_stop = Event()
    kept = {name: signal.signal(name, lambda *_: told_to_stop.set()) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        with Sandbox(account, switches, faults=rules, port=port) as box:
            sys.stdout.write(f"{box.base_url}\n")
            sys.stdout.flush()
            told_to_stop.wait()
    finally:
        for name, handler in kept.items():
            signal.signal(name, handler)
