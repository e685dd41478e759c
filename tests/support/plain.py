"""A dlt user's own pipeline: any name, any working folder, dlt's own destinations, no command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dlt

from passona import passona_source
from passona.reports.definitions import REPORTS
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, THREE, TWO, click, message, open_campaign
from support.engines import POSTGRES, address_of, url_of

# A script that runs the source; `between` may change dlt before.
_SCRIPT = """
import os, signal, sys
from support import plain
from pathlib import Path
{between}
folder, path, token, address = sys.argv[1:]
source = plain.passona_source(api_token=token, base_url=address, retry_pause=0.01)
plain.pipeline(Path(path), Path(folder)).run(source)
"""


def pipeline(path: Path, folder: Path, dataset: str = "passona") -> dlt.Pipeline:
    """A pipeline into the database of this path. `folder`: where dlt works; a new one knows nothing."""
    if POSTGRES is None:
        destination: Any = dlt.destinations.duckdb(str(path), supports_transactions=True)
    else:
        address_of(path)
        destination = dlt.destinations.postgres(url_of(path), supports_transactions=True)
    return dlt.pipeline("sms", pipelines_dir=str(folder), destination=destination, dataset_name=dataset)


def source(box: Sandbox, *campaigns: str, **arguments: Any) -> Any:
    known: Mapping[str, Any] = {"api_token": box.token, "base_url": box.base_url, "retry_pause": 0.01}
    return passona_source(campaigns, **{**known, **arguments})


def killed(path: Path, folder: Path, box: Sandbox, between: str) -> None:
    """Runs the source in a process of its own, which is to be killed by what `between` does."""
    assert begun(path, folder, box, between).wait(300) == -9


def begun(path: Path, folder: Path, box: Sandbox, between: str = "") -> subprocess.Popen[bytes]:
    """The source at work in a process of its own."""
    command = [sys.executable, "-c", _SCRIPT.format(between=between), str(folder), str(path), box.token, box.base_url]
    return subprocess.Popen(command, cwd=Path(__file__).parents[1])


def asked(box: Sandbox) -> Sequence[tuple[str, str]]:
    """Campaign and report of what was asked of the sandbox, each once."""
    return sorted({(record.campaign, record.report) for record in box.requests if record.kind == "report"})


ALL = tuple(REPORTS)

ENDED = {"started_sending_at": "2020-06-01 10:00:00", "finished_sending_at": "2020-06-01 11:00:00",
         "expiry_date": "2020-06-02 10:00:00"}  # fmt: skip


def small() -> Account:
    """Three campaigns, the last of which has ended."""
    account = Account.empty()
    for number, uuid in enumerate((ONE, TWO), 1):
        account.put(
            open_campaign(uuid), {"clicks": [click(n) for n in range(10 * number)], "alt_delivery": [message(1)]}
        )
    account.put({"uuid": THREE, **ENDED}, {"clicks": [click(n) for n in range(5)], "unsent": []})
    return account
