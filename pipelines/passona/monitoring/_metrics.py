"""`--metrics FILE`: how a load ended and how fresh the warehouse is, as OpenMetrics text.

Only gauges: they read the same in the older Prometheus text format, which node_exporter uses. Labels are names of
reports and outcomes, nothing personal. If another run holds the warehouse, the file keeps what it said about it.

prometheus_client is not used here: it writes exit codes as `4.0`, and saves no more than `Gauge`.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from passona.config.address import Address, exists
from passona.errors import PassonaError
from passona.reports.definitions import REPORTS
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
    outcomes = [({"outcome": word}, document["outcome"] == word) for word in OUTCOMES]
    yield Gauge("version", "Version of this program; always 1.", [({"version": version("passona-warehouse")}, 1)])
    yield Gauge("load_exit_code", "Exit code of the last load; 0: everything due was loaded.", document["exit_code"])
    yield Gauge("load_outcome", "1 for the outcome of the last load, 0 for the others.", outcomes)
    yield Gauge("load_end_timestamp_seconds", "When the last load ended.", time.time())
    yield Gauge("load_duration_seconds", "Duration of the last load and the steps after it.", seconds)
    if "requests" in document:
        yield Gauge("load_requests", "Requests that it sent to the API.", document["requests"])
        yield Gauge("load_campaigns", "Campaigns that it checked.", document["campaigns"])
        reports = document["reports"].items()
        results = [({"report": name, "result": word}, counts[word]) for name, counts in reports for word in RESULTS]
        rows = [({"report": name}, counts["rows"]) for name, counts in reports]
        yield Gauge("load_reports", "Reports of campaigns, by their result in the last load.", results)
        yield Gauge("load_rows", "Rows that the last load wrote.", rows)
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
        "SELECT verb, max(finished_at) FROM passona.runs WHERE outcome = 'ok' AND verb IN ('load', 'transform') "
        "GROUP BY verb ORDER BY verb"
    ).fetchall()
    entries = Ledger(connection).values()
    states = Counter[tuple[str, str]]((entry.report, entry.state) for entry in entries)
    listed = set(connection.execute("SELECT campaign_id FROM passona.campaigns WHERE listed").fetchall())
    oldest: dict[str, datetime] = {}
    for entry in entries:
        # Unlisted and expired campaigns are never loaded again.
        if entry.state != "settled" and entry.verified_at and (entry.campaign_id,) in listed and not entry.expired_at:
            oldest[entry.report] = min(entry.verified_at, oldest.get(entry.report, entry.verified_at))
    yield Gauge(
        "last_success_timestamp_seconds",
        "When a run of this verb last succeeded; steps after a load in the same run do not count.",
        [({"verb": verb}, end.timestamp()) for verb, end in ends],
    )
    yield Gauge(
        "reports",
        "Reports of campaigns in the warehouse, by state.",
        [({"report": name, "state": word}, states[name, word]) for name in REPORTS for word in STATES],
    )
    yield Gauge(
        "oldest_verified_timestamp_seconds",
        "When the oldest report that may still change was verified.",
        [({"report": name}, oldest[name].timestamp()) for name in REPORTS if name in oldest],
    )


def _previous(path: Path) -> str:
    """Return what the old file says about the warehouse."""
    try:
        return "".join(_OF_WAREHOUSE.findall(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError):
        return ""
