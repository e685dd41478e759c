"""The demo's data in a warehouse, marts included, for docs/sql.md, the README's picture and their tests.

The clock is fixed, so that the campaign that is still sending is always the same. The models are built without tests.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from passona_sandbox import Account, Sandbox

PROJECT = Path(__file__).parents[1] / "warehouse"
ROWS = 20_000
NOW = datetime(2026, 1, 12, 12, tzinfo=UTC)


def build_demo(path: Path, now: datetime = NOW) -> None:
    """Load the account, as it is at `now`, into a new DuckDB file at `path` and build the models on it."""
    load_account(Account(rows=ROWS, now=now.timestamp()), path)
    _run(
        path.parent, "dbt.cli.main", "build", "--quiet",
        "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test",
        "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
        "--target-path", str(path.parent / "dbt"), "--log-path", str(path.parent / "dbt"),
        PASSONA_WAREHOUSE=str(path), DBT_SEND_ANONYMOUS_USAGE_STATS="false",
    )  # fmt: skip


def load_account(account: Account, path: Path) -> None:
    """Load an account of the sandbox into the DuckDB file at `path`, with the console command."""
    with Sandbox(account) as box:
        _run(
            path.parent, "passona", "load",
            SOURCES__PASSONA__API_TOKEN=box.token,
            SOURCES__PASSONA__BASE_URL=box.base_url,
            DESTINATION__WAREHOUSE__CREDENTIALS=str(path),
            PYTHONHASHSEED="0",  # dlt stores the order of a set in its state, and the pages show it
        )  # fmt: skip


def _run(folder: Path, module: str, *arguments: str, **environment: str) -> None:
    ended = subprocess.run(  # noqa: S603  # our own interpreter and arguments
        [sys.executable, "-m", module, *arguments], cwd=folder, env=os.environ | environment,
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"{module} {arguments[0]} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
