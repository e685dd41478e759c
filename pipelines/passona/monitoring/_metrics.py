"""`--metrics FILE`: how a load ended and how fresh the warehouse is, as OpenMetrics text.

Only gauges: they read the same in the older Prometheus text format, which node_exporter uses. Labels are names of
reports, outcomes and, if there are several, accounts: nothing personal. If another run holds the warehouse, the file
keeps what it said about it.

prometheus_client is not used here: it writes exit codes as `4.0`, and saves no more than `Gauge`.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from passona.config.address import Address, exists
from passona.errors import PassonaError
from passona.reports.definitions import REPORTS
from passona.source.ledger import Entry
from passona.warehouse.accounts import accounts_in
from passona.warehouse.atomic_file import AtomicFile
from passona.warehouse.connection import Connection, error_kinds
from passona.warehouse.database import open_reader
from passona.warehouse.ledger_table import Ledger

OUTCOMES = ("ok", "error", "usage", "token refused", "failed", "held", "busy", "interrupted")
STATES = ("open", "settled", "failed", "held")
RESULTS = ("loaded", "unchanged", "failed", "held")
_OF_WAREHOUSE = re.compile(
    r"^# HELP passona_(?:last_success_timestamp_seconds|reports|oldest_verified_timestamp_seconds) .*\n"
    r"(?:(?!# HELP |# EOF).*\n)*",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Gauge:
    """One metric: values by their labels, or a single value."""

    name: str
    help: str
    values: float | Sequence[tuple[Mapping[str, str], float]]

    def __str__(self) -> str:
        name = f"passona_{self.name}"
        lines = [f"# HELP {name} {self.help}", f"# TYPE {name} gauge"]
        if name.endswith("_seconds"):
            lines.append(f"# UNIT {name} seconds")
        for labels, value in self.values if isinstance(self.values, Sequence) else [({}, self.values)]:
            words = ",".join(f'{label}="{text}"' for label, text in labels.items())
            lines.append(f"{name}{{{words}}} {value:.15g}" if words else f"{name} {value:.15g}")
        return "".join(f"{line}\n" for line in lines)


def write_metrics(file: AtomicFile, document: Mapping[str, Any], seconds: float, address: Address | None) -> None:
    """Replace the file. `document`: the outcome as `--json` prints it. `address`: of the warehouse, if known.

    :raises OSError: it could not be written; the old one stays.
    """
    warehouse = "".join(map(str, _warehouse_gauges(address))) or _previous(file.path)
    text = "".join(map(str, _run_gauges(document, seconds))) + warehouse + "# EOF\n"
    with file.part() as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def _run_gauges(document: Mapping[str, Any], seconds: float) -> Iterator[Gauge]:
    """Yield what a load did, by account if there are several."""
    parts = [({"account": name}, part) for name, part in document.get("accounts", {}).items()] or [({}, document)]
    outcomes = [(of | {"outcome": word}, part["outcome"] == word) for of, part in parts for word in OUTCOMES]
    yield Gauge("version", "Version of this program; always 1.", [({"version": version("passona-warehouse")}, 1)])
    codes = [(of, part["exit_code"]) for of, part in parts]
    yield Gauge("load_exit_code", "Exit code of the last load; 0: everything due was loaded.", codes)
    yield Gauge("load_outcome", "1 for the outcome of the last load, 0 for the others.", outcomes)
    yield Gauge("load_end_timestamp_seconds", "When the last load ended.", time.time())
    yield Gauge("load_duration_seconds", "Duration of the last load and the steps after it.", seconds)
    if "requests" in document:
        yield Gauge("load_requests", "Requests that it sent to the API.", [(of, p["requests"]) for of, p in parts])
        yield Gauge("load_campaigns", "Campaigns that it checked.", [(of, p["campaigns"]) for of, p in parts])
        reports = [(of | {"report": name}, counts) for of, p in parts for name, counts in p["reports"].items()]
        results = [(of | {"result": word}, counts[word]) for of, counts in reports for word in RESULTS]
        yield Gauge("load_reports", "Reports of campaigns, by their result in the last load.", results)
        yield Gauge("load_rows", "Rows that the last load wrote.", [(of, counts["rows"]) for of, counts in reports])
    for verb in ("transform", "publish"):
        if verb in document:
            yield Gauge(f"{verb}_exit_code", f"Exit code of {verb} after the last load.", document[verb]["exit_code"])


def _warehouse_gauges(address: Address | None) -> list[Gauge]:
    """Return what the warehouse says about itself; nothing if it cannot be read."""
    if address is None or not exists(address):
        return []
    unreadable: tuple[type[Exception], ...] = (PassonaError, *error_kinds())
    try:
        with closing(open_reader(address, 0, lambda _line: None)) as connection:
            return list(_read_gauges(connection))
    except unreadable:
        return []


def _read_gauges(connection: Connection) -> Iterator[Gauge]:
    ends = connection.execute(
        "SELECT verb, account, max(finished_at) FROM passona.runs WHERE outcome = 'ok' "
        "AND verb IN ('load', 'transform') GROUP BY verb, account ORDER BY verb, account"
    ).fetchall()
    named, entries = accounts_in(connection), Ledger(connection).values()
    yield Gauge(
        "last_success_timestamp_seconds",
        "When a run of this verb last succeeded; steps after a load in the same run do not count.",
        [(_of(account if named else None) | {"verb": verb}, end.timestamp()) for verb, account, end in ends],
    )
    rows = connection.execute("SELECT campaign_id, account, listed FROM passona.campaigns").fetchall()
    owners = {uuid: account if named else None for uuid, account, _ in rows}
    accounts: Sequence[str | None] = named or [None]
    series = [(account, name) for account in accounts for name in REPORTS]
    states = Counter((owners.get(entry.campaign_id), entry.report, str(entry.state)) for entry in entries)
    yield Gauge(
        "reports",
        "Reports of campaigns in the warehouse, by state.",
        [
            (_of(account) | {"report": name, "state": word}, states[account, name, word])
            for account, name in series
            for word in STATES
        ],
    )
    # Unlisted and expired campaigns are never loaded again.
    listed = {uuid for uuid, _, is_listed in rows if is_listed}
    oldest = _oldest((entry for entry in entries if entry.campaign_id in listed and not entry.expired_at), owners)
    yield Gauge(
        "oldest_verified_timestamp_seconds",
        "When the oldest report that may still change was verified.",
        [(_of(key[0]) | {"report": key[1]}, oldest[key].timestamp()) for key in series if key in oldest],
    )


def _oldest(entries: Iterable[Entry], owners: Mapping[str, str | None]) -> dict[tuple[str | None, str], datetime]:
    """Return by account and report when the oldest of these that is not settled was verified."""
    oldest: dict[tuple[str | None, str], datetime] = {}
    for entry in entries:
        if entry.state != "settled" and entry.verified_at:
            key = owners[entry.campaign_id], entry.report
            oldest[key] = min(entry.verified_at, oldest.get(key, entry.verified_at))
    return oldest


def _of(account: str | None) -> dict[str, str]:
    """Return the label of an account, if it has a name."""
    return {} if account is None else {"account": account}


def _previous(path: Path) -> str:
    """Return what the old file says about the warehouse."""
    try:
        return "".join(_OF_WAREHOUSE.findall(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError):
        return ""
